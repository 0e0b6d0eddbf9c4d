"""Tables on a terminal: nothing wider than it, the figures that a study is about stay."""

import pytest

from resnest_bench.cli.terminal import fit_markdown

HEADINGS = [
    "variant",
    "setting",
    "parameters",
    "MACs",
    "accuracy %",
    "std",
    "latency p50 [IQR] ms",
    "on",
    "images/s",
    "ms/image, paper's protocol",
    "on the front",
    "P(on the front)",
    "status",
]
TABLE = "\n".join(
    [
        f"| {' | '.join(HEADINGS)} |",
        f"|{'|'.join(':---' for _ in HEADINGS)}|",
        f"| {' | '.join(f'value {i}' for i in range(len(HEADINGS)))} |",
    ]
)


def test_a_wide_terminal_has_all_of_it():
    text, left_out = fit_markdown(f"## T\n\n{TABLE}", 300)
    assert not left_out
    assert all(heading in text for heading in HEADINGS)


def test_a_narrow_one_has_what_matters_and_says_that_more_is_there():
    text, left_out = fit_markdown(TABLE, 80)
    assert left_out
    head = text.splitlines()[0]
    for heading in ("variant", "accuracy %", "latency p50 [IQR] ms", "on the front", "status"):
        assert heading in head
    assert "std" not in head
    assert "P(on the front)" not in head


@pytest.mark.parametrize("width", [20, 40, 80])
def test_no_line_is_wider(width):
    prose = "A sentence of some words. " * 40
    text, left_out = fit_markdown(f"## Head\n\n{prose}\n\n{TABLE}\n\n- {prose}\n- b", width)
    assert max(map(len, text.splitlines())) <= width
    assert left_out


def test_rows_of_one_variant_keep_their_recipe():
    head = [
        "variant",
        "recipe",
        "weights",
        "setting",
        "parameters",
        "accuracy %",
        "std",
        "gain over scratch",
    ]
    rows = [
        [
            "ResNeSt-11-2s1x16d",
            recipe,
            "train low/demo",
            "2s1x16d",
            "26.1k",
            "95.48 ± 21.54 (n=2)",
            "1",
            "-1.41",
        ]
        for recipe in ("demo_finetune", "demo_head_only")
    ]
    table = "\n".join(f"| {' | '.join(row)} |" for row in [head, ["--"] * len(head), *rows])
    text, _ = fit_markdown(table, 80)
    assert "demo_finetune" in text
    assert "demo_head_only" in text


def test_a_bar_in_a_cell_is_no_column():
    text, _ = fit_markdown("| a | b |\n|:--|:--|\n| x \\| y | 2 |", 80)
    assert "x \\| y | 2" in text


def test_a_long_caption_ends_after_a_sentence():
    caption = "What it is about. " + "How each of its figures was measured, at length. " * 20
    text, left_out = fit_markdown(caption, 80)
    assert left_out
    assert text.startswith("What it is about.")
    assert text.endswith(".")
    assert len(text) <= 310
    listed = "- " + "a claim. " * 100
    assert fit_markdown(listed, 80)[0].count("claim") == 100
