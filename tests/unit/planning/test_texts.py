"""What is said of an estimate follows from its figures."""

from pathlib import Path

import pytest

from resnest_bench.planning import texts
from resnest_bench.planning.estimate import Estimate, Group, Price

ROOT = Path(__file__).parents[3]
GROUP = Group("train", "low", "quick", "A")


def estimate(**fields):
    return Estimate({GROUP: Price(1, 1, 590.0, 10.0)}, **fields)


def test_a_whole_price_is_about_and_one_with_gaps_is_at_least():
    assert "about 10 min" in texts.describe_total(estimate())
    assert "at least 10 min" in texts.describe_total(estimate(unpriced={"B": "broken"}))


@pytest.mark.parametrize(("share", "said"), [(0.95, False), (0.25, True)])
def test_other_programs_are_named_where_they_take_time(share, said):
    text = texts.describe_total(estimate(share=share))
    # A quarter of the processor: four times ten minutes.
    assert ("40 min" in text) == said
    assert ("25%" in text) == said


def test_the_error_that_was_seen_is_said(monkeypatch):
    monkeypatch.setattr(texts, "SEEN_ERRORS", (0.81, 1.38))
    text = texts.describe_total(estimate())
    assert all(part in text for part in ("0.8", "1.4", "docs/performance.md"))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(45, "45 s"), (720, "12 min"), (9000, "2.5 h"), (259_200, "3 days")],
)
def test_durations(seconds, text):
    assert texts.describe_seconds(seconds) == text


def read_ratios():
    """The column `ratio` of the table of benchmarks/prices.py in docs/performance.md."""
    text = (ROOT / "docs/performance.md").read_text()
    section = text.split("## What a study costs")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    column = rows[0].index("ratio")
    return [float(row[column]) for row in rows[1:]]


def test_the_error_that_is_said_is_that_of_the_benchmark():
    ratios = read_ratios()
    assert len(ratios) >= 2
    assert (min(ratios), max(ratios)) == texts.SEEN_ERRORS
