"""The classifier head of a network, which a fine-tuning replaces."""

from typing import Any, cast

from timm.models import group_parameters
from torch import nn


def find_head(model: nn.Module) -> nn.Module | None:
    """Return `get_classifier()`, or without that method the last linear layer, if any."""
    if hasattr(model, "get_classifier"):
        # Networks of timm and ours have this method, nn.Module doesn't.
        return cast(nn.Module, cast(Any, model).get_classifier())
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    return linear[-1] if linear else None


def _heads(model: nn.Module) -> list[nn.Module]:
    head: Any = find_head(model)
    assert head is not None, "checked when the network was built"
    # Distilled transformers have two.
    return list(head) if isinstance(head, tuple | list) else [head]


def head_module(model: nn.Module) -> nn.Module:
    """Return the classifier (timm's `get_classifier`); a ModuleList if there are several."""
    heads = _heads(model)
    return heads[0] if len(heads) == 1 else nn.ModuleList(heads)


def head_prefixes(model: nn.Module) -> tuple[str, ...]:
    """Return the prefixes of the head's tensors in the state dict, like ("fc.",)."""
    heads = {id(head) for head in _heads(model)}
    found = tuple(f"{name}." for name, module in model.named_modules() if id(module) in heads)
    assert found, "the head is part of the network"
    return found


def split_parameters(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Return (backbone, head): every parameter once, in the order of the network."""
    prefixes = head_prefixes(model)
    backbone: list[nn.Parameter] = []
    head: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        (head if name.startswith(prefixes) else backbone).append(parameter)
    return backbone, head


def block_numbers(model: nn.Module) -> dict[str, int]:
    """Return the number of the block for the name of each parameter, from 0 at the input.

    Blocks are timm's groups for layer-wise decay. For a network without groups, they are a stem, then each
    `stage.block`, in the order of the network.
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
    """Return (mean, std) per channel in [0, 1] that timm's weights of this network expect.

    None for networks that timm doesn't list, like all of the family resnest.
    """
    config = getattr(model, "pretrained_cfg", None) or {}
    mean, std = config.get("mean"), config.get("std")
    return (tuple(mean), tuple(std)) if mean and std else None
