import math

import numpy as np
import pandas as pd
import pytest

from resnest_bench import records
from resnest_bench.frames.rows import collect
from resnest_bench.paths import Job
from resnest_bench.tables.noise import (
    ALL_ALIKE,
    NO_RECORD,
    NO_REFERENCE,
    ONE_JOB,
    describe_floor,
    format_floor,
    noise_floor,
    noise_floors,
    noise_table,
    reference_frame,
)
from support.records_factory import GPU, make_record, make_study


def reference(rows, **changes):
    frame = pd.DataFrame(rows, columns=["round", "before_ms", "after_ms"])
    return frame.assign(device_name="Testium", model="r18", batch_size=8, **changes)


# Two rounds of two jobs. Logarithms: round 0 has 0 and 0.02 before and after, round 1 is 0.1 later.
STEADY = reference(
    [(r, math.exp(0.1 * r + j), math.exp(0.1 * r + j)) for r in (0, 1) for j in (0.0, 0.02)]
)


def test_the_floor_by_hand():
    floor = noise_floor(STEADY)
    # Deviations of 0.01 in each of four jobs, twice; two degrees of freedom: sqrt(8e-4 / 4).
    assert floor.job == pytest.approx(math.sqrt(2e-4))
    assert floor.degrees_of_freedom == 2
    # The rounds' means are 0.01 and 0.11.
    assert floor.round == pytest.approx(0.1 / math.sqrt(2))
    assert (floor.drift, floor.bias) == (pytest.approx(0), pytest.approx(0))
    # t(0.975, 2) = 4.302653 (tables), both in three rounds.
    expected = math.exp(4.302653 * math.sqrt(2e-4) * math.sqrt(2 / 3))
    assert floor.noise_ratio(3) == pytest.approx(expected, rel=1e-6)


def test_drift_and_bias_are_from_before_to_after():
    after = STEADY["before_ms"] * np.exp([0.01, 0.03, 0.01, 0.03])
    floor = noise_floor(STEADY.assign(after_ms=after))
    assert floor.bias == pytest.approx(0.02)
    # Changes have a variance of 4e-4 / 3; each holds two timings.
    assert floor.drift == pytest.approx(math.sqrt(4e-4 / 3 / 2))


def test_differences_are_said_to_be_below_or_above():
    floor = noise_floor(STEADY)
    assert floor.noise_ratio(2) == pytest.approx(1.0627, abs=1e-4)
    below, above = floor.describe_difference(1.02, 1.0, 2), floor.describe_difference(0.9, 1.0, 2)
    assert below.startswith("2.0 % slower, below")
    assert above.startswith("10.0 % faster, above")
    assert below.endswith(" 6.3 %")
    assert above.endswith(" 6.3 %")
    assert floor.covers(1.0, 1.05, 2)
    assert not floor.covers(1.0, 1.07, 2)


def test_a_job_a_round_tells_no_floor():
    floor = noise_floor(STEADY.iloc[[0, 2]])
    assert (floor.job, floor.noise_ratio(2), floor.degrees_of_freedom) == (None, None, 0)
    assert floor.covers(1.0, 1.1, 2) is None
    assert floor.describe_difference(1.0, 1.1, 2).endswith(ONE_JOB)
    one = noise_floor(STEADY.iloc[:1])
    assert (one.round, one.drift, one.num_jobs) == (None, None, 1)


def test_what_is_no_noise():
    with pytest.raises(ValueError, match=NO_REFERENCE):
        noise_floor(STEADY.iloc[:0])
    with pytest.raises(ValueError, match="one device_name"):
        noise_floor(STEADY.assign(device_name=["a", "a", "b", "b"]))
    with pytest.raises(ValueError, match="one model"):
        noise_floor(STEADY.assign(model=["a", "a", "b", "b"]))


def test_timings_that_never_differ_tell_no_floor():
    floor = noise_floor(STEADY.assign(before_ms=10.0, after_ms=10.0))
    assert (floor.job, floor.noise_ratio(3)) == (0, None)
    text = floor.describe_difference(1.1, 1.0, 3)
    assert text.startswith("10.0 % slower")
    assert text.endswith(ALL_ALIKE)


def latency(variant, number):
    return Job("latency", "low", "fast", variant, number)


def timed(study, job, before_ms, after_ms, **fields):
    record = make_record(study, job, **fields)
    timings = {"before_ms": before_ms, "after_ms": after_ms}
    reference = record.latency.reference.model_copy(update=timings)
    return record.model_copy(
        update={"latency": record.latency.model_copy(update={"reference": reference})}
    )


@pytest.fixture
def runs_of_rounds(study, paths):
    """STEADY's timings as the medians of A and B in two rounds; T's are left out of the study."""
    study = make_study(
        latency=[{"dataset": "low", "protocol": "fast", "rounds": 2, "variants": ["A", "B"]}]
    )
    for (number, variant), row in zip(
        [(r, v) for r in (0, 1) for v in "AB"], STEADY.to_dict("records"), strict=True
    ):
        job = latency(variant, number)
        low, high = 0.9 * row["before_ms"], 1.5 * row["before_ms"]
        before, after = [low, row["before_ms"], high], [low, row["after_ms"], high]
        records.write(paths.record(job), timed(study, job, before, after))
    return lambda: collect(study, paths)


def test_runs_hold_the_medians_of_the_reference(study, paths):
    runs = collect(study, paths).set_index(["kind", "variant", "seed"]).sort_index()
    # The factory's timings: 9, 10, 12 ms before; 10, 11, 20 ms after.
    names = [f"reference_{name}" for name in ("before_ms", "after_ms", "model", "batch_size")]
    assert runs.loc[("latency", "A", 0), names].tolist() == [10.0, 11.0, "resnet18", 8]
    assert runs.loc[("train", "A", 0), names].isna().all()


def test_a_record_without_such_timings_has_none(study, paths):
    job = latency("A", 0)
    records.write(paths.record(job), timed(study, job, [], [1.0]))
    job = latency("B", 0)
    records.write(paths.record(job), timed(study, job, [0.0], [1.0]))
    assert reference_frame(collect(study, paths))["variant"].tolist() == ["T"]


def test_the_floor_of_runs_is_that_of_their_timings(runs_of_rounds):
    floors = noise_floors(runs_of_rounds())
    device = "CPU Testium 3000 (2 logical cores), 2 threads"
    assert list(floors) == [("low", "fast", device)]
    row = noise_table(runs_of_rounds()).iloc[0]
    # By hand above: sqrt(2e-4) a job, and 4.302653 = t(0.975, 2), in two rounds.
    assert row["job_percent"] == pytest.approx(100 * math.sqrt(2e-4))
    assert row["floor_percent"] == pytest.approx(
        100 * (math.exp(4.302653 * math.sqrt(2e-4)) - 1), rel=1e-6
    )
    assert row["round_percent"] == pytest.approx(100 * 0.1 / math.sqrt(2))
    assert row[["num_jobs", "num_rounds", "degrees_of_freedom"]].tolist() == [4, 2, 2]
    text = describe_floor(row)
    assert all(part in text for part in ("protocol fast", "in low", device, "2 rounds", "6.3 %"))


def test_every_device_has_a_floor_of_its_own(runs_of_rounds, study, paths):
    for number in (0, 1):
        job = latency("B", number)
        made = timed(study, job, [5.0], [5.1], device=GPU)
        records.write(paths.record(job), made)
    table = noise_table(runs_of_rounds())
    assert table["device"].tolist() == [
        "CPU Testium 3000 (2 logical cores), 2 threads",
        "GPU NVIDIA Testla",
    ]
    # One job a round is left on each.
    assert table["floor_percent"].isna().all()
    text = describe_floor(table.iloc[1])
    assert "on GPU NVIDIA Testla" in text
    assert text.endswith(f"{ONE_JOB}.")


def test_why_a_floor_is_not_known(runs_of_rounds, study, paths):
    job = latency("A", 0)
    other = timed(study, job, [5.0], [5.0])
    reference = other.latency.reference.model_copy(update={"model": "resnet50"})
    other = other.model_copy(
        update={"latency": other.latency.model_copy(update={"reference": reference})}
    )
    records.write(paths.record(job), other)
    assert "one model" in noise_table(runs_of_rounds())["reason"].item()
    for variant, number in ((v, n) for v in "AB" for n in (0, 1)):
        job = latency(variant, number)
        records.write(paths.record(job), timed(study, job, [], []))
    row = noise_table(runs_of_rounds()).iloc[0]
    assert row["reason"] == NO_REFERENCE
    for variant, number in ((v, n) for v in "AB" for n in (0, 1)):
        paths.record(latency(variant, number)).unlink()
    row = noise_table(runs_of_rounds()).iloc[0]
    text = describe_floor(row)
    assert "protocol fast (images as in low): " in text
    assert text.endswith(f"{NO_RECORD}.")


def test_stale_timings_count_only_where_there_are_no_others(runs_of_rounds, study, paths):
    job = latency("A", 0)
    records.write(paths.record(job), timed(study, job, [90.0], [90.0], code_digest="old"))
    assert noise_table(runs_of_rounds())["num_jobs"].item() == 3


def test_small_percentages_are_not_said_to_be_none():
    assert [format_floor(p) for p in (12.34, 0.1, 0.0951, 0.04, 0.0012)] == [
        "12.3",
        "0.1",
        "0.1",
        "0.04",
        "0.001",
    ]
