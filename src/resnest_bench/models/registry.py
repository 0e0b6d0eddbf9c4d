"""Build the network of a variant. A family is a file and a line in `FAMILIES`."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import nn

from resnest_bench.errors import UserError
from resnest_bench.models.airbench import build_airbench
from resnest_bench.models.classic import build_classic
from resnest_bench.models.image_size import advise_size, choose_size_args, find_problem
from resnest_bench.models.input_channels import RGB
from resnest_bench.models.python_family import build_python
from resnest_bench.models.resnest import build_resnest
from resnest_bench.models.timm_family import (
    SMALL_IMAGE,
    StemRefusedError,
    build_timm,
    check_small_image,
    describe_error,
)
from resnest_bench.specs import VariantSpec
from resnest_bench.words import count_noun

FAMILIES: dict[str, Callable[..., nn.Module]] = {
    "resnest": build_resnest,
    "timm": build_timm,
    "classic": build_classic,
    "airbench": build_airbench,
    "python": build_python,
}


def build_model(
    variant: VariantSpec,
    num_classes: int,
    dropout: float = 0.0,
    zero_last_gamma: bool = False,
    in_chans: int = RGB,
) -> nn.Module:
    """Build `variant` with random weights: images (B, C, H, W) to logits (B, classes).

    Args:
        dropout: probability before the classifier, unless the variant has its own.
        zero_last_gamma: start each residual branch at 0, if the family supports it.
        in_chans: channels C of the dataset's images.

    Raises UserError for a variant that can't be built.
    """
    if variant.dropout is not None:
        dropout = variant.dropout
    try:
        return FAMILIES[variant.family](variant, num_classes, dropout, zero_last_gamma, in_chans)
    except StemRefusedError as error:
        raise UserError(f"{error}: {_advise_stem(variant.model_dump_json())}") from error


def fit_to_image(variant: VariantSpec, image_size: int) -> tuple[VariantSpec, dict[str, Any]]:
    """Return the variant to build for this image size, and the arguments that were set.

    If the network accepts the image as it is, that is the same variant without arguments.
    """
    args = _choose_once(variant.model_dump_json(), image_size)
    if not args:
        return variant, {}
    own = variant.model_dump()["args"]
    return variant.model_copy(update={"args": {**own, **args}}), dict(args)


@functools.lru_cache(maxsize=1024)
def _choose_once(variant: str, image_size: int) -> dict[str, Any]:
    return choose_size_args(TypeAdapter(VariantSpec).validate_json(variant), image_size)


def check_image(variant: VariantSpec, image_size: int, in_chans: int = RGB) -> None:
    """Raise UserError if a variant doesn't accept this image size; nothing is computed."""
    fitted, _ = fit_to_image(variant, image_size)
    problem = find_problem(lambda: build_model(fitted, 2, in_chans=in_chans), image_size, in_chans)
    if problem is None:
        return
    if isinstance(problem, UserError):
        raise problem
    if in_chans != RGB:
        _blame_channels(variant, image_size, in_chans, problem)
    raise UserError(
        f"variant {variant.name} does not accept images of {image_size}x{image_size} "
        f"({describe_error(problem)}): {advise_size(variant, image_size)}"
    ) from problem


def _blame_channels(
    variant: VariantSpec, image_size: int, in_chans: int, problem: Exception
) -> None:
    """Raise UserError if the cause is the number of channels, not the size."""
    fitted, _ = fit_to_image(variant, image_size)
    if find_problem(lambda: build_model(fitted, 2), image_size) is None:
        raise UserError(
            f"variant {variant.name} accepts images of {image_size}x{image_size} in RGB, but not those of "
            f"the dataset, which have {count_noun(in_chans, 'channel')} ({describe_error(problem)}): make its first "
            "layer follow in_chans, choose another variant, or set channels: 3 for the dataset"
        ) from problem


@functools.lru_cache(maxsize=1024)
def _advise_stem(variant: str) -> str:
    """Suggest stem native, if it accepts small images."""
    small: VariantSpec = TypeAdapter(VariantSpec).validate_json(variant)
    native = small.model_copy(update={"stem": "native"})
    try:
        check_image(native, SMALL_IMAGE)
    except UserError as error:
        return f"stem native does not help either: {error}"
    return "take stem native"


def check_buildable(variant: VariantSpec) -> None:
    """Raise UserError for a variant that can't be built; usually without allocating weights."""
    try:
        with torch.device("meta"):
            _try_to_build(variant)
    except (UserError, RuntimeError):
        # Some networks fail only because they read values, which meta tensors don't have.
        _try_to_build(variant)


def _try_to_build(variant: VariantSpec) -> None:
    model = build_model(variant, num_classes=10)
    if variant.stem != "small":
        return
    try:
        check_small_image(model, variant)
    except StemRefusedError as error:
        raise UserError(f"{error}: {_advise_stem(variant.model_dump_json())}") from error
