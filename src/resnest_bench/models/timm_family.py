"""Any network of timm by its name, with an optional stem for small images.

Origin: `timm.create_model`, without pretrained weights (`models.weights` loads those).
"""

import copy
from difflib import get_close_matches
from typing import Any

import timm
import torch
from timm.layers import Conv2dSame
from torch import nn

from resnest_bench.errors import UserError, name_silent
from resnest_bench.models.arguments import blame_arguments
from resnest_bench.models.input_channels import RGB
from resnest_bench.specs import TimmVariant, VariantSpec

# Where timm's families keep the max-pool that directly follows the stem.
STEM_POOLS = ("maxpool", "pool0", "features.pool0", "features.conv1_pool", "stem.pool")
SMALL_IMAGE = 32
# What timm raises at a value that it can't use, a nested one too.
BUILD_ERRORS = (
    TypeError,
    ValueError,
    AssertionError,
    RuntimeError,
    KeyError,
    IndexError,
    AttributeError,
    ZeroDivisionError,
)


def build_timm(
    variant: TimmVariant, num_classes: int, dropout: float, zero_last_gamma: bool, in_chans: int
) -> nn.Module:
    """Images (B, in_chans, H, W) to logits (B, num_classes).

    Args:
        dropout: probability before the classifier (timm's drop_rate).
        zero_last_gamma: start residual branches at 0, in the networks of timm that offer
            `zero_init_last` (ResNet, RegNet and their kin); in others it has no effect.

    Raises UserError for an unknown name, arguments that the network refuses, a network without a
    classifier, or a small stem on one whose first convolution can't be replaced.
    """
    _check_name(variant)
    try:
        model = _create(variant, num_classes, dropout, zero_last_gamma, in_chans)
    except BUILD_ERRORS as error:
        raise UserError(
            f"variant {variant.name}: timm cannot build {variant.model} with args "
            f"{variant.args}: {describe_error(error)}{_blame_text(variant)}: {_advise_build(variant)}"
        ) from error
    return _finish(model, variant)


def try_timm(variant: TimmVariant) -> nn.Module:
    """`build_timm` with ten classes, for a trial: what timm raises comes as it is."""
    return _finish(_create(variant, 10, 0.0, False), variant)


def _finish(model: nn.Module, variant: TimmVariant) -> nn.Module:
    """`model` with the stem that the variant asks for."""
    if not hasattr(model, "get_classifier"):
        raise UserError(
            f"variant {variant.name}: model must be a network with a classifier, but "
            f"{variant.model} has none: take one of timm's classification networks"
        )
    if variant.stem == "small":
        _use_small_stem(model, variant)
    return model


def _advise_build(variant: TimmVariant) -> str:
    return "correct args, or remove them" if variant.args else "choose another model"


def _blame_text(variant: TimmVariant) -> str:
    at_fault = blame_arguments(variant.args, lambda args: _can_create(variant, args))
    return f" (at fault: {', '.join(f'args.{path}' for path in at_fault)})" if at_fault else ""


def _can_create(variant: TimmVariant, args: dict[str, Any]) -> bool:
    try:
        with torch.device("meta"):
            _create(variant.model_copy(update={"args": args}), 10, 0.0, False)
    except BUILD_ERRORS:
        return False
    return True


def _check_name(variant: TimmVariant) -> None:
    name = variant.model.split(".")[0]
    if timm.is_model(name):
        return
    close = get_close_matches(name, timm.list_models(), n=1)
    hint = f"did you mean {close[0]!r}?" if close else "timm.list_models() names them all"
    raise UserError(
        f"variant {variant.name}: model must be a name that timm {timm.__version__} knows, "
        f"but got {variant.model!r}: {hint}"
    )


def _create(
    variant: TimmVariant,
    num_classes: int,
    dropout: float,
    zero_last_gamma: bool,
    in_chans: int = RGB,
) -> nn.Module:
    # Not every network takes these two; one that is not set anyway is left out where it is refused.
    ours: dict[str, Any] = {"zero_init_last": zero_last_gamma, "drop_rate": dropout}
    needed = {"drop_rate"} if dropout else set()
    while True:
        # A copy: timm takes entries out of mappings that it is given.
        options = {**ours, "num_classes": num_classes, **copy.deepcopy(variant.args)}
        if in_chans != RGB:
            options["in_chans"] = in_chans
        try:
            return timm.create_model(variant.model, **options)
        except TypeError as error:
            # Which networks offer them shows only when they refuse, before any weight is drawn.
            refused = {name for name in ours if name in str(error)} - needed - set(variant.args)
            if not refused:
                raise
        ours = {name: value for name, value in ours.items() if name not in refused}


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
    """Raise StemRefusedError unless `model` takes 32x32; on the meta device it costs nothing.

    A network with position embeddings shows only in its forward that the stem doesn't fit.
    """
    device = next(model.parameters()).device
    try:
        with torch.no_grad():
            model.eval()(torch.zeros(1, 3, SMALL_IMAGE, SMALL_IMAGE, device=device))
    except (RuntimeError, AssertionError, ValueError, TypeError, IndexError) as error:
        raise _no_small_stem(variant, describe_error(error)) from error


class StemRefusedError(UserError):
    """A network can't have a small stem. What would do instead is for the registry to find out."""


def _no_small_stem(variant: VariantSpec, reason: str) -> StemRefusedError:
    return StemRefusedError(
        f"variant {variant.name}: stem small needs a network with a plain first convolution that "
        f"takes {SMALL_IMAGE}x{SMALL_IMAGE} images, but this one is not ({reason})"
    )


def describe_error(error: Exception) -> str:
    """Its text in one line, or its type and its code where it has none."""
    return " ".join(str(error).split()) or name_silent(error)
