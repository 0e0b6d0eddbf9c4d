"""Any timm network by name, with an optional stem for small images.

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

# Names that timm's families use for the max-pool after the stem.
STEM_POOLS = ("maxpool", "pool0", "features.pool0", "features.conv1_pool", "stem.pool")
SMALL_IMAGE = 32
# Errors that timm raises for invalid values, also nested ones.
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
    """Build a network: images (B, in_chans, H, W) to logits (B, num_classes).

    Args:
        dropout: probability before the classifier (timm's drop_rate).
        zero_last_gamma: start residual branches at 0 in networks with timm's `zero_init_last` (ResNet,
            RegNet and similar ones); no effect in others.

    Raises UserError for an unknown name, invalid arguments, a network without a classifier, or a small stem
    for a network whose first convolution can't be replaced.
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
    """Try `build_timm` with ten classes. Raises timm's own errors."""
    return _finish(_create(variant, 10, 0.0, False), variant)


def _finish(model: nn.Module, variant: TimmVariant) -> nn.Module:
    """Return `model` with the variant's stem."""
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
    # Not every network accepts these two; omit those that are not set anyway.
    ours: dict[str, Any] = {"zero_init_last": zero_last_gamma, "drop_rate": dropout}
    needed = {"drop_rate"} if dropout else set()
    while True:
        # A copy, since timm removes entries from the mappings.
        options = {**ours, "num_classes": num_classes, **copy.deepcopy(variant.args)}
        if in_chans != RGB:
            options["in_chans"] = in_chans
        try:
            return timm.create_model(variant.model, **options)
        except TypeError as error:
            # A network that doesn't accept them fails before any weight is initialised.
            refused = {name for name in ours if name in str(error)} - needed - set(variant.args)
            if not refused:
                raise
        ours = {name: value for name, value in ours.items() if name not in refused}


def _use_small_stem(model: nn.Module, variant: TimmVariant) -> None:
    """Replace the convolutions that see the image by 3x3 with stride 1, and remove a max-pool after them."""
    names = getattr(model, "pretrained_cfg", {}).get("first_conv") or ()
    names = (names,) if isinstance(names, str) else tuple(names)
    if not names:
        raise _no_small_stem(variant, "timm does not name its first convolution")
    for name in names:
        conv = model.get_submodule(name)
        # A plain convolution can't replace a weight-standardised one.
        if not isinstance(conv, nn.Conv2d) or type(conv) not in (nn.Conv2d, Conv2dSame):
            raise _no_small_stem(variant, f"{name} is a {type(conv).__name__}")
        model.set_submodule(name, _small_conv(conv))
    for name in STEM_POOLS:
        if _downsamples(model, name):
            model.set_submodule(name, nn.Identity())


def _small_conv(conv: nn.Conv2d) -> nn.Conv2d:
    """Return `conv` with new weights, a 3x3 kernel (or 1x1, next to a 3x3 branch), and stride 1."""
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
    """Return whether it is a pool with a stride; one without is a branch of HGNet's stem."""
    try:
        pool = model.get_submodule(name)
    except AttributeError:
        return False
    return getattr(pool, "stride", None) not in (1, (1, 1))


def check_small_image(model: nn.Module, variant: VariantSpec) -> None:
    """Raise StemRefusedError unless `model` accepts 32x32 images; on the meta device, nothing is computed.

    Only the forward pass shows whether the stem fits a network with position embeddings.
    """
    device = next(model.parameters()).device
    try:
        with torch.no_grad():
            model.eval()(torch.zeros(1, 3, SMALL_IMAGE, SMALL_IMAGE, device=device))
    except (RuntimeError, AssertionError, ValueError, TypeError, IndexError) as error:
        raise _no_small_stem(variant, describe_error(error)) from error


class StemRefusedError(UserError):
    """A network can't have a small stem. The registry suggests an alternative."""


def _no_small_stem(variant: VariantSpec, reason: str) -> StemRefusedError:
    return StemRefusedError(
        f"variant {variant.name}: stem small needs a network with a plain first convolution that "
        f"takes {SMALL_IMAGE}x{SMALL_IMAGE} images, but this one is not ({reason})"
    )


def describe_error(error: Exception) -> str:
    """Return the message in one line, or type and line of code for an error without one."""
    return " ".join(str(error).split()) or name_silent(error)
