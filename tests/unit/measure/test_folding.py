import pytest
import torch
from timm.layers import BatchNormAct2d, StdConv2d
from torch import Tensor, nn

from resnest_bench.measure.folding import fold_norms, foldable_pairs
from resnest_bench.models import build_model
from resnest_bench.specs import ClassicVariant, ResNestVariant, TimmVariant

RESNEST = {"family": "resnest", "layers": (1, 1), "radix": 2, "cardinality": 2, "width": 16}
NETWORKS = {
    "resnest": ResNestVariant(name="A", **RESNEST, stem="deep", stem_width=8, avg_down=True),
    "resnet18": TimmVariant(name="R", family="timm", model="resnet18"),
    "efficientnet_b0": TimmVariant(name="E", family="timm", model="efficientnet_b0"),
    # Its first convolution pads by itself (Conv2dSame).
    "tf_efficientnet_b0": TimmVariant(name="T", family="timm", model="tf_efficientnet_b0"),
    # Two of its norms follow a linear layer.
    "alexnet": ClassicVariant(name="A", family="classic", model="alexnet"),
    "googlenet": ClassicVariant(name="G", family="classic", model="googlenet"),
}


def with_statistics(model: nn.Module) -> nn.Module:
    """As after a training: a new norm is nearly an identity, and folding it would change nothing."""
    torch.manual_seed(0)
    for norm in model.modules():
        if isinstance(norm, nn.modules.batchnorm._BatchNorm):
            norm.running_mean.normal_(0, 0.1)
            norm.running_var.uniform_(0.5, 1.5)
            norm.weight.data.uniform_(0.5, 1.5)
            norm.bias.data.normal_(0, 0.1)
    return model.eval()


def num_norms(model: nn.Module) -> int:
    return sum(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.modules())


def images(size: int = 32) -> Tensor:
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", NETWORKS)
@torch.inference_mode()
def test_every_norm_is_folded_and_the_outputs_stay(name):
    # In double: where features are large, the order of the sums shows in float32. What is left is
    # the folded weight, which is computed in float32.
    model = with_statistics(build_model(NETWORKS[name], 10)).double()
    before = num_norms(model)
    images_BCHW = images().double()
    folded, num_folded = fold_norms(model, images_BCHW)
    assert num_folded == before > 5
    assert num_norms(folded) == 0
    assert num_norms(model) == before
    torch.testing.assert_close(folded(images_BCHW), model(images_BCHW), rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_one_pair_by_hand():
    """w = 2, b = 1; mean 3, var 4 - eps, gamma 5, beta 7: 5 / 2 * (2 x + 1 - 3) + 7 = 5 x + 2."""
    model = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1)).eval()
    model[0].weight.fill_(2.0)
    model[0].bias.fill_(1.0)
    model[1].running_mean.fill_(3.0)
    model[1].running_var.fill_(4.0 - model[1].eps)
    model[1].weight.fill_(5.0)
    model[1].bias.fill_(7.0)
    folded, _ = fold_norms(model, torch.zeros(1, 1, 2, 2))
    assert folded[0].weight.item() == pytest.approx(5.0)
    assert folded[0].bias.item() == pytest.approx(2.0)
    assert isinstance(folded[1], nn.Identity)


@torch.inference_mode()
def test_a_norm_with_an_activation_leaves_it():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), BatchNormAct2d(4, act_layer=nn.SiLU))
    folded, num_folded = fold_norms(with_statistics(model), images())
    assert num_folded == 1
    assert isinstance(folded[1], nn.SiLU)


@torch.inference_mode()
def test_a_norm_after_a_linear_layer_is_folded():
    model = with_statistics(nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.BatchNorm1d(4)))
    folded, num_folded = fold_norms(model, images(2))
    assert num_folded == 1
    torch.testing.assert_close(folded(images(2)), model(images(2)))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@torch.inference_mode()
def test_precision_and_layout_stay(layout):
    model = with_statistics(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)))
    model = model.to(torch.bfloat16, memory_format=layout)
    folded, _ = fold_norms(model, images().to(torch.bfloat16))
    assert folded[0].weight.dtype == folded[0].bias.dtype == torch.bfloat16
    assert folded[0].weight.is_contiguous(memory_format=layout)


class Shortcut(nn.Module):
    """The convolution's output goes past the norm too."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, x_BCHW):
        y_BCHW = self.conv(x_BCHW)
        return y_BCHW + self.norm(y_BCHW)


class TwoOutputs(Shortcut):
    def forward(self, x_BCHW):
        y_BCHW = self.conv(x_BCHW)
        return y_BCHW, self.norm(y_BCHW)


class Changed(Shortcut):
    """In place: the norm gets the same tensor, but no longer what the convolution gave."""

    def forward(self, x_BCHW):
        return self.norm(self.conv(x_BCHW).relu_())


class CalledTwice(Shortcut):
    def forward(self, x_BCHW):
        return self.norm(self.conv(self.conv(x_BCHW)))


class Standardised(Shortcut):
    """Whatever is folded into its weights, its forward takes out again."""

    def __init__(self):
        super().__init__()
        self.conv = StdConv2d(3, 3, 1)

    def forward(self, x_BCHW):
        return self.norm(self.conv(x_BCHW))


class NoStatistics(Standardised):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, track_running_stats=False)


@pytest.mark.parametrize(
    "kind", [Shortcut, TwoOutputs, Changed, CalledTwice, Standardised, NoStatistics]
)
@torch.inference_mode()
def test_what_must_not_be_folded_is_not(kind):
    assert foldable_pairs(kind().eval(), images()) == []


@torch.inference_mode()
def test_both_names_of_a_module_are_replaced():
    model = Standardised()
    model.conv = nn.Conv2d(3, 3, 1)
    model.same = nn.Sequential(model.conv, model.norm)
    model = with_statistics(model)
    folded, _ = fold_norms(model, images())
    assert folded.same[0] is folded.conv
    assert folded.same[1] is folded.norm
    torch.testing.assert_close(folded(images()), model(images()))


@torch.inference_mode()
def test_no_hook_stays_behind():
    model = Shortcut().eval()
    foldable_pairs(model, images())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
