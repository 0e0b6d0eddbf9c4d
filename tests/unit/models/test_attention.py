"""Added attention, other gates, lists per stage and scaled channels of the family resnest."""

import copy
import math
from typing import get_args

import pytest
import torch
from timm.layers import SplitAttn, create_attn
from torch import nn

from resnest_bench.errors import UserError
from resnest_bench.measure.complexity import complexity, count_params
from resnest_bench.measure.deployment import set_statistics
from resnest_bench.measure.folding import fold_norms
from resnest_bench.models import build_model, check_buildable, optimize_for_training
from resnest_bench.models.fast import OnePassSplitAttn
from resnest_bench.models.resnest import scale_channels
from resnest_bench.models.split_attention import attention_width, from_timm
from resnest_bench.models.split_gates import UniformSplits
from resnest_bench.specs import ResNestVariant
from resnest_bench.specs.variants import Attention

ATTENTIONS = get_args(Attention)
GATES = ("attention", "uniform", "sigmoid")
# Channels of a block's end in two stages.
OUTPUTS = (256, 512)


def net(**changes):
    small = {"layers": [1, 1], "radix": 2, "width": 16, "stem": "small"}
    return ResNestVariant(name="net", family="resnest", **{**small, **changes})


def build(**changes):
    torch.manual_seed(0)
    return build_model(net(**changes), 5)


# Parameters for C channels, by hand. A norm has 2 per channel. Where timm rounds a width, it is to
# multiples of 8, and for CBAM and global context to whole numbers.
PARAMS = {
    "none": lambda c: 0,
    # Two 1x1 convolutions with biases, C to C / 16 and back.
    "se": lambda c: 2 * c * (c // 16) + c // 16 + c,
    # One 1x1 convolution with a bias.
    "ese": lambda c: c * c + c,
    # One kernel along the channels: the odd number from log2(C) / 2 + 1 / 2.
    "eca": lambda c: _odd((math.log2(c) + 1) / 2),
    "ceca": lambda c: _odd((math.log2(c) + 1) / 2),
    # The two without biases, and a 7x7 of two maps to one with its norm.
    "cbam": lambda c: 2 * c * (c // 16) + 2 * 49 + 2,
    "lcbam": lambda c: 2 * c * (c // 16) + 49 + 2,
}


def _odd(number):
    whole = int(number)
    return max(whole if whole % 2 else whole + 1, 3)


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("gate", GATES)
def test_every_attention_with_every_gate_trains_and_adds_its_parameters(attention, gate):
    model, plain = build(attention=attention, gate=gate), build(gate=gate)
    added = [
        0 if attention == "none" else count_params(create_attn(attention, channels))
        for channels in OUTPUTS
    ]
    assert count_params(model) == count_params(plain) + sum(added)
    if attention in PARAMS:
        assert added == [PARAMS[attention](channels) for channels in OUTPUTS]
    logits = model(torch.randn(2, 3, 32, 32))
    assert logits.shape == (2, 5)
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_the_fast_form_and_folded_norms_compute_the_same(attention):
    """In double precision, with statistics as after a training."""
    model = build(attention=attention, gate="sigmoid").double().eval()
    set_statistics(model)
    images = torch.randn(2, 3, 32, 32, dtype=torch.double)
    with torch.no_grad():
        expected = model(images)
        folded, num_folded = fold_norms(model, images)
        torch.testing.assert_close(folded(images), expected)
        torch.testing.assert_close(optimize_for_training(copy.deepcopy(model))(images), expected)
    assert num_folded > 0


def test_attention_comes_after_the_last_norm_and_before_the_sum():
    """With attention that erases its input, a block is the activation of its shortcut."""

    class Erase(nn.Module):
        def forward(self, x):
            return 0 * x

    block = build(attention="se").eval().layer2[0]
    block.se = Erase()
    x = torch.randn(2, 256, 8, 8)
    torch.testing.assert_close(block(x), block.downsample(x).relu())
    # And with one that does nothing, it is the plain block.
    block.se = nn.Identity()
    ours = block(x)
    block.se = None
    torch.testing.assert_close(ours, block(x))


@pytest.mark.parametrize("radix", [1, 2])
@pytest.mark.parametrize("cardinality", [1, 2])
@pytest.mark.parametrize("gate", GATES)
def test_the_gates_are_those_of_the_readable_block(gate, cardinality, radix):
    """Outputs and gradients, in training mode, of timm's block, the fast form and the equations."""
    block = build(gate=gate, radix=radix, cardinality=cardinality).layer1[0].conv2.double()
    reference = from_timm(block, cardinality, gate)
    fast = optimize_for_training(nn.Sequential(copy.deepcopy(block)))[0]
    is_fast = radix == 2 and gate != "uniform"
    assert type(fast) is (OnePassSplitAttn if is_fast else type(block))
    assert isinstance(block, UniformSplits if gate == "uniform" else SplitAttn)
    x = torch.randn(3, block.conv.in_channels, 5, 5, dtype=torch.double)
    found = []
    for module in (reference, block, fast):
        inputs = x.clone().requires_grad_()
        output = module(inputs)
        output.square().sum().backward()
        found.append([output, inputs.grad, *(p.grad for p in module.parameters())])
    for other in found[1:]:
        for ours, theirs in zip(other, found[0], strict=True):
            torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("radix", [1, 2, 4])
def test_a_uniform_gate_leaves_the_convolution_alone(radix):
    model, original = build(gate="uniform", radix=radix), build(radix=radix)
    removed = 0
    # A 1x1 from the channels to the attention's and one back, with biases, and a norm between them.
    for channels in (16, 32):
        middle = attention_width(channels, radix)
        removed += channels * middle + middle + 2 * middle
        removed += middle * channels * radix + channels * radix
    assert count_params(model) == count_params(original) - removed
    macs = sum(c * (1 + radix) * attention_width(c, radix) for c in (16, 32))
    assert complexity(model, 32).num_macs == complexity(original, 32).num_macs - macs


def test_a_uniform_gate_keeps_the_memory_layout():
    block = build(gate="uniform").layer1[0].conv2
    x = torch.randn(2, 16, 8, 8).contiguous(memory_format=torch.channels_last)
    block = block.to(memory_format=torch.channels_last)
    assert block(x).is_contiguous(memory_format=torch.channels_last)


def test_a_sigmoid_gate_of_one_split_is_the_original():
    one, other = (build(gate=gate, radix=1).eval() for gate in ("sigmoid", "attention"))
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(one(images), other(images))


def test_stages_with_their_own_radix_cardinality_and_width():
    model = build(layers=[1, 2, 1], radix=[0, 1, 2], cardinality=[1, 2, 4], width=[64, 32, 16])
    first, second, third = (getattr(model, f"layer{k}")[-1].conv2 for k in (1, 2, 3))
    assert isinstance(first, nn.Conv2d)
    assert (first.out_channels, first.groups) == (64, 1)
    assert (second.radix, second.conv.in_channels, second.conv.groups) == (1, 2 * 64, 2)
    assert (third.radix, third.conv.in_channels, third.conv.groups) == (2, 4 * 64, 2 * 4)
    assert model(torch.randn(2, 3, 32, 32)).shape == (2, 5)


def test_a_list_of_equal_numbers_is_that_number():
    listed = net(radix=[2, 2], cardinality=[1, 1], width=[16, 16])
    assert listed == net()
    assert listed.as_dict() == net().as_dict()
    assert (listed.setting, net(radix=[0, 2]).setting) == ("2s1x16d", "0-2s1x16d")


@pytest.mark.parametrize(("stem", "width"), [("deep", 32), ("conv7", 64), ("small", 64)])
def test_channels_scale_stem_and_stages(stem, width):
    model = build(stem=stem, channels=0.5)
    convs = [m for m in model.conv1.modules() if isinstance(m, nn.Conv2d)]
    assert convs[0].out_channels == width // 2
    assert convs[0].kernel_size == ((7, 7) if stem == "conv7" else (3, 3))
    assert model.bn1.num_features == 32
    assert [stage[0].conv3.out_channels for stage in (model.layer1, model.layer2)] == [128, 256]
    assert model.layer1[0].conv2.conv.in_channels == 8
    assert model(torch.randn(2, 3, 32, 32)).shape == (2, 5)


def test_widths_are_rounded_to_multiples_of_eight():
    # 64 * 0.3 = 19.2 is nearer to 16, which is below 0.9 of it.
    assert [scale_channels(64, scale) for scale in (1, 0.5, 0.3, 1.4)] == [64, 32, 24, 88]
    assert scale_channels(20, 1) == 20


def test_new_keys_at_their_defaults_draw_the_same_weights():
    spelled = build(channels=1, gate="attention", attention="none")
    for ours, theirs in zip(spelled.parameters(), build().parameters(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attention": "cbm"}, "attention must be one of none, .*: did you mean 'cbam'"),
        ({"attention": "splat"}, "attention must be one of"),
        ({"gate": "softmax"}, "gate"),
        ({"gate": "uniform", "radix": 0}, "gate uniform weighs the splits .* radix 0"),
        ({"gate": "sigmoid", "radix": [0, 0]}, "gate sigmoid weighs the splits"),
        ({"radix": [1, 2, 2]}, r"radix is one number.* each of the 2 stages.* got \[1, 2, 2\]"),
        ({"width": []}, "width is one number"),
        ({"cardinality": [1, 0]}, "greater than or equal to 1"),
        ({"channels": 0}, "greater than or equal to 0.125"),
        ({"channels": 100}, "less than or equal to 8"),
        ({"channels": True}, "number"),
    ],
)
def test_specs_that_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        net(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"radix": [2, 3]}, "stage 2: radix must divide .* 3 does not divide 32"),
        ({"radix": 4, "width": 36, "channels": 0.5}, "stage 1: radix .* another width or channels"),
        ({"cardinality": [1, 3], "radix": 1}, "stage 2: cardinality must divide"),
        ({"width": 1, "channels": 0.5, "radix": 0}, "stage 1: width must leave"),
    ],
)
def test_networks_that_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        check_buildable(net(**changes))


def test_a_uniform_gate_has_no_attention_for_a_cardinality_to_divide():
    check_buildable(net(gate="uniform", cardinality=5, radix=1))
