"""What a run would do, from Snakemake's events of a dry run."""

from resnest_bench.live.dry_run import MAX_JOBS, DryRun, short_reason


def add(dry, rule, reason="Missing output files: a/b.json", **wildcards):
    dry.add({"rule_name": rule, "wildcards": wildcards, "reason": reason}, None)


def test_jobs_by_rule_with_their_reasons():
    dry = DryRun()
    dry.stats = {"train": 1, "all": 1, "total": 2}
    add(dry, "train", dataset="digits", recipe="demo", variant="A")
    add(dry, "all")
    text = "\n".join(dry.lines())
    assert "2 jobs" in text
    assert "train A on digits (demo): missing output files" in text
    assert "a/b.json" not in text
    assert "all" not in dry.jobs or "all (" not in text


def test_thousands_of_jobs_stay_a_screen():
    dry = DryRun()
    dry.stats = {"latency": 2000, "total": 2000}
    for number in range(2000):
        add(dry, "latency", dataset="d", recipe="r", variant=f"v{number}", round="0")
    assert len(dry.lines()) == MAX_JOBS + 3
    assert str(2000 - MAX_JOBS) in dry.lines()[-1]


def test_exactly_as_many_as_are_shown_have_no_more():
    dry = DryRun()
    dry.stats = {"data": MAX_JOBS, "total": MAX_JOBS}
    for number in range(MAX_JOBS):
        add(dry, "data", dataset=f"d{number}")
    assert "more" not in dry.lines()[-1]


def test_nothing_to_do_has_no_lines():
    assert DryRun().lines() == []


def test_reasons_without_their_files():
    assert short_reason("Missing output files: a, b; Input files updated by another job: c") == (
        "missing output files"
    )
    assert short_reason("Params have changed since last execution: before: 1 now: 2") == (
        "params have changed since last execution"
    )
    assert short_reason("Updated input files: a; Code has changed") == (
        "updated input files, code has changed"
    )
