"""Lines on standard error: plain where nobody wants colours."""

import pytest

from resnest_bench.planning.progress_lines import make_line_printer


@pytest.mark.parametrize("variable", ["NO_COLOR", None])
def test_lines_without_a_terminal_or_with_no_color_are_plain(monkeypatch, capsys, variable):
    if variable:
        monkeypatch.setenv(variable, "1")
        monkeypatch.setenv("FORCE_COLOR", "1")
    make_line_printer()("timing 1 of 2: train of A on low by quick")
    seen = capsys.readouterr()
    assert seen.out == ""
    assert "train of A" in seen.err
    assert "\x1b[3" not in seen.err
