"""A protocol's time: against sums by hand."""

import pytest
import torch

from resnest_bench.measure.deployment import Setting
from resnest_bench.planning.clock import Clock
from resnest_bench.planning.latencies import (
    CallTime,
    cell_seconds,
    max_seconds,
    measure_calls,
    price_latency,
    reference_seconds,
    sample_seconds,
    warm_up_seconds,
)
from resnest_bench.specs import LatencySpec
from support.records_factory import make_study

SPEC = LatencySpec(min_samples=30, min_seconds=2, warmup_seconds=0.5)


@pytest.mark.parametrize(
    ("call", "warm_up", "samples"),
    [
        (0.001, 0.5, 2.0),  # the least seconds
        (0.2, 1.0, 6.0),  # 5 calls, and 30
        (5.0, 25.0, 60.0),  # 30 calls would take 150 s: the protocol's most
        (20.0, 80.0, 100.0),  # 60 s and one call; at least 5 samples
    ],
)
def test_a_cell_takes_what_its_protocol_asks_for(call, warm_up, samples):
    assert warm_up_seconds(call, SPEC) == pytest.approx(warm_up)
    assert sample_seconds(call, SPEC) == pytest.approx(samples)
    assert cell_seconds(call, SPEC, "eager") == pytest.approx(call + warm_up + samples)
    # Another mode is compared with an eager call.
    assert cell_seconds(call, SPEC, "folded") == pytest.approx(2 * call + warm_up + samples)


def test_a_record_is_its_cells_its_reference_and_the_papers_batches():
    changes = {"batch_sizes": (1, 3), "paper_batch_size": 5, "paper_batches": 2}
    spec = SPEC.model_copy(update=changes)
    calls = {Setting("fp32", "channels_last", "eager"): CallTime(one=0.1, further=0.05)}
    # Calls of 0.1, 0.2 and 0.3 s; the reference's of 0.01 s.
    cells = (0.1 + 0.5 + 3.0) + (0.2 + 1.0 + 6.0)
    reference = 2 * (0.5 + 20 * 0.01)
    assert reference_seconds(0.01, spec) == pytest.approx(reference)
    found = price_latency(calls, 0.01, 0.7, spec)
    assert found == pytest.approx(0.7 + reference + cells + 3 * 0.3)
    without = spec.model_copy(update={"paper_batch_size": None})
    assert price_latency(calls, 0.01, 0.7, without) == pytest.approx(0.7 + reference + cells)


def test_the_most_that_all_cells_take():
    spec = LatencySpec(batch_sizes=(1, 8), precisions=("fp32", "bf16"), max_seconds=10.0)
    assert max_seconds(spec) == 2 * 10.0 * 4


def test_settings_that_this_device_cannot_do_cost_nothing():
    spec = LatencySpec(precisions=("fp32", "tf32"), modes=("eager", "cudagraph", "folded"))
    variant = make_study().variant("A")
    calls, build = measure_calls(variant, 10, 32, spec, Clock(torch.device("cpu")))
    assert {(s.precision, s.mode) for s in calls} == {("fp32", "eager"), ("fp32", "folded")}
    assert build > 0
    # Both are called alike.
    assert len(set(calls.values())) == 1
