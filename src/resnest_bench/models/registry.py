"""From a variant to its network. A family is a file and a line in `FAMILIES`."""

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
    """The network of `variant` with random weights: images (B, C, H, W) to logits (B, classes).

    Args:
        dropout: probability before the classifier; the variant's own wins, where it has one.
        zero_last_gamma: start each residual branch at 0, where the family can.
        in_chans: channels C of the images, which are those of the dataset.

    Raises UserError for a variant that can't be built.
    """
    if variant.dropout is not None:
        dropout = variant.dropout
    try:
        return FAMILIES[variant.family](variant, num_classes, dropout, zero_last_gamma, in_chans)
    except StemRefusedError as error:
        raise UserError(f"{error}: {_advise_stem(variant.model_dump_json())}") from error


def fit_to_image(variant: VariantSpec, image_size: int) -> tuple[VariantSpec, dict[str, Any]]:
    """The variant to build for images of this side, and the arguments that were set for it.

    The same variant and no arguments for every network that takes the image as it is.
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
    """Raise UserError where a variant can't take images of this side; nothing is computed."""
    fitted, _ = fit_to_image(variant, image_size)
    problem = find_problem(lambda: build_model(fitted, 2, in_chans=in_chans), image_size, in_chans)
    if problem is None:
        return
    if isinstance(problem, UserError):
        raise problem
    if in_chans != RGB:
        _blame_channels(variant, image_size, in_chans, problem)
    raise UserError(
        f"variant {variant.name} can't take images of {image_size}x{image_size} "
        f"({describe_error(problem)}): {advise_size(variant, image_size)}"
    ) from problem


def _blame_channels(
    variant: VariantSpec, image_size: int, in_chans: int, problem: Exception
) -> None:
    """Raise UserError where the size is all right, and the number of channels is not."""
    fitted, _ = fit_to_image(variant, image_size)
    if find_problem(lambda: build_model(fitted, 2), image_size) is None:
        raise UserError(
            f"variant {variant.name} takes images of {image_size}x{image_size} in RGB, but not those of "
            f"the dataset, which have {count_noun(in_chans, 'channel')} ({describe_error(problem)}): make its first "
            "layer follow in_chans, choose another variant, or let the dataset give RGB"
        ) from problem


@functools.lru_cache(maxsize=1024)
def _advise_stem(variant: str) -> str:
    """Advice that was tried: stem native, where that takes small images."""
    small: VariantSpec = TypeAdapter(VariantSpec).validate_json(variant)
    native = small.model_copy(update={"stem": "native"})
    try:
        check_image(native, SMALL_IMAGE)
    except UserError as error:
        return f"stem native does not help either: {error}"
    return "take stem native"


def check_buildable(variant: VariantSpec) -> None:
    """Raise UserError for a variant that can't be built; as a rule, no weight is allocated."""
    try:
        with torch.device("meta"):
            _try_to_build(variant)
    except (UserError, RuntimeError):
        # A network may fail only because it reads numbers, which meta tensors lack.
        _try_to_build(variant)


def _try_to_build(variant: VariantSpec) -> None:
    model = build_model(variant, num_classes=10)
    if variant.stem != "small":
        return
    try:
        check_small_image(model, variant)
    except StemRefusedError as error:
        raise UserError(f"{error}: {_advise_stem(variant.model_dump_json())}") from error
