"""The classifier head of a network: what a fine-tuning trains anew."""

from typing import Any, cast

from timm.models import group_parameters
from torch import nn


def find_head(model: nn.Module) -> nn.Module | None:
    """What `get_classifier` gives; where there is no such method, the last linear layer, if any."""
    if hasattr(model, "get_classifier"):
        # timm's networks and ours have it, nn.Module doesn't.
        return cast(nn.Module, cast(Any, model).get_classifier())
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    return linear[-1] if linear else None


def _heads(model: nn.Module) -> list[nn.Module]:
    head: Any = find_head(model)
    assert head is not None, "it was checked when the network was built"
    # Distilled transformers have two.
    return list(head) if isinstance(head, tuple | list) else [head]


def head_module(model: nn.Module) -> nn.Module:
    """The classifier (timm's `get_classifier`); a ModuleList where there are several."""
    heads = _heads(model)
    return heads[0] if len(heads) == 1 else nn.ModuleList(heads)


def head_prefixes(model: nn.Module) -> tuple[str, ...]:
    """What the head's tensors start with in the state dict, like ("fc.",)."""
    heads = {id(head) for head in _heads(model)}
    found = tuple(f"{name}." for name, module in model.named_modules() if id(module) in heads)
    assert found, "the head is a part of the network"
    return found


def split_parameters(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """(backbone, head): every parameter once, in the network's order."""
    prefixes = head_prefixes(model)
    backbone: list[nn.Parameter] = []
    head: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        (head if name.startswith(prefixes) else backbone).append(parameter)
    return backbone, head


def block_numbers(model: nn.Module) -> dict[str, int]:
    """Each parameter's name to the number of its block, from 0 at the input.

    As timm groups them for layer-wise decay. A network that doesn't say its groups is numbered by
    what its parameters lie in: a stem, then `stage.block` after `stage.block`, in the network's order.
    """
    if hasattr(model, "group_matcher"):
        matcher = cast(Any, model).group_matcher(coarse=False)
        numbers = group_parameters(model, matcher, reverse=True)
        return {name: int(number) for name, number in numbers.items()}
    blocks: dict[str, int] = {}
    numbers = {}
    for name, _ in model.named_parameters():
        parts = name.split(".")
        inside = len(parts) > 1 and parts[1].isdigit()
        block = ".".join(parts[: 2 if inside else 1])
        numbers[name] = blocks.setdefault(block, len(blocks))
    return numbers


def input_stats(model: nn.Module) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """(mean, std) of each channel in [0, 1] that timm's weights of this network expect.

    None for a network that timm has no entry for, like all of the family resnest.
    """
    config = getattr(model, "pretrained_cfg", None) or {}
    mean, std = config.get("mean"), config.get("std")
    return (tuple(mean), tuple(std)) if mean and std else None
