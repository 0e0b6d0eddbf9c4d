"""How far a study is, from files that this process has not written."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from resnest_bench.live.from_files import find_log, read_states, read_status
from resnest_bench.paths import DataPaths, Job
from resnest_bench.records.progress import read_progress, write_progress
from support.records_factory import CONFIG, make_failed_record, make_study

TRAININGS = tuple(Job("train", "low", "quick", "B", seed) for seed in range(3))
# When `tell` says that a training spoke. Each of its epochs takes 2.5 s.
SPOKE = datetime(2026, 1, 1, tzinfo=UTC)
SOON = SPOKE + timedelta(seconds=5)


@pytest.fixture
def study():
    """Trainings of as many epochs as `tell` says."""
    quick = CONFIG["recipes"]["quick"] | {"epochs": 4}
    return make_study(recipes=CONFIG["recipes"] | {"quick": quick})


def forget(paths, *jobs):
    for job in jobs:
        paths.record(job).unlink()


def write_log(paths, job, text):
    paths.log(job).parent.mkdir(parents=True, exist_ok=True)
    paths.log(job).write_text(text)


def test_a_finished_study(study, paths):
    status = read_status(study, paths)
    seen = status.snapshot
    assert (seen.done, seen.total, seen.failed) == (len(study.jobs()), len(study.jobs()), 0)
    assert (seen.running, seen.left, status.failed) == ((), None, ())
    assert len(seen.outcomes) == 5
    assert seen.unit == "records"


def test_what_runs_says_its_seed_epoch_and_accuracy(study, paths, tell):
    forget(paths, *TRAININGS[1:])
    tell(TRAININGS[1], epochs=2)
    seen = read_status(study, paths, SOON).snapshot
    assert seen.done == seen.total - 2
    (running,) = seen.running
    assert "seed 1" in running.title
    assert running.progress == "epoch 2 of 4, accuracy 50.0%"
    # Two epochs of 2.5 s, and 5 s since.
    assert running.seconds == pytest.approx(10)


def test_the_time_left_is_that_of_such_records(study, paths, tell):
    forget(paths, *TRAININGS[1:])
    tell(TRAININGS[1], epochs=2)
    wall = read_wall_seconds(study, paths)
    left = read_status(study, paths, SOON).snapshot.left
    # Half of one is done, in 10 s; the other takes what those that ended took.
    assert left.seconds == pytest.approx(10 + wall)
    assert left.all_known


def read_wall_seconds(study, paths):
    records = [
        json.loads(paths.record(job).read_text())["train"]["wall_seconds"]
        for job in study.jobs()
        if job.kind == "train" and paths.record(job).exists()
    ]
    return sum(records) / len(records)


def test_a_training_that_was_silent_for_long_has_stopped(study, paths, tell):
    forget(paths, TRAININGS[0])
    tell(TRAININGS[0], epochs=2)
    noted = read_status(study, paths, SPOKE + timedelta(seconds=45)).snapshot
    assert "45 s ago" in noted.running[0].progress
    later = read_status(study, paths, SPOKE + timedelta(minutes=10)).snapshot
    assert later.running == ()
    assert "epoch 2 of 4" in later.outcomes[-1].text


def test_a_training_in_its_first_epoch_may_be_silent(study, paths, tell):
    forget(paths, TRAININGS[0])
    tell(TRAININGS[0], epochs=0)
    assert read_status(study, paths, SPOKE + timedelta(minutes=30)).snapshot.running
    assert not read_status(study, paths, SPOKE + timedelta(days=1)).snapshot.running


def test_progress_beside_its_record_or_damaged_is_none(study, paths, tell):
    tell(TRAININGS[0])
    forget(paths, TRAININGS[1])
    tell(TRAININGS[1])
    paths.progress(TRAININGS[1]).write_text("{")
    assert read_status(study, paths, SOON).snapshot.running == ()


def test_progress_by_a_recipe_that_has_changed_is_none(study, paths, tell):
    forget(paths, TRAININGS[0])
    tell(TRAININGS[0])
    assert read_status(study, paths, SOON).snapshot.running
    assert read_status(make_study(), paths, SOON).snapshot.running == ()


def test_failures_have_their_reason_and_their_log(study, paths):
    diverged, damaged, broken = TRAININGS[0], Job("latency", "low", "fast", "A", 0), TRAININGS[1]
    failed = make_failed_record(diverged, study.job_spec(diverged), "the loss is not finite")
    paths.record(diverged).write_text(failed.model_dump_json())
    paths.record(damaged).write_text("{")
    forget(paths, *TRAININGS[1:])
    write_log(paths, broken, "12:00 epoch 1\nresnest-bench: error: the disk is full\n")
    status = read_status(study, paths)
    reasons = {outcome.title: outcome.text for _, outcome in status.failed}
    assert "the loss is not finite" in reasons.pop(str(diverged))
    assert str(paths.record(damaged)) in reasons.pop(str(damaged))
    # Two seeds of one job: it is named once.
    assert list(reasons.values()) == ["the disk is full"]
    assert status.snapshot.failed == 3
    assert [job.log for job, _ in status.failed].count(paths.log(broken)) == 2


def test_a_job_that_was_interrupted_has_not_failed(study, paths):
    forget(paths, TRAININGS[0])
    write_log(paths, TRAININGS[0], "resnest-bench: error: stopped by SIGINT; go on\n")
    assert read_status(study, paths).failed == ()


def test_an_error_of_before_is_none_while_the_job_runs(study, paths, tell):
    forget(paths, *TRAININGS)
    write_log(paths, TRAININGS[0], "resnest-bench: error: no\n")
    tell(TRAININGS[0])
    assert read_status(study, paths, SOON).failed == ()


def tell_as(paths, job, process):
    """Make the progress of `job` that of another process of this machine."""
    write_progress(paths.progress(job), read_progress(paths.progress(job), job))
    told = json.loads(paths.progress(job).read_text())
    told["writer"] |= {"pid": process.pid, "started": psutil.Process(process.pid).create_time()}
    paths.progress(job).write_text(json.dumps(told))


@pytest.fixture
def sleeper():
    """A process that does nothing for a minute."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def test_a_killed_training_has_stopped_at_once(study, paths, tell, sleeper):
    forget(paths, TRAININGS[0])
    tell(TRAININGS[0], epochs=2)
    tell_as(paths, TRAININGS[0], sleeper)
    # A silence of hours is no end where the process can be asked.
    assert read_status(study, paths, SPOKE + timedelta(hours=9)).snapshot.running
    sleeper.kill()
    sleeper.wait()
    seen = read_status(study, paths, SOON).snapshot
    assert seen.running == ()
    assert "epoch 2 of 4" in seen.outcomes[-1].text


@pytest.mark.parametrize(
    ("part", "value"),
    [("machine", "elsewhere"), ("started", 0.0)],
    ids=["machine", "number reused"],
)
def test_the_number_of_a_process_alone_says_nothing(study, paths, tell, sleeper, part, value):
    forget(paths, TRAININGS[0])
    tell(TRAININGS[0], epochs=2)
    tell_as(paths, TRAININGS[0], sleeper)
    told = json.loads(paths.progress(TRAININGS[0]).read_text())
    told["writer"][part] = value
    paths.progress(TRAININGS[0]).write_text(json.dumps(told))
    progress = read_progress(paths.progress(TRAININGS[0]), TRAININGS[0])
    assert progress.is_alive is (None if part == "machine" else False)


def test_a_seed_that_a_look_added_has_a_log_of_its_own(paths):
    more = make_study().with_seeds({("low", "quick", "A"): (7,)})
    added = Job("train", "low", "quick", "A", 7)
    # As rule train_more names it.
    log = paths.root / "logs/train/low/quick/A-seed-7.log"
    assert find_log(more, paths, added) == log
    log.parent.mkdir(parents=True)
    log.write_text("resnest-bench: error: the disk is full\n")
    (failure,) = read_status(more, paths).failed
    assert failure[1].text == "the disk is full"
    assert failure[0].log == log


HUB = "resnet10t.c3_in1k"


@pytest.fixture
def tuned(tmp_path):
    """A study whose fine-tunings need weights of the hub and data, neither of which is there."""
    block = CONFIG["finetune"][0] | {"weights": {"A": {"hub": HUB}}}
    return make_study(finetune=[block], data_dir=str(tmp_path / "data"))


def test_what_a_job_waits_for_is_named_with_its_reason(tuned, paths):
    tunings = [job for job in tuned.jobs() if job.kind == "finetune" and tuned.weights(job)]
    timed = [job for job in tuned.jobs() if job.dataset == "low" and job.kind == "latency"]
    forget(paths, *[job for job in [*tunings, *timed] if paths.record(job).exists()])
    for log, text in (
        (paths.weights_log(HUB), "the hub is out of reach"),
        (paths.data_log(tuned.prepared("low")), "no such folder"),
    ):
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(f"resnest-bench: error: {text}\n")
    status = read_status(tuned, paths)
    failed = {outcome.text: live for live, outcome in status.failed}
    assert set(failed["the hub is out of reach"].records) == set(tunings)
    assert failed["the hub is out of reach"].log == paths.weights_log(HUB)
    assert set(failed["no such folder"].records) == set(timed)
    # Once the weights are there, their old log says nothing.
    weights = tmp_weights(tuned)
    weights.parent.mkdir(parents=True)
    weights.touch()
    assert "the hub is out of reach" not in {o.text for _, o in read_status(tuned, paths).failed}


def tmp_weights(study):
    return DataPaths(Path(study.data_dir)).hub_weights(HUB)


def test_states_from_elsewhere_are_taken_for_the_records(study, paths):
    states = read_states(study, paths)
    shown = read_status(study, paths)
    assert read_status(study, paths, states=states) == shown
    assert read_status(study, paths, states=states[:1]).snapshot.total == 1
