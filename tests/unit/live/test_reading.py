"""What a job says of itself in its files."""

import pytest

from resnest_bench import records
from resnest_bench.live.reading import read_job_progress, read_reason, read_result
from resnest_bench.paths import Job
from support.records_factory import make_failed_record

TRAININGS = tuple(Job("train", "low", "quick", "A", seed) for seed in range(3))
LATENCY = Job("latency", "low", "fast", "A", 0)


def forget(paths, *jobs):
    for job in jobs:
        paths.record(job).unlink()


def test_a_training_is_as_far_as_its_seeds(paths, tell):
    forget(paths, *TRAININGS[1:])
    tell(TRAININGS[1], epochs=2)
    found = read_job_progress(paths, TRAININGS)
    # One of three seeds, and half of another.
    assert found.share == pytest.approx(1.5 / 3)
    assert found.text == "seed 2 of 3, epoch 2 of 4, accuracy 50.0%"


def test_seeds_that_take_turns_count_together(paths, tell):
    forget(paths, *TRAININGS)
    for job in TRAININGS:
        tell(job, epochs=1)
    assert read_job_progress(paths, TRAININGS).share == pytest.approx(0.25)


def test_a_training_that_says_nothing_yet(paths):
    forget(paths, *TRAININGS)
    assert read_job_progress(paths, TRAININGS) is None


def test_a_damaged_file_is_as_none(paths, tell):
    forget(paths, *TRAININGS)
    tell(TRAININGS[0])
    paths.progress(TRAININGS[0]).write_text("{")
    assert read_job_progress(paths, TRAININGS) is None


def test_a_result_is_the_mean_over_the_seeds(paths):
    assert read_result(paths, TRAININGS) == (True, "accuracy 61.0% (n=3)")
    assert read_result(paths, TRAININGS[:1]) == (True, "accuracy 60.0%")


def test_a_latency_has_its_batch_size(paths):
    assert read_result(paths, [LATENCY]) == (True, "p50 2 ms at batch 1")


def test_a_seed_that_diverged_is_a_failure_with_its_reason(study, paths):
    job = TRAININGS[1]
    failed = make_failed_record(job, study.job_spec(job), "the loss is not finite")
    paths.record(job).write_text(failed.model_dump_json())
    ok, text = read_result(paths, TRAININGS)
    assert not ok
    assert text == "1 of 3 seeds: the loss is not finite"
    assert read_reason([], paths, TRAININGS) == "the loss is not finite"


def test_a_record_that_cannot_be_read_is_named(paths):
    paths.record(LATENCY).write_text("{")
    ok, text = read_result(paths, [LATENCY])
    assert not ok
    assert str(paths.record(LATENCY)) in text


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        ("12:00 a\nresnest-bench: error: the  disk is full\n\n", "the disk is full"),
        ("resnest-bench: error: first\nresnest-bench: error: second\nlater\n", "second"),
        ("Traceback\n  File x\nRuntimeError: no\n", "RuntimeError: no"),
        ("x" * 100_000 + "\nfree(): invalid pointer\n", "free(): invalid pointer"),
        ("\n \n", "log is empty"),
        (b"\xff\xfe\n", "\ufffd\ufffd"),
    ],
)
def test_the_line_that_says_why(tmp_path, log, reason):
    file = tmp_path / "job.log"
    file.write_bytes(log if isinstance(log, bytes) else log.encode())
    assert reason in read_reason([file], None, ())


def test_the_schedulers_own_log_says_what_the_jobs_does_not(tmp_path):
    (tmp_path / "job.log").write_text("12:00 epoch 1\n")
    (tmp_path / "slurm.log").write_text("slurmstepd: error: DUE TO TIME LIMIT\n")
    logs = [tmp_path / "job.log", tmp_path / "slurm.log"]
    assert "TIME LIMIT" in read_reason(logs, None, ())


def test_no_log_at_all(tmp_path, paths):
    assert "log is empty" in read_reason([tmp_path / "gone.log"], None, ())
    assert "log is empty" in read_reason([], paths, [LATENCY])
    assert records.read(paths.record(LATENCY), LATENCY).status == "ok"
