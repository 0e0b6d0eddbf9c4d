"""The family classic: counts of the papers and of torchvision, shapes, dropout and head."""

import pytest
import torch
from torch import nn
from torchvision.models import AlexNet, GoogLeNet_Weights
from torchvision.models.googlenet import Inception

from resnest_bench.measure.complexity import complexity
from resnest_bench.measure.deployment import set_statistics
from resnest_bench.measure.folding import fold_norms
from resnest_bench.models import build_model, check_buildable, head_module, split_parameters
from resnest_bench.models.classic import lenet5
from resnest_bench.specs import ClassicVariant

MODELS = ["lenet5", "alexnet", "googlenet", "resnet8"]


def classic(model: str, **options) -> ClassicVariant:
    return ClassicVariant(name="net", family="classic", model=model, **options)


def build(model: str, dropout: float = 0.0, num_classes: int = 10) -> nn.Module:
    return build_model(classic(model), num_classes, dropout)


def num_params(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def layers(model: nn.Module, *kinds: type[nn.Module]) -> list[nn.Module]:
    return [module for module in model.modules() if isinstance(module, kinds)]


def test_lenet_has_the_papers_counts():
    # LeCun et al. (1998), section II.B, gives these of C1, C5 and F6. Its C3 has 1,516 where each map
    # sees some of S2's; seeing all, it has 16 * (6 * 25 + 1). The classifier: 84 * 10 + 10.
    counts = [num_params(layer) for layer in layers(lenet5(10, 0.0, 1), nn.Conv2d, nn.Linear)]
    assert counts == [156, 2416, 48_120, 10_164, 850]
    assert num_params(lenet5(10, 0.0, in_chans=1)) == 61_706
    # Two more channels of 6 kernels of 5x5.
    assert num_params(build("lenet5")) == 61_706 + 2 * 6 * 25


def test_alexnet_has_torchvisions_layers_but_for_its_ends():
    ours, theirs = layers(build("alexnet"), nn.Conv2d), layers(AlexNet(), nn.Conv2d)
    assert len(ours) == len(theirs) == 5
    assert [layer.out_channels for layer in ours] == [layer.out_channels for layer in theirs]
    for layer, their in zip(ours[1:], theirs[1:], strict=True):
        assert layer.weight.shape == their.weight.shape
        assert (layer.stride, layer.padding) == (their.stride, their.padding)
    pools = [
        [(p.kernel_size, p.stride) for p in layers(net, nn.MaxPool2d)]
        for net in (build("alexnet"), AlexNet())
    ]
    assert pools[0] == pools[1]


def test_alexnets_count_by_hand():
    convs = (3 * 9 * 64) + (64 * 25 * 192) + (192 * 9 * 384) + (384 * 9 * 256) + (256 * 9 * 256)
    hidden = 256 * 3 * 3 * 1024 + 1024 * 1024
    norms = 2 * (64 + 192 + 384 + 256 + 256 + 1024 + 1024)
    assert num_params(build("alexnet")) == convs + hidden + norms + 1024 * 10 + 10


# Szegedy et al., table 1: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool proj.
INCEPTIONS = {
    "3a": (192, 64, 96, 128, 16, 32, 32),
    "3b": (256, 128, 128, 192, 32, 96, 64),
    "4a": (480, 192, 96, 208, 16, 48, 64),
    "4b": (512, 160, 112, 224, 24, 64, 64),
    "4c": (512, 128, 128, 256, 24, 64, 64),
    "4d": (512, 112, 144, 288, 32, 64, 64),
    "4e": (528, 256, 160, 320, 32, 128, 128),
    "5a": (832, 256, 160, 320, 32, 128, 128),
    "5b": (832, 384, 192, 384, 48, 128, 128),
}


@pytest.mark.parametrize("name", INCEPTIONS)
def test_an_inception_block_has_the_weights_of_table_1(name):
    block = build("googlenet").get_submodule(f"inception{name}")
    inputs, one, reduce3, three, reduce5, five, pool = INCEPTIONS[name]
    by_hand = inputs * (one + reduce3 + reduce5 + pool) + 9 * reduce3 * three + 25 * reduce5 * five
    assert sum(conv.weight.numel() for conv in layers(block, nn.Conv2d)) == by_hand
    assert block(torch.randn(2, inputs, 4, 4)).shape == (2, one + three + five + pool, 4, 4)


def test_googlenet_is_torchvisions_but_for_its_stem_and_the_5x5():
    published = GoogLeNet_Weights.IMAGENET1K_V1.meta["num_params"]
    stem = 3 * 64 * (3 * 3 - 7 * 7)
    branches = sum(row[4] * row[5] for row in INCEPTIONS.values()) * (5 * 5 - 3 * 3)
    assert num_params(build("googlenet", num_classes=1000)) == published + stem + branches
    assert len(layers(build("googlenet"), Inception)) == 9


def map_sizes(model: nn.Module, names: list[str], size: int = 32) -> list[int]:
    """Sides of the maps that the named modules get from one image."""
    seen: list[int] = []
    for name in names:
        module = model.get_submodule(name)
        module.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape[-1]))
    with torch.no_grad():
        model.eval()(torch.randn(1, 3, size, size))
    return seen


def test_a_small_image_keeps_its_resolution_in_googlenets_stem():
    names = ["conv2", "inception3a", "inception4a", "inception5a", "avgpool"]
    assert map_sizes(build("googlenet"), names) == [32, 16, 8, 4, 4]


@pytest.mark.parametrize(("model", "size"), [("lenet5", 1), ("alexnet", 3)])
def test_the_averaging_for_larger_images_does_nothing_at_32(model, size):
    net = build(model)
    pool = next(n for n, m in net.named_modules() if isinstance(m, nn.AdaptiveAvgPool2d))
    assert map_sizes(net, [pool]) == [size]
    assert map_sizes(build(model), [pool], 96)[0] > size


@pytest.mark.parametrize("model", MODELS)
def test_a_step_of_every_parameter(model):
    check_buildable(classic(model))
    net = build(model, 0.2, num_classes=7)
    logits_BK = net(torch.randn(4, 3, 32, 32))
    assert logits_BK.shape == (4, 7)
    logits_BK.square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


@pytest.mark.parametrize("model", MODELS)
def test_dropout_is_the_given_one_and_acts_in_training_alone(model):
    net = build(model, dropout=0.3)
    assert [layer.p for layer in layers(net, nn.Dropout)] == [0.3]
    own = build_model(classic(model, dropout=0.0), 10, dropout=0.3)
    assert [layer.p for layer in layers(own, nn.Dropout)] == [0.0]
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        # Of the norms, the dropout alone differs between two passes in training mode.
        assert not torch.equal(net(images), net(images))
        net.eval()
        assert torch.equal(net(images), net(images))


@pytest.mark.parametrize(
    ("model", "inputs"), [("lenet5", 84), ("alexnet", 1024), ("googlenet", 1024), ("resnet8", 64)]
)
def test_the_head_is_the_last_linear_layer(model, inputs):
    net = build(model)
    backbone, head = split_parameters(net)
    assert [tuple(p.shape) for p in head] == [(10, inputs), (10,)]
    assert {id(p) for p in head_module(net).parameters()} == {id(p) for p in head}
    assert len(backbone) + len(head) == len(list(net.parameters()))


def test_convolutions_before_a_relu_start_as_he_et_al_draw_them():
    # arXiv:1502.01852, fan-out mode: variance 2 / (25 * 192).
    torch.manual_seed(0)
    weight = layers(build("alexnet"), nn.Conv2d)[1].weight
    assert weight.var().item() == pytest.approx(2 / (25 * 192), rel=0.02)


def test_the_architecture_is_the_name_without_its_number():
    names = ["lenet", "alexnet", "googlenet", "resnet"]
    assert [classic(model).architecture for model in MODELS] == names


def test_resnet8_has_mlperf_tinys_counts():
    """Keras prints 78,666 parameters for it, with the running statistics of its 240 norm channels."""
    net = build("resnet8")
    assert num_params(net) + 2 * 240 == 78_666
    # By hand, at 32x32: the stem, blocks at 32x32, 16x16 and 8x8, the classifier.
    shortcuts = 256 * 16 * 32 + 64 * 32 * 64
    macs = 9 * (1024 * (3 * 16 + 2 * 16 * 16) + 256 * 3 * 32 * 16 + 64 * 3 * 64 * 32) + shortcuts
    assert complexity(net, 32).num_macs == macs + 640
    assert map_sizes(net, ["blocks.0", "blocks.2", "blocks.2.conv2"]) == [32, 16, 8]


def test_resnet8_folds_its_norms_and_can_start_as_its_shortcuts():
    net = build("resnet8").double().eval()
    set_statistics(net)
    images = torch.randn(2, 3, 32, 32, dtype=torch.double)
    with torch.no_grad():
        folded, num_folded = fold_norms(net, images)
        torch.testing.assert_close(folded(images), net(images), rtol=1e-5, atol=1e-6)
    assert num_folded == 7
    zero = build_model(classic("resnet8"), 10, zero_last_gamma=True).eval()
    x_BCHW = torch.randn(2, 16, 8, 8).relu()
    torch.testing.assert_close(zero.blocks[0](x_BCHW), x_BCHW)
