"""The measuring logic, with a clock of our own where time matters, and one real measurement."""

import types

import pytest
import torch
from torch import nn

from resnest_bench.errors import UserError
from resnest_bench.measure import latency
from resnest_bench.measure.evaluation import evaluate
from resnest_bench.specs import LatencySpec, ResNestVariant, TimmVariant

CPU = torch.device("cpu")
GPU = torch.device("cuda", 0)
SMALL = ResNestVariant(
    name="A", family="resnest", layers=(1,), radix=2, width=16, stem="deep", stem_width=8
)
QUICK = LatencySpec(
    batch_sizes=(1, 3), min_samples=6, min_seconds=0, warmup_calls=2, warmup_seconds=0,
    paper_batch_size=4, paper_batches=2, reference_samples=3, reference_model="test_resnet",
)  # fmt: skip


class Clock:
    """time.perf_counter whose seconds pass only where `call` spends them."""

    def __init__(self, monkeypatch, seconds_per_call):
        self.now, self.calls, self.seconds = 0.0, 0, seconds_per_call
        fake = types.SimpleNamespace(perf_counter=lambda: self.now)
        monkeypatch.setattr(latency, "time", fake)

    def call(self):
        self.calls += 1
        self.now += self.seconds


@pytest.mark.parametrize(
    ("seconds", "limits", "expected"),
    [
        # 0.01 s a call: the minimum duration of 1 s decides.
        (0.01, {"min_samples": 30, "min_seconds": 1.0}, 100),
        # 1 s a call: the minimum count decides.
        (1.0, {"min_samples": 30, "min_seconds": 2.0}, 30),
        # 5 s a call: the time limit of 60 s decides.
        (5.0, {"min_samples": 30, "min_seconds": 2.0, "max_seconds": 60.0}, 12),
        # 100 s a call: five samples at least, whatever the limit.
        (100.0, {"min_samples": 30, "min_seconds": 2.0, "max_seconds": 60.0}, 5),
    ],
)
def test_sampling_stops_on_count_and_duration(monkeypatch, seconds, limits, expected):
    clock = Clock(monkeypatch, seconds)
    samples = latency.sample(clock.call, CPU, LatencySpec(**limits))
    assert len(samples.wall_ms) == pytest.approx(expected, abs=1)
    assert samples.wall_ms == pytest.approx([seconds * 1000] * len(samples.wall_ms))
    assert samples.device_ms is None


def test_warm_up_reaches_both_limits(monkeypatch):
    clock = Clock(monkeypatch, 0.1)
    assert latency.warm_up(clock.call, CPU, LatencySpec(warmup_calls=3, warmup_seconds=1.0)) >= 10
    clock = Clock(monkeypatch, 10.0)
    assert latency.warm_up(clock.call, CPU, LatencySpec(warmup_calls=3, warmup_seconds=1.0)) == 3


def test_a_sample_is_synchronised_at_both_ends(monkeypatch):
    order = []
    monkeypatch.setattr(latency, "synchronise", lambda _: order.append("synchronise"))
    latency.timed_ms(lambda: order.append("call"), GPU)
    assert order == ["synchronise", "call", "synchronise"]


def test_on_a_gpu_events_stand_beside_the_wall_clock(monkeypatch):
    class Event:
        def __init__(self, enable_timing):
            assert enable_timing

        def record(self):
            pass

        def elapsed_time(self, _):
            return 0.25

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda _: None)
    clock = Clock(monkeypatch, 0.5)
    samples = latency.sample(clock.call, GPU, LatencySpec(min_samples=4, min_seconds=0))
    assert samples.device_ms == [0.25] * 4
    assert samples.wall_ms == [500.0] * 4


def test_what_needs_a_gpu_is_listed_with_the_reason():
    spec = QUICK.model_copy(
        update={"precisions": ("fp32", "tf32"), "modes": ("eager", "cudagraph")}
    )
    seen = latency.measure_latency(SMALL, 10, 32, spec, CPU)
    assert {(c.precision, c.mode) for c in seen.cells} == {("fp32", "eager")}
    reasons = {(u.precision, u.mode): u.reason for u in seen.unavailable}
    assert set(reasons) == {("fp32", "cudagraph"), ("tf32", "eager"), ("tf32", "cudagraph")}
    assert reasons["fp32", "cudagraph"] == "CUDA graphs need an NVIDIA GPU"


@pytest.fixture(scope="module")
def seen():
    return latency.measure_latency(SMALL, 10, 32, QUICK, CPU)


def test_cold_start_first_call_and_steady_state_are_three_figures(seen):
    assert seen.cold_start_ms >= seen.build_ms + seen.first_call_ms
    assert min(seen.build_ms, seen.first_call_ms) > 0
    assert [cell.batch_size for cell in seen.cells] == [1, 3]
    assert all(len(cell.samples_ms) == 6 and cell.num_warmup == 2 for cell in seen.cells)
    assert all(cell.first_call_ms > 0 for cell in seen.cells)


def test_reference_paper_timing_and_memory_are_there(seen):
    assert len(seen.reference.before_ms) == len(seen.reference.after_ms) == 3
    assert (seen.paper.batch_size, seen.paper.num_batches) == (4, 2)
    assert seen.paper.total_ms > 0
    assert seen.peak_rss_bytes > 2**26
    assert seen.state_after.cpu_load_1min is not None


def test_a_cell_that_fails_is_listed_and_the_others_go_on(monkeypatch):
    original = latency.measure_cell

    def measure_cell(model, batch, *args):
        if batch == 3:
            raise RuntimeError("CUDA out of memory. Tried to allocate\nmore lines")
        return original(model, batch, *args)

    monkeypatch.setattr(latency, "measure_cell", measure_cell)
    seen = latency.measure_latency(SMALL, 10, 32, QUICK, CPU)
    assert [cell.batch_size for cell in seen.cells] == [1]
    assert seen.unavailable[0].reason == "RuntimeError: CUDA out of memory. Tried to allocate"


def test_a_network_that_cannot_take_the_image_is_an_error():
    variant = TimmVariant(name="V", family="timm", model="vit_tiny_patch16_224")
    with pytest.raises(UserError, match="cannot take one image of 32x32"):
        latency.measure_latency(variant, 10, 32, QUICK, CPU)


def test_bf16_converts_the_weights_and_leaves_the_model():
    model = nn.Conv2d(3, 4, 3)
    setting = latency.Setting("bf16", "channels_last", "eager")
    copy = latency.in_setting(model, setting)
    assert copy.weight.dtype == torch.bfloat16
    assert model.weight.dtype == torch.float32
    image = latency.make_input(2, 8, setting, CPU)
    assert image.dtype == torch.bfloat16
    assert image.is_contiguous(memory_format=torch.channels_last)


def test_evaluation_by_hand():
    """Two images: logits (2, 0) with label 0, and (2, 0) with label 1."""
    model = nn.Identity().train()
    batches = [(torch.tensor([[2.0, 0.0]]), torch.tensor([0])),
               (torch.tensor([[2.0, 0.0]]), torch.tensor([1]))]  # fmt: skip
    seen = evaluate(model, batches)
    assert seen.correct.tolist() == [True, False]
    assert seen.accuracy == 0.5
    # log(1 + e^-2) and log(1 + e^2), averaged.
    assert seen.loss == pytest.approx((0.126928 + 2.126928) / 2, abs=1e-5)
    assert model.training
