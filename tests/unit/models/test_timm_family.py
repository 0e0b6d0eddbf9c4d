"""The family timm: names, arguments, small stems, and the heads of its networks."""

import pytest
import timm
import torch
from pydantic import ValidationError
from torch import nn

from resnest_bench.errors import UserError
from resnest_bench.models import (
    build_model,
    check_buildable,
    head_module,
    input_stats,
    split_parameters,
)
from resnest_bench.specs import ResNestVariant, TimmVariant


def net(model: str, **options) -> TimmVariant:
    return TimmVariant(name="net", family="timm", model=model, **options)


# At 32x32 with stem small: 32 divided by what the stages behind the stem divide by.
@pytest.mark.parametrize(
    ("model", "first", "size"),
    [
        ("resnet18", "conv1", 4),
        ("resnet14t", "conv1.0", 4),
        ("resnest14d", "conv1.0", 4),
        ("legacy_seresnet18", "layer0.conv1", 4),
        ("efficientnet_b0", "conv_stem", 2),
        ("tf_efficientnet_b0", "conv_stem", 2),
        ("mobilenetv3_small_050", "conv_stem", 2),
        ("regnety_002", "stem.conv", 2),
        ("densenet121", "features.conv0", 4),
        ("dpn48b", "features.conv1_1.conv", 4),
        ("resnetv2_50", "stem.conv", 4),
        ("hgnetv2_b0", "stem.stem1.conv", 2),
    ],
)
def test_small_stems_keep_the_resolution(model, first, size):
    variant = net(model, stem="small")
    check_buildable(variant)
    small, native = build_model(variant, 10), build_model(net(model), 10)
    conv, before = small.get_submodule(first), native.get_submodule(first)
    assert (conv.kernel_size, conv.stride, conv.padding) == ((3, 3), (1, 1), (1, 1))
    assert conv.out_channels == before.out_channels
    assert (conv.bias is None) == (before.bias is None)
    images = torch.randn(2, 3, 32, 32)
    small(images).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in small.parameters())
    with torch.no_grad():
        assert small.eval().forward_features(images).shape[-2:] == (size, size)


def test_a_stem_of_parallel_branches_keeps_its_1x1():
    model = build_model(net("repvgg_a0", stem="small"), 10)
    assert model.stem.conv_kxk.conv.kernel_size == (3, 3)
    assert model.stem.conv_1x1.conv.kernel_size == (1, 1)
    assert model(torch.randn(2, 3, 32, 32)).shape == (2, 10)


def test_a_small_stem_is_drawn_like_the_others():
    # He et al., arXiv:1502.01852, fan-out mode: variance 2 / (9 * 64).
    torch.manual_seed(0)
    weight = build_model(net("resnet18", stem="small"), 10).conv1.weight
    assert weight.var().item() == pytest.approx(2 / (9 * 64), rel=0.15)


@pytest.mark.parametrize(
    "model", ["vit_tiny_patch16_224", "swin_tiny_patch4_window7_224", "nfnet_f0", "mixer_s32_224"]
)
def test_a_small_stem_needs_a_convolution_that_can_go(model):
    with pytest.raises(
        UserError, match=r"variant net: stem small needs .*: take stem native"
    ) as seen:
        check_buildable(net(model, stem="small"))
    assert "\n" not in str(seen.value)
    check_buildable(net(model))


@pytest.mark.slow
def test_advice_is_tried_before_it_is_given():
    # csatv2 takes 32x32 neither with its own stem nor with a small one.
    with pytest.raises(UserError, match=r"stem small needs") as seen:
        check_buildable(net("csatv2", stem="small"))
    assert "take stem native" not in str(seen.value)
    assert "stem native does not help" in str(seen.value)


def test_an_unknown_name_gets_a_hint():
    with pytest.raises(UserError, match=r"'resnest50'.*did you mean 'resnest50d'"):
        check_buildable(net("resnest50"))
    with pytest.raises(UserError, match="list_models"):
        check_buildable(net("@@@"))


# The second one takes no dropout either, which is not what it is refused for.
@pytest.mark.parametrize("model", ["qwen3_vit_88m_enc", "gemma4_vit_167m_enc"])
def test_a_network_needs_a_classifier(model):
    with pytest.raises(UserError, match="must be a network with a classifier"):
        check_buildable(net(model))


def test_what_a_network_does_not_take_is_left_out_only_where_it_is_not_asked_for(monkeypatch):
    create = timm.create_model

    def create_without_dropout(model, **options):
        if "drop_rate" in options:
            raise TypeError("Net.__init__() got an unexpected keyword argument 'drop_rate'")
        return create(model, **options)

    monkeypatch.setattr(timm, "create_model", create_without_dropout)
    assert build_model(net("resnet10t"), 7).num_classes == 7
    with pytest.raises(UserError, match=r"drop_rate.*choose another model"):
        build_model(net("resnet10t"), 7, dropout=0.2)


def test_args_reach_the_network():
    model = build_model(net("resnet18", args={"act_layer": "silu"}), 10)
    assert isinstance(model.act1, nn.SiLU)


@pytest.mark.parametrize(
    ("model", "args", "kind", "count"),
    [
        # One in each of the eight blocks.
        ("resnet18", {"block_args": {"attn_layer": "cbam"}}, "CbamModule", 8),
        ("resnet18", {"layers": [1, 1, 1, 1]}, "BasicBlock", 4),
    ],
)
def test_nested_args_reach_the_network(model, args, kind, count):
    variant = net(model, args=args)
    check_buildable(variant)
    built = build_model(variant, 10)
    assert [type(m).__name__ for m in built.modules()].count(kind) == count
    assert variant.args == args
    built(torch.randn(2, 3, 32, 32)).sum().backward()


@pytest.mark.parametrize(
    ("args", "at_fault"),
    [
        ({"block_args": {"attn_layer": "nope"}, "act_layer": "silu"}, "args.block_args.attn_layer"),
        ({"layers": [1], "act_layer": "silu"}, "args.layers"),
        ({"block_args": {"no_such": 1}}, "args.block_args.no_such"),
        ({"layers": "many"}, "args.layers"),
    ],
)
def test_the_argument_at_fault_is_named(args, at_fault):
    with pytest.raises(UserError, match=r"timm cannot build resnet18") as seen:
        check_buildable(net("resnet18", args=args))
    assert f"at fault: {at_fault})" in str(seen.value)
    assert "\n" not in str(seen.value)


@pytest.mark.parametrize("value", [{1, 2}, object(), {"a": {"b": object()}}, {1: 2}])
def test_args_are_what_json_can_hold(value):
    with pytest.raises(ValidationError):
        net("resnet18", args={"block_args": value})


@pytest.mark.parametrize("args", [{"no_such_option": 1}, {"output_stride": 7}])
def test_args_that_the_network_refuses(args):
    with pytest.raises(UserError, match=r"timm cannot build resnet18 with args .*: correct args"):
        check_buildable(net("resnet18", args=args))


@pytest.mark.parametrize(
    ("model", "last", "num_blocks"),
    [("resnet18", "bn2", 8), ("resnest14d", "bn3", 4), ("resnet26", "bn3", 8)],
)
@pytest.mark.parametrize("zero", [True, False])
def test_zero_last_gamma(model, last, num_blocks, zero):
    built = build_model(net(model), 10, zero_last_gamma=zero)
    norms = [(n, m) for n, m in built.named_modules() if isinstance(m, nn.BatchNorm2d)]
    zeroed = [name for name, norm in norms if (norm.weight == 0).all()]
    assert len(zeroed) == (num_blocks if zero else 0)
    assert all(name.endswith(f".{last}") for name in zeroed)


@pytest.mark.parametrize("model", ["efficientnet_b0", "densenet121", "vit_tiny_patch16_224"])
def test_zero_last_gamma_has_no_effect_where_timm_has_no_such_option(model):
    built = []
    for zero in (False, True):
        torch.manual_seed(0)
        built.append(build_model(net(model), 10, zero_last_gamma=zero).state_dict())
    assert all(torch.equal(built[0][name], built[1][name]) for name in built[0])


def test_the_variants_own_zero_init_last_wins():
    built = build_model(net("resnet18", args={"zero_init_last": True}), 10)
    assert (built.layer1[0].bn2.weight == 0).all()


@pytest.mark.parametrize(
    ("model", "head"),
    [
        ("resnet18", {"fc"}),
        ("efficientnet_b0", {"classifier"}),
        ("vgg11", {"head.fc"}),
        ("deit_tiny_distilled_patch16_224", {"head", "head_dist"}),
    ],
)
def test_heads_and_backbones_share_the_parameters(model, head):
    with torch.device("meta"):
        built = build_model(net(model), 10)
    backbone, top = split_parameters(built)
    names = {id(p): name for name, p in built.named_parameters()}
    assert {names[id(p)] for p in top} == {
        f"{h}.{kind}" for h in head for kind in ("weight", "bias")
    }
    assert len(backbone) + len(top) == len(names)
    assert {id(p) for p in head_module(built).parameters()} == {id(p) for p in top}


def test_the_head_of_the_family_resnest():
    variant = ResNestVariant(name="net", family="resnest", layers=[1, 1], radix=2, stem="deep")
    built = build_model(variant, 10)
    _, head = split_parameters(built)
    assert head_module(built) is built.fc
    assert [tuple(p.shape) for p in head] == [(10, 512), (10,)]
    assert input_stats(built) is None


def test_input_stats_are_those_of_imagenet():
    with torch.device("meta"):
        built = build_model(net("resnest50d"), 10)
    assert input_stats(built) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert input_stats(nn.Linear(1, 1)) is None
