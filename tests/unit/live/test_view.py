"""A snapshot as lines: what must be in them, and that they fit."""

import dataclasses

import pytest

from resnest_bench.live.snapshot import LiveJob, Outcome, Running, Snapshot, TimeLeft
from resnest_bench.live.view import (
    duration_text,
    failure_lines,
    left_text,
    outcome_line,
    shorten,
    summary_line,
    view_lines,
)

LONG = "train ResNeSt-11-2s1x16d-with-a-long-name on a-dataset (a_recipe_with_a_long_name)"
SNAPSHOT = Snapshot(
    study="demo",
    done=12,
    total=45,
    failed=1,
    running=(
        Running("train A on digits (demo)", 41.0, "seed 2 of 2, epoch 3 of 4"),
        Running(LONG, 9.0),
    ),
    outcomes=(
        Outcome("latency A", True, "p50 1.2 ms"),
        Outcome("train B", False, "no space " * 30),
    ),
    left=TimeLeft(360.0, all_known=True),
    log=".snakemake/log/x.log",
)


def test_all_that_a_person_wants_to_know_is_in_it():
    text = "\n".join(view_lines(SNAPSHOT))
    for part in (
        "demo",
        "12 of 45 jobs",
        "1 failed",
        "6 min left",
        "seed 2 of 2, epoch 3 of 4",
        "41 s",
        "p50 1.2 ms",
        "FAILED no space",
        ".snakemake/log/x.log",
    ):
        assert part in text


@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_line_is_wider_than_the_terminal(width):
    assert max(map(len, view_lines(SNAPSHOT, width))) <= width


def test_many_jobs_at_a_time_stay_one_view():
    many = dataclasses.replace(SNAPSHOT, running=tuple(Running(f"job {i}", 1.0) for i in range(50)))
    lines = view_lines(many)
    assert len(lines) < 15
    assert any("44 more" in line for line in lines)


def test_a_run_that_has_not_begun_has_a_view():
    assert view_lines(Snapshot("s", 0, 0, 0, (), (), None, "")) == [
        "s  " + "░" * 20 + "  0 of 0 jobs"
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (5399, "90 min"), (9000, "2.5 h")],
)
def test_durations(seconds, text):
    assert duration_text(seconds) == text


def test_an_estimate_says_what_it_lacks():
    assert left_text(TimeLeft(120, all_known=True)) == "about 2 min left"
    assert left_text(TimeLeft(120, all_known=False)) == "at least 2 min left"
    assert left_text(None) == left_text(TimeLeft(0, all_known=False)) == ""


def test_a_long_name_keeps_both_its_ends():
    assert shorten("abcdefghij", 7) == "abc…hij"
    assert shorten("abc", 3) == "abc"


def test_a_line_of_a_log_names_the_job_its_result_and_how_far_all_is():
    line = outcome_line("12:00:00", SNAPSHOT, Outcome("train A", True, "accuracy 96.0%"), 39.0)
    for part in ("12:00:00", "train A", "accuracy 96.0%", "39 s", "12 of 45 jobs"):
        assert part in line
    assert "\n" not in line


def test_a_failure_says_why_and_where_more_is(tmp_path):
    job = LiveJob("train", "train A", log=tmp_path / "A.log")
    lines = failure_lines(job, Outcome("train A", False, "the disk is full"))
    assert len(lines) <= 3
    assert "the disk is full" in lines[0]
    assert str(tmp_path / "A.log") in lines[1]


def test_the_summary_names_the_whole_log():
    assert ".snakemake/log/x.log" in summary_line(SNAPSHOT, 60.0)
    assert "12 of 45" in summary_line(SNAPSHOT, 60.0)
