"""The classifier head of a network: what a fine-tuning trains anew."""

from typing import Any, cast

from torch import nn


def _heads(model: nn.Module) -> list[nn.Module]:
    # timm's networks and ours have it, nn.Module doesn't.
    head = cast(Any, model).get_classifier()
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


def input_stats(model: nn.Module) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """(mean, std) of each channel in [0, 1] that timm's weights of this network expect.

    None for a network that timm has no entry for, like all of the family resnest.
    """
    config = getattr(model, "pretrained_cfg", None) or {}
    mean, std = config.get("mean"), config.get("std")
    return (tuple(mean), tuple(std)) if mean and std else None
