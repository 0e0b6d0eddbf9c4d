"""Split attention: two layouts, timm's block, and the formulas of SE and SK, in float64."""

import pytest
import torch
from timm.layers import SplitAttn
from timm.models.resnest import ResNestBottleneck
from torch import nn

from resnest_bench.models.split_attention import (
    SplitAttentionCardinalityMajor,
    SplitAttentionRadixMajor,
    attention_width,
    cardinality_major_order,
    from_timm,
    to_cardinality_major,
)

# A multiple of 9 and 16, so that every radix and cardinality up to 4 divides it and its quarter.
CHANNELS = 288
RADICES, CARDINALITIES = range(5), range(1, 5)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def randomise_norms(module: nn.Module) -> nn.Module:
    """Scales, shifts and statistics away from 1, 0, 0 and 1, where a mistake would hide."""
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias)
            nn.init.normal_(norm.running_mean)
            nn.init.uniform_(norm.running_var, 0.5, 1.5)
    return module.double()


def random_input(channels: int) -> torch.Tensor:
    return torch.randn(3, channels, 4, 5, dtype=torch.float64)


def run(module: nn.Module, x_BCHW: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Output, and the gradients of input and parameters under a fixed output gradient."""
    x_BCHW = x_BCHW.clone().requires_grad_()
    out_BCHW = module(x_BCHW)
    weights = torch.linspace(-1, 1, out_BCHW.numel(), dtype=torch.float64)
    (out_BCHW * weights.view_as(out_BCHW)).sum().backward()
    gradients = {name: p.grad for name, p in module.named_parameters()}
    return out_BCHW.detach(), {"input": x_BCHW.grad, **gradients}


def assert_same(seen, expected) -> None:
    torch.testing.assert_close(seen, expected, rtol=1e-10, atol=1e-10)


class TimmPlain(nn.Module):
    """What timm's bottleneck does at radix 0: convolution, norm, activation."""

    def __init__(self, channels: int, cardinality: int) -> None:
        super().__init__()
        planes = channels // cardinality
        block = ResNestBottleneck(
            8, planes, downsample=nn.Identity(), radix=0, cardinality=cardinality
        )
        self.conv, self.bn0, self.act = block.conv2, block.bn2, block.act2

    def forward(self, x):
        return self.act(self.bn0(self.conv(x)))


def timm_block(radix: int, cardinality: int) -> nn.Module:
    if radix == 0:
        return randomise_norms(TimmPlain(CHANNELS, cardinality))
    block = SplitAttn(CHANNELS, groups=cardinality, radix=radix, norm_layer=nn.BatchNorm2d)
    return randomise_norms(block)


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("cardinality", CARDINALITIES)
@pytest.mark.parametrize("radix", RADICES)
def test_both_layouts_and_timm_agree(radix, cardinality, training):
    theirs = timm_block(radix, cardinality).train(training)
    state = {name: tensor.clone() for name, tensor in theirs.state_dict().items()}
    radix_major = SplitAttentionRadixMajor(CHANNELS, radix, cardinality).double().train(training)
    radix_major.load_state_dict(state)
    cardinality_major = SplitAttentionCardinalityMajor(CHANNELS, radix, cardinality).double()
    cardinality_major.train(training)
    cardinality_major.load_state_dict(to_cardinality_major(state, radix, cardinality))

    x_BCHW = random_input(CHANNELS)
    order = cardinality_major_order(CHANNELS, radix, cardinality)
    expected, expected_gradients = run(theirs, x_BCHW)
    out, gradients = run(radix_major, x_BCHW)
    assert_same(out, expected)
    assert_same(gradients, expected_gradients)
    out, gradients = run(cardinality_major, x_BCHW[:, order])
    assert_same(out, expected)
    moved = to_cardinality_major(expected_gradients, radix, cardinality)
    moved["input"] = expected_gradients["input"][:, order]
    assert_same(gradients, moved)


@pytest.mark.parametrize(
    ("channels", "radix", "expected"),
    [
        (64, 1, 32),
        (64, 2, 32),
        (128, 2, 64),
        (512, 1, 128),
        (48, 3, 36),
        (90, 1, 32),
        (130, 1, 32),
        (134, 1, 33),
    ],
)
def test_attention_width_by_hand(channels, radix, expected):
    assert attention_width(channels, radix) == expected


def test_the_order_by_hand():
    # Radix 2, cardinality 3, one channel a split. Radix-major lies (r, k) = 00 01 02 10 11 12,
    # cardinality-major (k, r) = 00 01 10 11 20 21, so it takes 0, 3, 1, 4, 2, 5.
    assert cardinality_major_order(6, 2, 3).tolist() == [0, 3, 1, 4, 2, 5]


def norm(x_BCHW: torch.Tensor, bn: nn.BatchNorm2d) -> torch.Tensor:
    """Batch norm in training mode, from its formula: biased variance over images and pixels."""
    mean_C11 = x_BCHW.mean(dim=(0, 2, 3), keepdim=True)
    var_C11 = ((x_BCHW - mean_C11) ** 2).mean(dim=(0, 2, 3), keepdim=True)
    scale, shift = bn.weight[:, None, None], bn.bias[:, None, None]
    return (x_BCHW - mean_C11) / (var_C11 + bn.eps).sqrt() * scale + shift


def dense(x_BC: torch.Tensor, conv: nn.Conv2d) -> torch.Tensor:
    return x_BC @ conv.weight[:, :, 0, 0].T + conv.bias


def middle(block: nn.Module, s_BC: torch.Tensor) -> torch.Tensor:
    z_BC = dense(s_BC, block.fc1)
    return norm(z_BC[:, :, None, None], block.bn1)[:, :, 0, 0].clamp(min=0)


def both_layouts(radix: int, cardinality: int = 1) -> list[nn.Module]:
    layouts = (SplitAttentionCardinalityMajor, SplitAttentionRadixMajor)
    return [randomise_norms(layout(64, radix, cardinality)) for layout in layouts]


def test_radix_1_is_squeeze_and_excitation():
    # Hu et al., arXiv:1709.01507: x~ = sigmoid(W2 relu(W1 mean(u))) * u, with a norm after W1.
    for block in both_layouts(radix=1):
        x_BCHW = random_input(64)
        u_BCHW = norm(nn.functional.conv2d(x_BCHW, block.conv.weight, padding=1), block.bn0)
        u_BCHW = u_BCHW.clamp(min=0)
        gate_BC = 1 / (1 + (-dense(middle(block, u_BCHW.mean((2, 3))), block.fc2)).exp())
        assert_same(block(x_BCHW), u_BCHW * gate_BC[:, :, None, None])


def test_radix_2_is_selective_kernel_selection():
    # Li et al., arXiv:1903.06586: a = e^(Az) / (e^(Az) + e^(Bz)), V = a U1 + (1 - a) U2.
    for block in both_layouts(radix=2):
        x_BCHW = random_input(64)
        branches = [
            nn.functional.conv2d(x_BCHW[:, :32], block.conv.weight[:64], padding=1),
            nn.functional.conv2d(x_BCHW[:, 32:], block.conv.weight[64:], padding=1),
        ]
        u1, u2 = norm(torch.cat(branches, 1), block.bn0).clamp(min=0).split(64, dim=1)
        z_BC = middle(block, (u1 + u2).mean((2, 3)))
        e1, e2 = dense(z_BC, block.fc2).exp().split(64, dim=1)
        a = (e1 / (e1 + e2))[:, :, None, None]
        assert_same(block(x_BCHW), a * u1 + (1 - a) * u2)


@pytest.mark.parametrize("radix", [2, 3, 4])
def test_weights_of_the_splits_are_positive_and_sum_to_1(radix):
    block = SplitAttentionRadixMajor(CHANNELS, radix, cardinality=2).double()
    a_BKRD = block.attention(torch.randn(3, CHANNELS, dtype=torch.float64))
    assert a_BKRD.shape == (3, 2, radix, CHANNELS // 2)
    assert (a_BKRD > 0).all()
    assert_same(a_BKRD.sum(dim=2), torch.ones(3, 2, CHANNELS // 2, dtype=torch.float64))


def test_stride_halves_the_resolution():
    block = SplitAttentionRadixMajor(64, radix=2, cardinality=1, stride=2)
    assert block(torch.randn(2, 64, 8, 8)).shape == (2, 64, 4, 4)


def test_from_timm_takes_weights_statistics_dtype_and_mode():
    theirs = timm_block(radix=2, cardinality=2).eval()
    x_BCHW = random_input(CHANNELS)
    assert_same(from_timm(theirs, cardinality=2)(x_BCHW), theirs(x_BCHW))


def test_from_timm_refuses_a_rounded_attention_width():
    rounded = SplitAttn(48, radix=3, norm_layer=nn.BatchNorm2d)  # 40 in place of 36
    with pytest.raises(RuntimeError, match="size mismatch"):
        from_timm(rounded, cardinality=1)
