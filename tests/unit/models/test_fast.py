"""The fast form computes what the network computes: held against torch's own, in double precision."""

import copy
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
from timm.layers import SplitAttn
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from resnest_bench.models import build_model, may_crash, optimize_for_training
from resnest_bench.models.fast import (
    MatrixConv2d,
    OnePassSplitAttn,
    StridedPointConv2d,
    WeightedSplits,
)
from resnest_bench.specs import load_study

ROOT = Path(__file__).parents[3]
STUDY = load_study(ROOT / "config/config.yaml")


def outputs_and_gradients(model, x):
    """Of a forward and a backward pass in training mode, by name."""
    model.train()
    model.zero_grad()
    x = x.detach().requires_grad_()
    torch.manual_seed(0)
    out = model(x)
    (out * torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)).sum().backward()
    seen = {name: p.grad.clone() for name, p in model.named_parameters()}
    seen |= {name: b.clone() for name, b in model.named_buffers()}
    return {**seen, "(output)": out.detach(), "(input)": x.grad}


def assert_same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        torch.testing.assert_close(
            ours[name], value, rtol=1e-9, atol=1e-11, msg=lambda m, n=name: f"{n}: {m}"
        )


CONVS = {
    "1x1": {"kernel_size": 1},
    "1x1 stride 2": {"kernel_size": 1, "stride": 2},
    "1x1 with bias": {"kernel_size": 1, "bias": True, "out_channels": 12},
    "5x5 stride 2": {"kernel_size": 5, "padding": 2, "stride": 2, "out_channels": 12},
    "3x3": {"kernel_size": 3, "padding": 1},
    "3x3 stride 2": {"kernel_size": 3, "padding": 1, "stride": 2},
    "3x3 dilated": {"kernel_size": 3, "padding": 2, "dilation": 2},
    "5x3": {"kernel_size": (5, 3), "padding": (2, 1)},
    "grouped": {"kernel_size": 3, "padding": 1, "groups": 4},
    "depthwise": {"kernel_size": 5, "padding": 2, "groups": 8},
    "depthwise, two outputs each": {
        "kernel_size": 3,
        "padding": 1,
        "groups": 8,
        "out_channels": 16,
    },
    "with bias": {"kernel_size": 3, "padding": 1, "bias": True},
    "grouped, with bias": {"kernel_size": 3, "padding": 1, "bias": True, "groups": 2},
}


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (2, 3), (1, 3), (3, 3), (5, 5)])
@pytest.mark.parametrize("options", CONVS.values(), ids=CONVS)
def test_a_convolution_of_a_small_map_is_a_matrix_product(options, size, layout):
    conv = nn.Conv2d(8, **{"out_channels": 8, "bias": False, **options}).double()
    fast = optimize_for_training(nn.Sequential(copy.deepcopy(conv)))
    assert type(fast[0]) is MatrixConv2d
    x = torch.randn(3, 8, *size, dtype=torch.float64).contiguous(memory_format=layout)
    assert_same(outputs_and_gradients(fast, x), outputs_and_gradients(nn.Sequential(conv), x))


def test_an_evaluation_copies_the_weights_of_a_strided_1x1_convolution_for_no_row_of_images():
    # Without gradients, torch multiplies a map that can't be flattened in place row by row, with a copy of the weights for each.
    x_BCHW = torch.randn(8, 32, 4, 4, dtype=torch.bfloat16).to(memory_format=torch.channels_last)
    fast = optimize_for_training(nn.Sequential(nn.Conv2d(32, 16, 1, stride=2, bias=False)))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16), LargestOutput() as largest:
        fast(x_BCHW)
    assert largest.numel <= x_BCHW.numel()


class LargestOutput(TorchDispatchMode):
    """Counts the elements of the largest tensor that an operator returns, a view included."""

    numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor):
            self.numel = max(self.numel, out.numel())
        return out


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 2, "padding": 1},
        {"kernel_size": 3, "padding": 2},
        {"kernel_size": 3, "padding": "same"},
        {"kernel_size": 3, "padding": 1, "padding_mode": "circular"},
    ],
)
def test_other_convolutions_stay(options):
    assert type(optimize_for_training(nn.Sequential(nn.Conv2d(4, 4, **options)))[0]) is nn.Conv2d


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("radix", [1, 2, 3])
def test_the_weighted_sum_of_splits_has_the_gradients_of_its_formula(radix, layout):
    U = torch.randn(2, radix * 4, 3, 3, dtype=torch.float64).contiguous(memory_format=layout)
    U, a = U.requires_grad_(), torch.randn(2, radix * 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda U, a: WeightedSplits.apply(U, a, radix), (U, a))
    by_hand = (U * a[:, :, None, None]).unflatten(1, (radix, 4)).sum(1)
    torch.testing.assert_close(WeightedSplits.apply(U, a, radix), by_hand)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("radix", "groups"), [(2, 1), (2, 2), (4, 1)])
def test_the_one_pass_block_is_timms(radix, groups, layout):
    block = SplitAttn(16, radix=radix, groups=groups, norm_layer=nn.BatchNorm2d).double()
    block = nn.Sequential(block.to(memory_format=layout))
    fast = optimize_for_training(copy.deepcopy(block))
    assert type(fast[0]) is OnePassSplitAttn
    x = torch.randn(3, 16, 5, 5, dtype=torch.float64).contiguous(memory_format=layout)
    assert_same(outputs_and_gradients(fast, x), outputs_and_gradients(block, x))


@pytest.mark.parametrize(
    "name",
    [
        "ResNet-14-0s1x64d",
        "ResNeSt-14-1s2x64d",
        "ResNeSt-14-2s1x64d",
        "ResNet-18",
        "EfficientNet-b0",
    ],
)
def test_whole_networks_agree_in_output_gradients_and_statistics(name):
    model = build_model(STUDY.variant(name), 10, dropout=0.2).double()
    model = model.to(memory_format=torch.channels_last)
    fast = optimize_for_training(copy.deepcopy(model))
    assert any(isinstance(m, MatrixConv2d) for m in fast.modules())
    assert list(fast.state_dict()) == list(model.state_dict())
    x = torch.randn(8, 3, 32, 32, dtype=torch.float64)
    ours, theirs = (outputs_and_gradients(m, x) for m in (fast, model))
    for key, value in theirs.items():
        # Relative to each tensor's size: 50 layers of rounding lie between them.
        difference = (ours[key] - value).double().norm()
        assert difference <= 1e-7 * value.double().norm() + 1e-10, key


def test_a_convolution_with_something_of_its_own_stays():
    model = optimize_for_training(timm.create_model("tf_efficientnet_b0"))
    same = [m for m in model.modules() if type(m).__name__ == "Conv2dSame"]
    assert same, "TensorFlow's padding depends on the image, and stays as it is"


def test_what_is_compiled_keeps_timms_block():
    model = optimize_for_training(
        build_model(STUDY.variant("ResNeSt-14-2s1x64d"), 10), compiled=True
    )
    assert not any(isinstance(m, OnePassSplitAttn) for m in model.modules())
    assert any(isinstance(m, MatrixConv2d) for m in model.modules())


def test_bf16_stays_bf16_under_autocast():
    model = optimize_for_training(build_model(STUDY.variant("ResNeSt-14-2s1x64d"), 10)).eval()
    plain = build_model(STUDY.variant("ResNeSt-14-2s1x64d"), 10).eval()
    plain.load_state_dict(model.state_dict())
    x = torch.randn(4, 3, 32, 32)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        ours, theirs = model(x).float(), plain(x).float()
    # bf16 has 8 bits: two orders of summation differ by some of its last ones.
    assert (ours - theirs).norm() < 0.05 * theirs.norm()


@pytest.mark.parametrize("stride", [2, 3, (2, 1)])
@pytest.mark.parametrize("side", [7, 8])
def test_a_strided_1x1_convolution_is_one_of_every_second_pixel(stride, side):
    conv = nn.Conv2d(3, 5, 1, stride).double()
    fast = optimize_for_training(nn.Sequential(copy.deepcopy(conv)))
    assert type(fast[0]) is StridedPointConv2d
    x = torch.randn(2, 3, side, side, dtype=torch.double)
    assert_same(outputs_and_gradients(fast, x), outputs_and_gradients(nn.Sequential(conv), x))


def test_only_convolutions_that_may_crash_are_changed_and_those_left_are_named():
    class Own(nn.Conv2d):
        pass

    assert type(optimize_for_training(nn.Sequential(nn.Conv2d(8, 8, 1, 2)))[0]) is MatrixConv2d
    assert not may_crash(nn.Sequential(nn.Conv2d(3, 4, 1, 2)))
    assert not may_crash(optimize_for_training(nn.Sequential(nn.Conv2d(3, 4, 1, 2))))
    assert may_crash(nn.Sequential(Own(3, 4, 1, 2)))
    assert not may_crash(nn.Sequential(Own(8, 4, 1, 2), Own(3, 4, 1), Own(3, 4, 3, 2)))


@pytest.mark.slow
def test_a_network_that_crashed_in_channels_last_trains():
    """In its own process: without the fast form oneDNN ends it (mobileone_s0, torch 2.11)."""
    code = (
        "import timm, torch; from resnest_bench.models import optimize_for_training\n"
        "net = optimize_for_training(timm.create_model('mobileone_s0', num_classes=3))\n"
        "net.to(memory_format=torch.channels_last).train()\n"
        "for _ in range(3):\n"
        "    net(torch.randn(2, 3, 96, 96).to(memory_format=torch.channels_last)).sum().backward()\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
