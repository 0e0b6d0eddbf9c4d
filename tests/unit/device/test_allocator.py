"""What the settings of malloc do to a process is in tests/processes/test_allocator.py."""

import pytest

from resnest_bench.device import allocator


@pytest.mark.parametrize(
    ("setting", "allowed"),
    [
        ("always [madvise] never\n", True),
        ("[always] madvise never\n", True),
        ("always madvise [never]\n", False),
        (None, False),
    ],
)
def test_huge_pages_are_asked_for_where_the_system_allows_them(
    setting, allowed, monkeypatch, tmp_path
):
    file = tmp_path / "enabled"
    if setting is not None:
        file.write_text(setting)
    monkeypatch.setattr(allocator, "HUGE_PAGES", file)
    assert allocator._allows_huge_pages() == allowed
