"""How trainings share cores: decided by what was measured, and by the records that are there."""

import pytest

from resnest_bench.paths import Job
from resnest_bench.planning import cores as module
from resnest_bench.planning.cores import (
    Choice,
    CoreUse,
    choose_core_use,
    count_fitting,
    find_threads,
    list_core_uses,
    measure_core_uses,
)
from resnest_bench.planning.datasets import DatasetFacts
from resnest_bench.planning.worker import Answer
from support.records_factory import GPU, make_study, make_train_record

STUDY = make_study()
JOB = Job("train", "low", "quick", "A", 0)


@pytest.fixture(autouse=True)
def memory(monkeypatch):
    """10 GB are free, of which 8 may be taken."""
    monkeypatch.setattr(module.psutil, "virtual_memory", lambda: Memory)


class Memory:
    available = 10_000_000_000


def measured(usual, other, peak=1_000_000_000):
    def measure(ways):
        speeds = zip(ways, (usual, other), strict=True)
        return {core_use: Answer(speed, peak) for core_use, speed in speeds}

    return measure


def never(ways):
    raise AssertionError("nothing is to be measured")


def test_ways_use_all_cores_that_jobs_leave_nobody_without():
    assert list_core_uses(4, 10) == [CoreUse(4, 1), CoreUse(1, 4)]
    assert list_core_uses(8, 3) == [CoreUse(3, 2), CoreUse(1, 8)]
    assert list_core_uses(4, 1) == [CoreUse(1, 4)]
    assert list_core_uses(1, 9) == [CoreUse(1, 1)]


@pytest.mark.parametrize(
    ("usual", "other", "taken"),
    [
        (100.0, 80.0, CoreUse(4, 1)),
        (100.0, 109.0, CoreUse(4, 1)),  # noise must not decide
        (100.0, 111.0, CoreUse(1, 4)),
    ],
)
def test_the_faster_way_is_taken(usual, other, taken):
    choice = choose_core_use(4, 10, None, measured(usual, other))
    assert choice.core_use == taken
    assert choice.measured == {CoreUse(4, 1): usual, CoreUse(1, 4): other}
    assert all(f"{speed:.0f} images/s" in str(choice) for speed in (usual, other))


def test_what_does_not_fit_into_memory_does_not_run_side_by_side():
    assert count_fitting(2_000_000_000) == 4
    fits, too_large = (measured(100.0, 50.0, peak) for peak in (2_000_000_000, 2_100_000_000))
    assert choose_core_use(4, 10, None, fits).core_use == CoreUse(4, 1)
    assert choose_core_use(4, 10, None, too_large).core_use == CoreUse(1, 4)


def test_records_that_are_there_decide_the_threads():
    # Others would be rows of their own in every table.
    assert choose_core_use(4, 10, 1, never).core_use == CoreUse(4, 1)
    assert choose_core_use(4, 10, 2, never).core_use == CoreUse(2, 2)
    assert choose_core_use(4, 10, 8, never).core_use == CoreUse(1, 8)


def test_one_core_and_one_training_leave_nothing_to_measure():
    assert choose_core_use(1, 10, None, never).core_use == CoreUse(1, 1)
    assert choose_core_use(4, 1, None, never).core_use == CoreUse(1, 4)


def test_threads_are_those_of_trainings_on_a_cpu():
    record = make_train_record(JOB, STUDY.job_spec(JOB))
    gpu = make_train_record(JOB, STUDY.job_spec(JOB), device=GPU)
    assert find_threads([record, gpu]) == 2
    assert find_threads([gpu]) is None
    assert find_threads([]) is None


def test_snakemake_is_told_by_its_own_options():
    options = Choice(CoreUse(2, 1), "", {}).options(["train", "finetune"])
    assert options == [
        "--set-threads",
        "train=1",
        "finetune=1",
        "--set-resources",
        "train:gpu=0",
        "finetune:gpu=0",
    ]
    assert Choice(CoreUse(1, 4), "", {}).options(["train"]) == ["--set-threads", "train=4"]


@pytest.mark.slow
def test_processes_really_train_side_by_side():
    ways = [CoreUse(2, 1), CoreUse(1, 2)]
    data = DatasetFacts(64, 16, 16, 3, (16, 16))
    found = measure_core_uses(STUDY.variant("A"), STUDY.recipe("quick"), data, ways)
    assert set(found) == set(ways)
    assert all(a.images_per_second > 0 and a.peak_bytes > 1e8 for a in found.values())
