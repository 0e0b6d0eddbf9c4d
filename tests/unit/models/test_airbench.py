"""The family airbench: counts by hand, what its stem computes, and how it is folded and fine-tuned."""

import itertools

import pytest
import torch
from torch import nn

from resnest_bench.measure.folding import fold_norms
from resnest_bench.models import build_model, check_buildable, check_image, optimize_for_training
from resnest_bench.models.airbench import EPSILON, WhiteningConv2d
from resnest_bench.models.heads import find_head
from resnest_bench.specs import AirbenchVariant


def airbench(**options) -> AirbenchVariant:
    return AirbenchVariant(name="A", family="airbench", **options)


def correlated(num: int = 40, in_chans: int = 3) -> torch.Tensor:
    """Images whose neighbouring pixels and channels are alike, as photos' are."""
    noise = torch.randn(num, in_chans, 12, 12, generator=torch.Generator().manual_seed(1))
    smooth = nn.functional.avg_pool2d(noise, 3, stride=1)
    return smooth + 0.5 * smooth.mean(1, keepdim=True)


@pytest.mark.parametrize(("in_chans", "widths"), [(3, (64, 256, 256)), (1, (8, 16, 24))])
def test_counts_are_those_of_the_paper_by_hand(in_chans, widths):
    model = build_model(airbench(widths=widths), 10, in_chans=in_chans)
    stem = 2 * 4 * in_chans
    convs = [(stem, widths[0]), *itertools.pairwise(widths)]
    weights = sum(9 * (before * after + after * after) for before, after in convs)
    norms = 2 * sum(widths)
    frozen = stem * in_chans * 4 + norms
    trained = stem + weights + norms + 10 * widths[-1]
    counts = [
        sum(p.numel() for p in model.parameters() if p.requires_grad == on) for on in (False, True)
    ]
    assert counts == [frozen, trained]


def test_the_stem_whitens_the_patches_that_it_saw():
    """Filter i is e_i / sqrt(v_i + eps): the outputs have second moments v_i / (v_i + eps), and no others."""
    stem, images = WhiteningConv2d(3), correlated()
    stem.initialise_from([images])
    outputs_BCHW = stem(images).detach().double()
    outputs_CN = outputs_BCHW.transpose(0, 1).flatten(1)[:12]
    moments = outputs_CN @ outputs_CN.T / outputs_CN.shape[1]
    patches = images.double().unfold(2, 2, 1).unfold(3, 2, 1)
    patches_NP = patches.permute(0, 2, 3, 1, 4, 5).reshape(-1, 12)
    values = torch.linalg.eigvalsh(patches_NP.T @ patches_NP / len(patches_NP)).flip(0)
    torch.testing.assert_close(
        moments, torch.diag(values / (values + EPSILON)), atol=1e-4, rtol=1e-3
    )
    assert torch.equal(stem.weight[:12], -stem.weight[12:])


def test_the_stem_depends_on_the_images_and_not_on_how_they_come():
    images = correlated()
    stems = [WhiteningConv2d(3) for _ in range(3)]
    stems[0].initialise_from([images])
    stems[1].initialise_from(images.split(7))
    stems[2].initialise_from([images[:20]])
    torch.testing.assert_close(stems[0].weight, stems[1].weight)
    assert not torch.allclose(stems[0].weight, stems[2].weight)


def test_images_without_variance_give_finite_weights():
    stem = WhiteningConv2d(1)
    stem.initialise_from([torch.ones(2, 1, 4, 4)])
    assert stem.weight.isfinite().all()


@pytest.mark.parametrize("size", [9, 32, 40])
@pytest.mark.parametrize("in_chans", [1, 3, 5])
def test_any_size_and_number_of_channels(size, in_chans):
    check_image(airbench(widths=(8, 8, 8)), size, in_chans)


def test_it_is_built_without_memory_and_head_and_dropout_are_found():
    check_buildable(airbench())
    model = build_model(airbench(), 7, dropout=0.3)
    assert find_head(model) is model.fc
    assert (model.fc.out_features, model.dropout.p) == (7, 0.3)


def test_the_first_filters_of_a_convolution_pass_their_inputs_on():
    conv = build_model(airbench(), 10).groups[1][0]
    maps = torch.randn(2, 64, 5, 5)
    torch.testing.assert_close(conv(maps)[:, :64], maps)


def test_the_control_has_a_stem_that_is_trained():
    model = build_model(airbench(stem="random"), 10)
    assert type(model.stem) is nn.Conv2d
    assert model.stem.weight.shape == (24, 3, 2, 2)
    assert model.stem.weight.requires_grad


@torch.inference_mode()
def test_norms_behind_a_convolution_are_folded_and_outputs_stay():
    """A max-pool lies before every other norm, which stays."""
    torch.manual_seed(0)
    model = build_model(airbench(widths=(8, 16, 16)), 10).double().eval()
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.normal_(0, 0.1)
            norm.running_var.uniform_(0.5, 1.5)
            norm.bias.normal_(0, 0.1)
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    folded, num_folded = fold_norms(model, images)
    assert num_folded == 3
    torch.testing.assert_close(folded(images), model(images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_fast_form_computes_the_same(layout):
    torch.manual_seed(0)
    model = build_model(airbench(widths=(8, 16, 16)), 10)
    state, images = model.state_dict(), torch.randn(4, 3, 12, 12)
    fast = build_model(airbench(widths=(8, 16, 16)), 10)
    fast.load_state_dict(state)
    fast = optimize_for_training(fast).to(memory_format=layout)
    losses = []
    for network in (model, fast):
        loss = network(images).square().sum()
        loss.backward()
        losses.append(loss.detach())
    torch.testing.assert_close(*losses)
    torch.testing.assert_close(model.groups[0][0].weight.grad, fast.groups[0][0].weight.grad)
