"""Any network of timm by its name, with an optional stem for small images.

Origin: `timm.create_model`, without pretrained weights (`models.weights` loads those).
"""

from difflib import get_close_matches
from typing import Any

import timm
import torch
from timm.layers import Conv2dSame
from torch import nn

from resnest_bench.errors import UserError
from resnest_bench.specs import TimmVariant, VariantSpec

# Where timm's families keep the max-pool that directly follows the stem.
STEM_POOLS = ("maxpool", "pool0", "features.pool0", "features.conv1_pool", "stem.pool")
SMALL_IMAGE = 32


def build_timm(
    variant: TimmVariant, num_classes: int, dropout: float, zero_last_gamma: bool
) -> nn.Module:
    """Images (B, 3, H, W) to logits (B, num_classes).

    Args:
        dropout: probability before the classifier (timm's drop_rate).
        zero_last_gamma: start residual branches at 0, in the networks of timm that offer
            `zero_init_last` (ResNet, RegNet and their kin); in others it has no effect.

    Raises UserError for an unknown name, arguments that the network refuses, a network without a
    classifier, or a small stem on one whose first convolution can't be replaced.
    """
    _check_name(variant)
    try:
        model = _create(variant, num_classes, dropout, zero_last_gamma)
    except (TypeError, ValueError, AssertionError, RuntimeError, KeyError) as error:
        raise UserError(
            f"variant {variant.name}: timm cannot build {variant.model} with args "
            f"{variant.args}: {_one_line(error)}: correct args, or remove them"
        ) from error
    if not hasattr(model, "get_classifier"):
        raise UserError(
            f"variant {variant.name}: model must be a network with a classifier, but "
            f"{variant.model} has none: take one of timm's classification networks"
        )
    if variant.stem == "small":
        _use_small_stem(model, variant)
    return model


def _check_name(variant: TimmVariant) -> None:
    name = variant.model.split(".")[0]
    if timm.is_model(name):
        return
    close = get_close_matches(name, timm.list_models(), n=1)
    hint = f"did you mean {close[0]!r}?" if close else "timm.list_models() names them all"
    raise UserError(
        f"variant {variant.name}: model must be a name that timm {timm.__version__} knows, "
        f"but came {variant.model!r}: {hint}"
    )


def _create(
    variant: TimmVariant, num_classes: int, dropout: float, zero_last_gamma: bool
) -> nn.Module:
    options: dict[str, Any] = {"num_classes": num_classes, "drop_rate": dropout, **variant.args}
    try:
        return timm.create_model(variant.model, **{"zero_init_last": zero_last_gamma, **options})
    except TypeError as error:
        # Which networks offer it shows only when they refuse it, before any weight is drawn.
        if "zero_init_last" not in str(error) or "zero_init_last" in variant.args:
            raise
    return timm.create_model(variant.model, **options)


def _use_small_stem(model: nn.Module, variant: TimmVariant) -> None:
    """The convolutions that see the image become 3x3 with stride 1; a max-pool after them goes."""
    names = getattr(model, "pretrained_cfg", {}).get("first_conv") or ()
    names = (names,) if isinstance(names, str) else tuple(names)
    if not names:
        raise _no_small_stem(variant, "timm names no first convolution for it")
    for name in names:
        conv = model.get_submodule(name)
        # A weight-standardised convolution would lose what it stands for.
        if not isinstance(conv, nn.Conv2d) or type(conv) not in (nn.Conv2d, Conv2dSame):
            raise _no_small_stem(variant, f"{name} is a {type(conv).__name__}")
        model.set_submodule(name, _small_conv(conv))
    for name in STEM_POOLS:
        if _downsamples(model, name):
            model.set_submodule(name, nn.Identity())


def _small_conv(conv: nn.Conv2d) -> nn.Conv2d:
    """`conv` with a 3x3 kernel (1x1 stays 1x1, beside a 3x3 branch), stride 1, new weights."""
    kernel = 1 if conv.kernel_size == (1, 1) else 3
    small = nn.Conv2d(
        conv.in_channels,
        conv.out_channels,
        kernel,
        padding=kernel // 2,
        groups=conv.groups,
        bias=conv.bias is not None,
    )
    nn.init.kaiming_normal_(small.weight, mode="fan_out", nonlinearity="relu")
    if small.bias is not None:
        nn.init.zeros_(small.bias)
    return small


def _downsamples(model: nn.Module, name: str) -> bool:
    """Whether there is such a pool, and not one of stride 1, which is a branch of HGNet's stem."""
    try:
        pool = model.get_submodule(name)
    except AttributeError:
        return False
    return getattr(pool, "stride", None) not in (1, (1, 1))


def check_small_image(model: nn.Module, variant: VariantSpec) -> None:
    """Raise UserError unless `model` takes an image of 32x32; on the meta device it costs nothing.

    A network with position embeddings shows only in its forward that the stem doesn't fit.
    """
    device = next(model.parameters()).device
    try:
        with torch.no_grad():
            model.eval()(torch.zeros(1, 3, SMALL_IMAGE, SMALL_IMAGE, device=device))
    except (RuntimeError, AssertionError, ValueError, TypeError) as error:
        raise _no_small_stem(variant, _one_line(error)) from error


def _no_small_stem(variant: VariantSpec, reason: str) -> UserError:
    return UserError(
        f"variant {variant.name}: stem small needs a network with a plain first convolution that "
        f"takes {SMALL_IMAGE}x{SMALL_IMAGE} images, but this one is not ({reason}): "
        "take stem native"
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
