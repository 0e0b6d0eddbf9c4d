"""Time left by prices: against sums by hand."""

from datetime import UTC, datetime

import pytest

from resnest_bench.live.follow import Run
from resnest_bench.live.from_files import read_status
from resnest_bench.live.priced import Piece, PricedJobs, estimate_left
from resnest_bench.live.snapshot import TimeLeft
from resnest_bench.paths import Job
from resnest_bench.prices import GroupPrice, StudyPrices, read_prices, write_prices

BEFORE, AFTER = "2025-12-31T23:00:00+00:00", "2026-01-01T01:00:00+00:00"
A = tuple(Job("train", "low", "quick", "A", seed) for seed in range(3))
B = tuple(Job("train", "low", "quick", "B", seed) for seed in range(3))
LATENCY = (Job("latency", "low", "fast", "A", 0),)


def group(kind, recipe, variant, num, seconds, start=1.0):
    return GroupPrice(
        kind=kind,
        dataset="low",
        recipe=recipe,
        variant=variant,
        num_records=num,
        seconds_per_record=seconds,
        start_seconds=start,
    )


def prices(made_at=BEFORE, complete=True):
    groups = [
        group("train", "quick", "A", 3, 10.0),
        group("train", "quick", "B", 3, 30.0),
        group("latency", "fast", "A", 2, 5.0),
    ]
    return StudyPrices(made_at=made_at, total_seconds=134.0, groups=groups, complete=complete)


def test_before_anything_has_run_the_prices_count():
    # A process for each training, and one for each round: 31 + 91 + 2 * 6.
    assert PricedJobs().left(prices(), []) == TimeLeft(134.0, all_known=True)


def test_what_ran_corrects_its_own_kind_and_the_others_until_they_have_run():
    jobs = PricedJobs()
    jobs.begin(1, A)
    jobs.end(A, 62.0)
    # Twice its price: so will all others be, as far as anybody knows.
    assert jobs.left(prices(), []).seconds == pytest.approx(2 * (91 + 12))
    jobs.begin(2, LATENCY)
    jobs.end(LATENCY, 6.0)
    assert jobs.left(prices(), []).seconds == pytest.approx(2 * 91 + 6)


def test_a_running_job_has_its_rest_left():
    jobs = PricedJobs()
    jobs.begin(1, B)
    # A third in 30.33 s, as expected: 91 s in all.
    left = jobs.left(prices(), [(B, 91 / 3, 1 / 3)])
    assert left.seconds == pytest.approx(31 + 91 * 2 / 3 + 12)


def test_a_silent_job_has_what_its_price_leaves():
    pieces = [Piece("latency", 6.0, None, 4.0), Piece("train", 10.0)]
    assert estimate_left(pieces, 1).seconds == pytest.approx(2 + 10)
    pieces = [Piece("latency", 6.0, None, 400.0), Piece("train", 10.0)]
    assert estimate_left(pieces, 1).seconds == pytest.approx(10)


def test_two_at_a_time_halve_it():
    assert estimate_left([Piece("train", 10.0)] * 4, 2) == TimeLeft(20.0, all_known=True)


def test_jobs_without_a_price_make_it_a_lower_bound():
    assert not PricedJobs().left(prices(complete=False), []).all_known


def test_a_run_with_prices_tells_its_time_left_before_a_job_has_ended(study, tmp_path):
    paths = study.paths(tmp_path)
    paths.root.mkdir(parents=True)
    write_prices(paths.prices, prices())
    run = Run(clock=lambda: 0.0)
    run.study, run.paths = study, paths
    run.set_counts({"train": 3, "latency": 3, "total": 6})
    assert run.snapshot().left == TimeLeft(134.0, all_known=True)


def test_without_prices_it_counts_jobs_as_before(study, tmp_path):
    run = Run(clock=lambda: 0.0)
    run.study, run.paths = study, study.paths(tmp_path)
    run.set_counts({"train": 3, "total": 3})
    assert run.snapshot().left is None


@pytest.mark.parametrize(("made_at", "factor"), [(BEFORE, 0.5), (AFTER, 1.0)])
def test_status_takes_prices_and_what_was_made_since(study, paths, made_at, factor):
    write_prices(paths.prices, prices(made_at))
    for job in B:
        paths.record(job).unlink()
    left = read_status(study, paths, datetime(2026, 1, 2, tzinfo=UTC)).snapshot.left
    # A's three records say 5 s each, where 10 s were expected; the start of B's process is as priced.
    corrected = 0.5 if made_at == BEFORE else 1.0
    overall = (3 * 5 + 9) / (3 * 10 + 5) if made_at == BEFORE else 1.0
    assert left.seconds == pytest.approx(3 * 30 * corrected + overall)
    assert corrected == factor


@pytest.mark.parametrize("text", ["", "{}", '{"groups": 3}'])
def test_prices_that_cannot_be_read_are_none(tmp_path, text):
    file = tmp_path / "prices.json"
    file.write_text(text)
    assert read_prices(file) is None
    assert read_prices(tmp_path / "absent.json") is None
