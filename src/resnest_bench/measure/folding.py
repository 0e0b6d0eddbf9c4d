"""Batch norm folded into the convolution or linear layer before it, as deployed networks have it.

    norm(W x + b) = s (W x + b - mean) + beta,  s = gamma / sqrt(var + eps)
                  = (s W) x + s (b - mean) + beta

torch computes the new weights. Which norm follows which layer is seen in a forward pass: torch.fx,
on which torch's own search for pairs rests, can't trace every timm network, and that search knows no
norm with its activation inside.
"""

import copy
from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from timm.layers import BatchNormAct2d, Conv2dSame
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# Exactly these types: a subclass may change its weights in its forward (weight standardisation).
LAYERS = (nn.Conv2d, Conv2dSame, nn.Linear)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, BatchNormAct2d)


@dataclass
class _Output:
    """What one call of a layer gave. The tensor is held, so that no other one gets its id."""

    layer: nn.Module
    tensor: Tensor
    num_reads: int = 0


class _Flow(TorchDispatchMode):
    """Sees which layer's output a norm gets, and how often any operator reads that output."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch leaves it bare
        self.outputs: dict[int, _Output] = {}
        self.inputs: list[tuple[nn.Module, _Output]] = []
        self.num_calls: Counter[nn.Module] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.read(args, kwargs)
        return func(*args, **(kwargs or {}))

    def read(self, *values: Any) -> None:
        for value in tree_leaves(values):
            if id(value) in self.outputs:
                self.outputs[id(value)].num_reads += 1

    def after_layer(self, layer: nn.Module, _: tuple, output: Tensor) -> None:
        self.num_calls[layer] += 1
        self.outputs[id(output)] = _Output(layer, output)

    def before_norm(self, norm: nn.Module, args: tuple) -> None:
        self.num_calls[norm] += 1
        if args and id(args[0]) in self.outputs:
            self.inputs.append((norm, self.outputs[id(args[0])]))


def _watched(model: nn.Module, image: Tensor) -> _Flow:
    """One forward pass of one image: a larger batch would flow alike."""
    flow = _Flow()
    hooks = [
        m.register_forward_hook(flow.after_layer) for m in model.modules() if type(m) in LAYERS
    ]
    hooks += [
        m.register_forward_pre_hook(flow.before_norm) for m in model.modules() if type(m) in NORMS
    ]
    try:
        with flow:
            output = model(image[:1])
        flow.read(output)
    finally:
        for hook in hooks:
            hook.remove()
    return flow


def foldable_pairs(model: nn.Module, image: Tensor) -> list[tuple[nn.Module, nn.Module]]:
    """(layer, norm) wherever the layer's output goes to that norm and nowhere else.

    `image` (B, C, H, W) is what `model`, in evaluation mode, can take. A layer or norm that is
    called more than once stays as it is, and so does a norm without running statistics.
    """
    flow = _watched(model, image)
    return [
        (made.layer, norm)
        for norm, made in flow.inputs
        if made.num_reads == 1
        and flow.num_calls[norm] == flow.num_calls[made.layer] == 1
        and norm.running_mean is not None
        # Of (B, L, C) a norm would take L for the channels.
        and (made.tensor.ndim == 2 or not isinstance(made.layer, nn.Linear))
    ]


def fold_norms(model: nn.Module, image: Tensor) -> tuple[nn.Module, int]:
    """A copy of `model` with its norms folded where that's possible, and how many they are.

    Arguments as in `foldable_pairs`. Precision, memory layout and device stay what they are.
    """
    model = copy.deepcopy(model)
    pairs = foldable_pairs(model, image)
    names: dict[nn.Module, list[str]] = {}
    # A module can have two names.
    for name, module in model.named_modules(remove_duplicate=False):
        names.setdefault(module, []).append(name)
    for layer, norm in pairs:
        for old, new in ((layer, _with_norm(layer, norm)), (norm, _remaining_norm(norm))):
            for name in names[old]:
                model.set_submodule(name, new)
    return model, len(pairs)


def _with_norm(layer: nn.Module, norm: nn.Module) -> nn.Module:
    """`layer` with the norm in its weights: computed in float32, so that bf16 is rounded once."""
    assert isinstance(layer, nn.Conv2d | nn.Linear)
    assert isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d)
    wide, wide_norm = copy.deepcopy(layer).to(torch.float32), copy.deepcopy(norm).to(torch.float32)
    if isinstance(wide, nn.Linear):
        return fuse_linear_bn_eval(wide, wide_norm).to(layer.weight.dtype)
    return fuse_conv_bn_eval(wide, wide_norm).to(layer.weight.dtype)


def _remaining_norm(norm: nn.Module) -> nn.Module:
    """What a norm does beside normalising. No idle module: calling one costs Python's time."""
    every = (norm.drop, norm.act) if isinstance(norm, BatchNormAct2d) else ()
    parts = [part for part in every if not isinstance(part, nn.Identity)]
    if not parts:
        return nn.Identity()
    return parts[0] if len(parts) == 1 else nn.Sequential(*parts)
