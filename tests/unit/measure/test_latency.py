"""The measuring logic, with a clock of our own where time matters, and one real measurement."""

import copy
import types

import pytest
import torch
from torch import nn

from resnest_bench.deploy import problems
from resnest_bench.errors import UserError
from resnest_bench.measure import deployment, latency
from resnest_bench.measure.evaluation import Evaluator
from resnest_bench.specs import LatencySpec, ResNestVariant, TimmVariant
from support.shortage import Shortage

CPU = torch.device("cpu")
GPU = torch.device("cuda", 0)
SMALL = ResNestVariant(
    name="A", family="resnest", layers=(1,), radix=2, width=16, stem="deep", stem_width=8
)
QUICK = LatencySpec(
    batch_sizes=(1, 3),
    min_samples=6,
    min_seconds=0,
    warmup_calls=2,
    warmup_seconds=0,
    paper_batch_size=4,
    paper_batches=2,
    reference_samples=3,
    reference_model="test_resnet",
)


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
            raise RuntimeError("no kernel for this shape\nmore lines")
        return original(model, batch, *args)

    monkeypatch.setattr(latency, "measure_cell", measure_cell)
    seen = latency.measure_latency(SMALL, 10, 32, QUICK, CPU)
    assert [cell.batch_size for cell in seen.cells] == [1]
    assert seen.unavailable[0].reason == "RuntimeError: no kernel for this shape"
    assert (seen.unavailable[0].does_not_fit, seen.unavailable[0].memory_bytes) == (False, None)


@pytest.fixture
def short(monkeypatch):
    """The measured network runs out of memory with more than three images."""
    original = latency.build_model
    monkeypatch.setattr(
        latency, "build_model", lambda *args, **kw: Shortage(3).into(original(*args, **kw).eval())
    )
    monkeypatch.setattr(latency, "memory_bytes", lambda device: 15 * 2**30)


def test_a_batch_that_does_not_fit_is_a_row_and_the_other_cells_stand(short):
    spec = QUICK.model_copy(update={"batch_sizes": (1, 8, 3), "paper_batch_size": 2})
    seen = latency.measure_latency(SMALL, 10, 32, spec, CPU)
    assert [cell.batch_size for cell in seen.cells] == [1, 3]
    (gap,) = seen.unavailable
    assert (gap.batch_size, gap.does_not_fit, gap.memory_bytes) == (8, True, 15 * 2**30)
    assert gap.reason.startswith("does not fit into 15.0 GiB: OutOfMemoryError: CUDA out of memory")
    assert seen.paper.batch_size == 2
    assert not seen.paper_does_not_fit


def test_a_papers_batch_that_does_not_fit_is_said(short):
    seen = latency.measure_latency(SMALL, 10, 32, QUICK, CPU)
    assert [cell.batch_size for cell in seen.cells] == [1, 3]
    assert (seen.paper, seen.paper_does_not_fit) == (None, True)


def test_another_error_of_the_papers_batch_is_raised(monkeypatch):
    def fails(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(latency, "paper_timing", fails)
    with pytest.raises(ZeroDivisionError):
        latency.measure_latency(SMALL, 10, 32, QUICK, CPU)


def test_a_network_that_does_not_fit_at_all_is_an_error_that_says_so(monkeypatch):
    original = latency.build_model
    monkeypatch.setattr(
        latency, "build_model", lambda *args, **kw: Shortage(0).into(original(*args, **kw).eval())
    )
    with pytest.raises(UserError, match=r"A does not fit into [\d.]+ GiB.* one image of 32x32"):
        latency.measure_latency(SMALL, 10, 32, QUICK, CPU)


def with_modes(*modes, **more):
    return QUICK.model_copy(update={"modes": modes, "batch_sizes": (1,), **more})


def test_modes_are_timed_and_their_error_is_recorded():
    spec = with_modes("eager", "folded", "onnxruntime")
    seen = latency.measure_latency(SMALL, 10, 32, spec, CPU)
    assert [(c.layout, c.mode) for c in seen.cells] == [
        ("channels_last", "eager"),
        ("channels_last", "folded"),
        ("contiguous", "onnxruntime"),
    ]
    assert seen.unavailable == []
    assert seen.cells[0].output_error is None
    assert all(0 <= c.output_error < 1e-5 for c in seen.cells[1:])
    assert all(len(c.samples_ms) == 6 for c in seen.cells)


@pytest.mark.parametrize("wrong", [lambda y: 1.001 * y, lambda y: y[:, :5], lambda y: y * 0])
def test_a_mode_that_computes_something_else_is_never_timed(monkeypatch, wrong):
    calls = []

    def cheat(network, image):
        return lambda: calls.append(1) or wrong(network(image))

    monkeypatch.setitem(deployment.MODES, "folded", cheat)
    seen = latency.measure_latency(SMALL, 10, 32, with_modes("eager", "folded"), CPU)
    assert [c.mode for c in seen.cells] == ["eager"]
    (missing,) = seen.unavailable
    assert (missing.batch_size, missing.mode) == (1, "folded")
    assert missing.reason.startswith("outputs differ")
    assert "fp32" in missing.reason
    assert missing.reason.endswith(" 0.0001")
    assert len(calls) == 1


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_mode_that_forgets_the_norms_is_found_out(monkeypatch, precision):
    def forgetful(network, image):
        network = copy.deepcopy(network)
        for name, module in list(network.named_modules()):
            if isinstance(module, nn.BatchNorm2d):
                network.set_submodule(name, nn.Identity())
        return lambda: network(image)

    monkeypatch.setitem(deployment.MODES, "folded", forgetful)
    spec = with_modes("folded", precisions=(precision,))
    seen = latency.measure_latency(SMALL, 10, 32, spec, CPU)
    assert seen.cells == []
    assert "outputs differ" in seen.unavailable[0].reason


def test_the_first_call_holds_the_preparation(monkeypatch):
    clock = Clock(monkeypatch, 2.0)

    def slow(network, image):
        clock.now += 5.0
        return clock.call

    monkeypatch.setitem(deployment.MODES, "compiled", slow)
    _, _, first_ms = latency.first_call(nn.Identity(), torch.zeros(1), "compiled", CPU)
    assert first_ms == 7000.0


def test_a_graphs_output_is_compared_too(monkeypatch):
    """On a CPU, with a recording that copies to one tensor as a graph does."""

    def recorded(body):
        static = body().clone()
        return lambda: static.copy_(body())

    def graph(network, image):
        return deployment.cudagraph(network, image, recorded)

    monkeypatch.setitem(deployment.MODES, "cudagraph", graph)
    monkeypatch.setattr(latency, "check_available", lambda *_: None)
    seen = latency.measure_latency(SMALL, 10, 32, with_modes("cudagraph"), CPU)
    assert [c.output_error for c in seen.cells] == [0.0]


def test_peak_memory_is_that_of_the_mode_alone(monkeypatch):
    """Before the first call, after it, after eager's output, after the samples: 1, 10, 99, 7 bytes."""
    peaks = iter([1, 10, 99, 7])
    monkeypatch.setattr(latency, "peak_memory", lambda _: next(peaks))
    setting = deployment.Setting("fp32", "contiguous", "folded")
    monkeypatch.setitem(deployment.MODES, "folded", deployment.eager)
    cell = latency.measure_cell(nn.Flatten(), 2, 8, setting, QUICK, CPU)
    assert cell.peak_memory_bytes == 10
    assert cell.output_error == 0


def test_without_onnxruntime_the_row_says_what_to_install(monkeypatch):
    monkeypatch.setattr(problems, "find_spec", lambda name: None)
    seen = latency.measure_latency(SMALL, 10, 32, with_modes("eager", "onnxruntime"), CPU)
    assert [c.mode for c in seen.cells] == ["eager"]
    (missing,) = seen.unavailable
    assert missing.batch_size is None
    assert "onnx and onnxscript and onnxruntime: pip install" in missing.reason


def test_an_error_of_any_kind_costs_one_cell(monkeypatch):
    class OddError(Exception):
        pass

    def broken(network, image):
        raise OddError("no such operator")

    monkeypatch.setitem(deployment.MODES, "compiled", broken)
    seen = latency.measure_latency(SMALL, 10, 32, with_modes("compiled", "eager"), CPU)
    assert [c.mode for c in seen.cells] == ["eager"]
    assert seen.unavailable[0].reason == "OddError: no such operator"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_all_modes_on_a_gpu():
    spec = with_modes("eager", "folded", "cudagraph", "onnxruntime", precisions=("fp32", "tf32"))
    seen = latency.measure_latency(SMALL, 10, 32, spec, GPU)
    assert {(c.precision, c.mode) for c in seen.cells} == {
        (precision, mode)
        for precision in ("fp32", "tf32")
        for mode in ("eager", "folded", "cudagraph")
    }
    assert all(c.peak_memory_bytes > 0 and len(c.device_samples_ms) == 6 for c in seen.cells)
    assert all(c.output_error is not None for c in seen.cells if c.mode != "eager")
    assert {u.mode for u in seen.unavailable} == {"onnxruntime"}


def test_a_network_that_cannot_take_the_image_is_an_error():
    variant = TimmVariant(
        name="V", family="timm", model="vit_tiny_patch16_224", args={"img_size": 64}
    )
    # As `plan` says it, with what helps.
    with pytest.raises(UserError, match=r"32x32.*args\.img_size"):
        latency.measure_latency(variant, 10, 32, QUICK, CPU)


def test_the_size_that_was_set_is_observed():
    # swin_s3_tiny is made for 224x224 alone.
    variant = TimmVariant(name="V", family="timm", model="swin_s3_tiny_224")
    fitted, _ = latency.fit_to_image(variant, 32)
    seen = latency.measure_latency(variant, 10, 32, QUICK, CPU)
    assert seen.size_args == fitted.args == {"img_size": 32}


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
    batches = [
        (torch.tensor([[2.0, 0.0]]), torch.tensor([0])),
        (torch.tensor([[2.0, 0.0]]), torch.tensor([1])),
    ]
    seen = Evaluator(model)(batches)
    assert seen.correct.tolist() == [True, False]
    assert seen.accuracy == 0.5
    # log(1 + e^-2) and log(1 + e^2), averaged.
    assert seen.loss == pytest.approx((0.126928 + 2.126928) / 2, abs=1e-5)
    assert model.training


def test_a_latency_of_gray_images():
    """One channel in place of three: two thirds of the first 3x3 with 8 outputs are gone."""
    spec = QUICK.model_copy(update={"batch_sizes": (1,), "modes": ("eager", "folded")})
    gray, rgb = (latency.measure_latency(SMALL, 10, 32, spec, CPU, c) for c in (1, 3))
    assert (gray.in_chans, rgb.in_chans) == (1, 3)
    assert rgb.num_params - gray.num_params == 2 * 9 * 8
    assert rgb.num_macs - gray.num_macs == 2 * 9 * 8 * 16 * 16
    assert [cell.mode for cell in gray.cells] == ["eager", "folded"]
