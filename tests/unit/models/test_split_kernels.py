"""Splits with kernels of different size: selective kernels in the family resnest."""

import copy

import pytest
import torch
from timm.layers import SelectiveKernel
from torch import nn

from resnest_bench.measure.complexity import complexity, count_params
from resnest_bench.measure.deployment import set_statistics
from resnest_bench.measure.folding import fold_norms
from resnest_bench.models import build_model, optimize_for_training
from resnest_bench.models.split_kernels import SplitKernels
from resnest_bench.specs import ResNestVariant


def net(**changes):
    small = {"layers": [1, 1], "radix": 2, "width": 16, "stem": "small", "kernels": [3, 5]}
    return ResNestVariant(name="net", family="resnest", **{**small, **changes})


def build(**changes):
    torch.manual_seed(0)
    return build_model(net(**changes), 5)


def split_kernels(model):
    return [module for module in model.modules() if isinstance(module, SplitKernels)]


@pytest.mark.parametrize("gate", ["attention", "uniform"])
@pytest.mark.parametrize(
    "changes", [{}, {"kernels": 5}, {"radix": 4, "kernels": [3, 3, 5, 7]}, {"cardinality": 2}]
)
def test_parameters_and_work_are_those_of_one_kernel(gate, changes):
    model, plain = build(gate=gate, **changes), build(gate=gate, **{**changes, "kernels": 3})
    assert count_params(model) == count_params(plain)
    assert complexity(model, 32).num_macs == complexity(plain, 32).num_macs
    model.train()(torch.randn(4, 3, 32, 32)).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_the_splits_are_the_paths_of_timms_selective_kernel():
    """Dilations, padding, groups and shares of the input: with timm's weights its maps come out."""
    theirs = SelectiveKernel(16, kernel_size=[3, 5], stride=2, groups=2, split_input=True)
    ours = SplitKernels(nn.Conv2d(16, 32, 3, 2, 1, groups=4, bias=False), (3, 5), nn.BatchNorm2d)
    for (conv, norm), path in zip(ours.splits, theirs.paths, strict=True):
        conv.load_state_dict(path.conv.state_dict())
        norm.load_state_dict(path.bn.state_dict())
    x_BCHW = torch.randn(2, 16, 9, 9)
    expected = [path(x) for path, x in zip(theirs.paths, x_BCHW.chunk(2, 1), strict=True)]
    torch.testing.assert_close(ours(x_BCHW).relu(), torch.cat(expected, 1))


def test_on_a_single_pixel_all_kernels_are_alike():
    """Only the centre tap meets it, so the network is the one with 3x3 kernels and the same weights."""
    model, plain = build().eval(), build(kernels=3).eval()
    state = plain.state_dict()
    for name, module in model.named_modules():
        if isinstance(module, SplitKernels):
            block = name.removesuffix(".conv")
            for (conv, norm), *parts in zip(
                module.splits,
                state.pop(f"{name}.weight").chunk(2),
                *(state.pop(f"{block}.bn0.{k}").chunk(2) for k in ("weight", "bias")),
                strict=True,
            ):
                for tensor, part in zip((conv.weight, norm.weight, norm.bias), parts, strict=True):
                    tensor.data.copy_(part)
    model.load_state_dict(state, strict=False)
    pixel = torch.randn(3, 3, 1, 1)
    with torch.no_grad():
        torch.testing.assert_close(model(pixel), plain(pixel))
        image = torch.randn(3, 3, 16, 16)
        assert not torch.allclose(model(image), plain(image))


def test_weights_are_drawn_as_in_one_convolution():
    """Else kernels would be compared at different step sizes: behind a norm, small weights move more."""
    (found, *_), (plain, *_) = (
        split_kernels(build(width=64)),
        [m for m in build(width=64, kernels=3).modules() if type(m) is nn.Conv2d and m.groups == 2],
    )
    for conv, _ in found.splits:
        assert conv.weight.std().item() == pytest.approx(plain.weight.std().item(), rel=0.03)


@pytest.mark.parametrize("gate", ["attention", "uniform", "sigmoid"])
def test_the_fast_form_and_folded_norms_compute_the_same(gate):
    model = build(gate=gate).double().eval()
    set_statistics(model)
    images = torch.randn(2, 3, 16, 16, dtype=torch.double)
    fast = optimize_for_training(copy.deepcopy(model))
    with torch.no_grad():
        folded, num_folded = fold_norms(model, images)
        torch.testing.assert_close(folded(images), model(images))
        torch.testing.assert_close(fast(images), model(images))
        _, plain = fold_norms(build(gate=gate, kernels=3).double().eval(), images)
    # Each split has a norm of its own.
    assert num_folded == plain + len(split_kernels(model))


def test_equal_kernels_are_one_number_and_three_is_the_network_of_before():
    assert net(kernels=[5, 5]).kernels == 5
    assert net(kernels=[3, 3]) == net(kernels=3)
    before = net().model_copy(update={"kernels": 3})
    assert net(kernels=3) == before
    assert not split_kernels(build(kernels=3))
    assert net().setting == "2s1x16d, kernels 3-5"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kernels": [3, 4]}, "kernels"),
        ({"kernels": [3, 5, 7]}, r"list with one for each split, but got \[3, 5, 7\] with radix 2"),
        ({"radix": [1, 2]}, "with radix 1-2"),
        ({"radix": 0}, "with radix 0"),
        ({"radix": 0, "kernels": 5}, "radix 0, which has none"),
    ],
)
def test_kernels_that_fit_no_splits_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        net(**changes)
