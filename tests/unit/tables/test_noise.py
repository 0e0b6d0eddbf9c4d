import math

import numpy as np
import pandas as pd
import pytest

from resnest_bench.paths import Job
from resnest_bench.tables.noise import is_noise, noise_floor, noise_text, reference_frame
from support.records_factory import make_latency_record, make_train_record


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
    assert floor.least_ratio(3) == pytest.approx(expected, rel=1e-6)


def test_drift_and_bias_are_from_before_to_after():
    after = STEADY["before_ms"] * np.exp([0.01, 0.03, 0.01, 0.03])
    floor = noise_floor(STEADY.assign(after_ms=after))
    assert floor.bias == pytest.approx(0.02)
    # Changes have a variance of 4e-4 / 3; each holds two timings.
    assert floor.drift == pytest.approx(math.sqrt(4e-4 / 3 / 2))


def test_differences_are_said_to_be_below_or_above():
    floor = noise_floor(STEADY)
    assert floor.least_ratio(2) == pytest.approx(1.0627, abs=1e-4)
    assert noise_text(floor, 1.02, 1.0, 2) == "2.0 % slower: below the noise floor of 6.3 %"
    assert noise_text(floor, 0.9, 1.0, 2) == "10.0 % faster: above the noise floor of 6.3 %"
    assert is_noise(floor, 1.0, 1.05, 2)
    assert not is_noise(floor, 1.0, 1.07, 2)


def test_a_job_a_round_tells_no_floor():
    floor = noise_floor(STEADY.iloc[[0, 2]])
    assert (floor.job, floor.least_ratio(2), floor.degrees_of_freedom) == (None, None, 0)
    assert is_noise(floor, 1.0, 1.1, 2) is None
    assert "not known" in noise_text(floor, 1.0, 1.1, 2)
    one = noise_floor(STEADY.iloc[:1])
    assert (one.round, one.drift, one.num_jobs) == (None, None, 1)


def test_what_is_no_noise():
    with pytest.raises(ValueError, match="no latency job"):
        noise_floor(STEADY.iloc[:0])
    with pytest.raises(ValueError, match="of one device_name"):
        noise_floor(STEADY.assign(device_name=["a", "a", "b", "b"]))
    with pytest.raises(ValueError, match="of one model"):
        noise_floor(STEADY.assign(model=["a", "a", "b", "b"]))


def test_the_reference_of_every_latency_record():
    job = Job("latency", "low", "fast", "A", 2)
    made = make_latency_record(job, {})
    train = make_train_record(Job("train", "low", "quick", "A", 0), {})
    silent = made.latency.model_copy(
        update={"reference": made.latency.reference.model_copy(update={"after_ms": []})}
    )
    seen = reference_frame([made, train, made.model_copy(update={"latency": silent})])
    # The factory's timings: 9, 10, 12 ms before; 10, 11, 20 ms after.
    assert seen.to_dict("records") == [
        {"dataset": "low", "protocol": "fast", "variant": "A", "round": 2,
         "device_name": made.environment.device_name, "model": "resnet18", "batch_size": 8,
         "before_ms": 10.0, "after_ms": 11.0}
    ]  # fmt: skip
    assert noise_floor(seen).bias == pytest.approx(math.log(1.1))
    assert not len(reference_frame([train]))
