"""docs/results.md is what its maker writes of the shipped records."""

import importlib.util
import re
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/results.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
TABLES = ROOT / "results/reference/cpu-amd-epyc-2-cores/subset/tables"


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


def split_rows(text):
    """Cells of the rows of all Markdown tables in `text`."""
    lines = (line for line in text.splitlines() if line.startswith("| "))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_readmes_table_is_that_of_the_shipped_study():
    table = split_rows((TABLES / "tradeoff.md").read_text(encoding="utf-8"))
    shipped = {row[0]: row for row in table}
    shown = [row for row in split_rows(README) if row[0] in shipped and row[0] != "variant"]
    assert len(shown) == 5
    for name, *cells in shown:
        # "yes (0.92)" is two cells there.
        *measured, (front, probability) = *cells[:-1], cells[-1].rstrip(")").split(" (")
        assert {*measured, front, probability} <= set(shipped[name])


def test_the_readmes_findings_are_those_of_the_shipped_tables():
    pairs, effects, claims = (
        pd.read_csv(TABLES / f"{name}.csv") for name in ("pairs", "effects", "claims")
    )
    significant = pairs["verdict"].isin(["above", "below"]).sum()
    detectable = pairs.filter(like="detectable").iloc[:, 0].median()
    found = effects[effects["welch_holm_p"] <= 0.05].squeeze()
    verdicts = claims["verdict"].value_counts()
    section = README.split("## What we found")[1].split("\n## ")[0]
    for figure in (
        f"{significant} of {len(pairs)}",
        f"{detectable:.1f} points",
        f"{found['effect']:+.1f} points",
        f"[{found['welch_low']:+.1f}, {found['welch_high']:+.1f}]",
        f"{len(claims)} claims",
        *(f"{number} {verdict}" for verdict, number in verdicts.items()),
    ):
        assert figure in section.replace("*", ""), figure
