"""From a variant to its network. A family is a file and a line in `FAMILIES`."""

from collections.abc import Callable

import torch
from torch import nn

from resnest_bench.errors import UserError
from resnest_bench.models.classic import build_classic
from resnest_bench.models.resnest import build_resnest
from resnest_bench.models.timm_family import build_timm, check_small_image
from resnest_bench.specs import VariantSpec

FAMILIES: dict[str, Callable[..., nn.Module]] = {
    "resnest": build_resnest,
    "timm": build_timm,
    "classic": build_classic,
}


def build_model(
    variant: VariantSpec,
    num_classes: int,
    dropout: float = 0.0,
    zero_last_gamma: bool = False,
) -> nn.Module:
    """The network of `variant` with random weights: images (B, 3, H, W) to logits (B, classes).

    Args:
        dropout: probability before the classifier; the variant's own wins, where it has one.
        zero_last_gamma: start each residual branch at 0, where the family can.

    Raises UserError for a variant that can't be built.
    """
    if variant.dropout is not None:
        dropout = variant.dropout
    return FAMILIES[variant.family](variant, num_classes, dropout, zero_last_gamma)


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
    if variant.stem == "small":
        check_small_image(model, variant)
