"""docs/results.md is what its maker writes of the shipped records."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/results.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def maker():
    spec = importlib.util.spec_from_file_location("make_results", ROOT / "docs/make_results.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_the_results_are_those_of_the_records(maker):
    text, figures = maker.document()
    assert text == TEXT, "run `python docs/make_results.py`"
    written = {
        p.relative_to(ROOT / "docs").as_posix() for p in (ROOT / "docs/results").rglob("*.svg")
    }
    assert written == set(figures)


def test_every_figure_of_the_text_is_there():
    linked = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", TEXT)
    assert linked
    assert [name for name in linked if not (ROOT / "docs" / name).is_file()] == []


def test_every_table_of_figures_says_its_n(maker):
    tables = re.findall(r"(?:^\|.*\n)+", TEXT, re.M)
    assert tables
    for table in tables:
        assert re.search(r"\bn\b|n=|\brounds\b", table), table.splitlines()[0]


def test_the_readme_says_what_the_results_say():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert (
        "Of the 21 differences between the ablation's seven networks none is significant" in readme
    )
    assert "**0 of 21 differences are significant**" in TEXT
    assert "about 6.5 points and more" in readme
    assert "a true difference of 6.5 points" in TEXT
    assert "of the paper's claims none is decided" in readme
    assert re.search(r"\*\*23 claims: 15 undecided, 8 untested\*\*", TEXT)
