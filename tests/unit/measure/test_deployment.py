"""Each way to call a network, on a network of two layers, and what refuses a wrong one."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from resnest_bench.deploy.problems import NotAvailableError
from resnest_bench.device import environment
from resnest_bench.measure import deployment
from resnest_bench.measure.deployment import (
    MODES,
    Setting,
    check_available,
    checked_error,
    list_settings,
    relative_error,
)
from resnest_bench.specs import LatencySpec

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")


def network(device=CPU) -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5)
    return nn.Sequential(*layers).to(device).eval()


def images(device=CPU) -> torch.Tensor:
    return torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1)).to(device)


def recorded(body):
    """In place of a CUDA graph: each replay writes to the same tensor."""
    static = body().clone()

    def replay():
        return static.copy_(body())

    return replay


@pytest.mark.parametrize("mode", ["eager", "folded", "onnxruntime"])
@torch.inference_mode()
def test_a_mode_gives_the_networks_logits(mode):
    call = MODES[mode](network(), images())
    assert relative_error(call(), network()(images())) < 1e-6
    assert relative_error(call(), call()) == 0


@torch.inference_mode()
def test_compiled_is_compiled_for_one_shape(monkeypatch):
    asked = {}
    monkeypatch.setattr(torch, "compile", lambda model, **given: asked.update(given) or model)
    call = MODES["compiled"](network(), images())
    assert asked == {"dynamic": False}
    assert relative_error(call(), network()(images())) == 0


@pytest.mark.slow
@torch.inference_mode()
def test_the_compiler_gives_the_networks_logits():
    call = MODES["compiled"](network(), images())
    assert checked_error(call(), network()(images()), "fp32") < 1e-4
    torch.compiler.reset()


@torch.inference_mode()
def test_a_graph_is_replayed_into_the_same_tensor():
    image = images()
    call = deployment.cudagraph(network(), image, capture=recorded)
    first = call()
    assert relative_error(first, network()(image)) == 0
    image.mul_(2)
    assert call() is first
    assert relative_error(first, network()(image)) == 0


@NEEDS_GPU
@pytest.mark.parametrize("mode", ["folded", "cudagraph"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@torch.inference_mode()
def test_a_mode_on_a_gpu(mode, precision):
    setting = Setting(precision, "channels_last", mode)
    one = deployment.in_setting(network(GPU), setting)
    image = deployment.make_input(4, 8, setting, GPU)
    with environment.precision(precision):
        call = MODES[mode](one, image)
        for _ in range(2):
            checked_error(call(), one(image), precision)


@torch.inference_mode()
def test_without_a_norm_there_is_nothing_to_fold():
    with pytest.raises(NotAvailableError, match="no batch norm follows"):
        MODES["folded"](nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval(), images())


@torch.inference_mode()
def test_statistics_make_a_norm_do_something():
    model = nn.Sequential(nn.BatchNorm2d(3), nn.BatchNorm2d(3, affine=False)).eval()
    before = model(images())
    deployment.set_statistics(model)
    assert relative_error(model(images()), before) > 0.1
    assert model[0].running_var.min() >= 0.5
    assert not torch.equal(model[0].weight, model[0].running_var)


# --- which settings there are ---


def test_onnxruntime_is_measured_once_whatever_the_layouts():
    both = ("contiguous", "channels_last")
    spec = LatencySpec(layouts=both, modes=("eager", "onnxruntime"))
    assert [str(setting) for setting in list_settings(spec)] == [
        "fp32, contiguous, eager",
        "fp32, contiguous, onnxruntime",
        "fp32, channels_last, eager",
    ]
    spec = LatencySpec(layouts=("channels_last",), modes=("onnxruntime",))
    assert [str(setting) for setting in list_settings(spec)] == ["fp32, contiguous, onnxruntime"]


@pytest.mark.parametrize(
    ("precision", "mode", "device", "reason"),
    [
        ("tf32", "eager", CPU, "tf32 needs an NVIDIA GPU"),
        ("fp32", "cudagraph", CPU, "CUDA graphs need an NVIDIA GPU"),
        ("bf16", "onnxruntime", CPU, "fp32"),
        ("fp32", "onnxruntime", GPU, "--device cpu"),
    ],
)
def test_what_is_not_available_says_the_rule(precision, mode, device, reason):
    with pytest.raises(NotAvailableError) as caught:
        check_available(Setting(precision, "contiguous", mode), device)
    assert reason in str(caught.value)


def test_missing_packages_are_named(monkeypatch):
    missing = {"onnxscript", "onnxruntime"}
    monkeypatch.setattr(deployment, "find_spec", lambda name: None if name in missing else name)
    with pytest.raises(NotAvailableError, match="missing: install onnxscript onnxruntime"):
        check_available(Setting("fp32", "contiguous", "onnxruntime"), CPU)


# --- is the output right? ---


def test_relative_error_by_hand():
    """||(3, 5) - (3, 4)|| / ||(3, 4)|| = 1 / 5."""
    assert relative_error(torch.tensor([[3.0, 5.0]]), torch.tensor([[3.0, 4.0]])) == 0.2
    assert relative_error(np.array([[3.0, 5.0]]), torch.tensor([[3.0, 4.0]])) == 0.2


def test_relative_error_of_odd_outputs():
    one, zero = torch.ones(1, 2), torch.zeros(1, 2)
    assert relative_error(torch.ones(2, 1), one) == math.inf
    assert relative_error(zero, zero) == 0
    assert relative_error(one, zero) == math.inf
    assert math.isnan(relative_error(one * math.nan, one))


@pytest.mark.parametrize(("precision", "limit"), [("fp32", 1e-4), ("tf32", 1e-2), ("bf16", 5e-2)])
def test_the_limit_is_the_precisions(precision, limit):
    right = torch.ones(1, 4)
    assert checked_error(right * (1 + 0.9 * limit), right, precision) == pytest.approx(
        0.9 * limit, rel=1e-2
    )
    with pytest.raises(NotAvailableError, match=rf"{precision} .*{limit:g}$"):
        checked_error(right * (1 + 1.1 * limit), right, precision)


def test_what_is_no_number_is_refused():
    with pytest.raises(NotAvailableError, match=r"differ .*nan"):
        checked_error(torch.full((1, 2), math.nan), torch.ones(1, 2), "bf16")
