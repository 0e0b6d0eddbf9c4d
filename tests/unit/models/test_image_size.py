"""Networks made for one image size, at another: what is set, what is not, and what errors advise."""

import pytest
import torch

from resnest_bench.errors import UserError
from resnest_bench.models import build_model, check_image, fit_to_image
from resnest_bench.models.arguments import blame_arguments
from resnest_bench.models.image_size import advise_size, describe_size, patch_grid
from resnest_bench.specs import ResNestVariant, TimmVariant


def net(model: str, **options) -> TimmVariant:
    return TimmVariant(name="net", family="timm", model=model, **options)


@pytest.mark.parametrize(
    "model",
    [
        "deit_tiny_patch16_224",
        "vit_tiny_patch16_224",
        "swin_s3_tiny_224",
        "levit_128",
        "pit_ti_224",
    ],
)
def test_the_input_size_is_set_and_the_network_runs(model):
    variant = net(model)
    check_image(variant, 32)
    fitted, args = fit_to_image(variant, 32)
    assert args == {"img_size": 32}
    assert fitted.args == {"img_size": 32}
    assert variant.args == {}
    images = torch.randn(2, 3, 32, 32)
    assert build_model(fitted, 10).eval()(images).shape == (2, 10)


@pytest.mark.parametrize(
    ("variant", "size"),
    [
        (net("resnet18"), 32),
        (net("vit_tiny_patch16_224"), 224),
        (net("swiftformer_xs"), 32),  # made for one size, but takes others
        (net("vit_tiny_patch16_224", args={"img_size": 32, "patch_size": 4}), 32),
        (net("vit_tiny_patch16_224", args={"dynamic_img_size": True}), 32),
        (ResNestVariant(name="net", family="resnest", layers=[1], radix=2, stem="deep"), 32),
    ],
)
def test_nothing_is_set_where_nothing_must_be(variant, size):
    assert fit_to_image(variant, size) == (variant, {})


def test_a_patch_is_made_smaller_only_where_the_image_is_smaller_than_it():
    # 32x32 is one patch of 32 pixels, 16x16 is none: patches of 16 / 8 = 2 pixels, 8 along a side.
    assert fit_to_image(net("vit_tiny_patch16_224"), 16)[1] == {"img_size": 16}
    fitted, args = fit_to_image(net("vit_small_patch32_224"), 16)
    assert args == {"img_size": 16, "patch_size": 2}
    assert patch_grid(build_model(fitted, 10)) == (8, 8)


def test_few_patches_are_said_with_the_argument_for_more():
    variant = net("vit_tiny_patch16_224")
    fitted, args = fit_to_image(variant, 32)
    grid = patch_grid(build_model(fitted, 10))
    assert grid == (2, 2)
    text = describe_size(variant, args, grid, 32)
    assert "{img_size: 32}" in text
    assert "{img_size: 32, patch_size: 4} gives 8x8" in text
    assert describe_size(net("resnet18"), {}, None, 32) == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variant", "advice"),
    [
        # Patches of 14 pixels don't divide 32, and its size isn't fixed.
        (net("deepseek_vit_412m"), "{patch_size: 4}"),
        (net("inception_v3"), "it takes 96x96"),
        # Blocks of 8 pixels must divide every feature map: of the sizes tried, 256 alone.
        (net("halonet_h1"), "it takes 256x256"),
        (net("vit_tiny_patch16_224", args={"img_size": 64}), "args.img_size"),
        (net("resnet18", args={"block_args": {"attn_layer": "ge"}}), "args.block_args.attn_layer"),
    ],
)
def test_an_error_advises_what_helps(variant, advice):
    assert advice in advise_size(variant, 32)
    with pytest.raises(UserError, match=r"variant net") as seen:
        check_image(variant, 32)
    assert "\n" not in str(seen.value)


def test_blame_finds_the_leaf():
    def works(args):
        return args.get("a", {}).get("b") != 1

    assert blame_arguments({"a": {"b": 1, "c": 2}, "d": 3}, works) == ["a.b"]
    assert blame_arguments({"a": {"c": 2}}, lambda args: False) == []
