"""Folding of batch norms into the preceding convolution or linear layer, as is usual for deployment.

    norm(W x + b) = s (W x + b - mean) + beta,  s = gamma / sqrt(var + eps)
                  = (s W) x + s (b - mean) + beta

torch computes the new weights. A forward pass shows which norm follows which layer. torch's own search for
such pairs would not do: it relies on torch.fx, which can't trace every timm network, and it does not
recognise timm's norms that include an activation function.
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

# Subclasses are excluded, since they may change their weights in the forward pass (weight standardisation).
LAYERS = (nn.Conv2d, Conv2dSame, nn.Linear)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, BatchNormAct2d)


@dataclass
class _LayerOutput:
    """The output of one call of a layer. It keeps the tensor alive, so that its id stays unique."""

    layer: nn.Module
    tensor: Tensor
    num_reads: int = 0


class _DataFlow(TorchDispatchMode):
    """Records which layer's output is the input of which norm, and how many operators read it."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # not annotated in torch
        self.outputs: dict[int, _LayerOutput] = {}
        self.inputs: list[tuple[nn.Module, _LayerOutput]] = []
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
        self.outputs[id(output)] = _LayerOutput(layer, output)

    def before_norm(self, norm: nn.Module, args: tuple) -> None:
        self.num_calls[norm] += 1
        if args and id(args[0]) in self.outputs:
            self.inputs.append((norm, self.outputs[id(args[0])]))


def _record_data_flow(model: nn.Module, image: Tensor) -> _DataFlow:
    """Run a forward pass of one image; the data flow doesn't depend on the batch size."""
    flow = _DataFlow()
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
    """Return each (layer, norm) where the layer's output is used by that norm and nothing else.

    `image` (B, C, H, W) is a valid input of `model`, which is in evaluation mode. Layers and norms that
    are called more than once are excluded, and so are norms without running statistics.
    """
    flow = _record_data_flow(model, image)
    return [
        (output.layer, norm)
        for norm, output in flow.inputs
        if output.num_reads == 1
        and flow.num_calls[norm] == flow.num_calls[output.layer] == 1
        and norm.running_mean is not None
        # In an output (B, L, C), the norm would treat L as the channels.
        and (output.tensor.ndim == 2 or not isinstance(output.layer, nn.Linear))
    ]


def fold_norms(model: nn.Module, image: Tensor) -> tuple[nn.Module, int]:
    """Return a copy of `model` with norms folded where possible, and their number.

    Arguments as in `foldable_pairs`. Precision, memory layout and device don't change.
    """
    model = copy.deepcopy(model)
    pairs = foldable_pairs(model, image)
    names: dict[nn.Module, list[str]] = {}
    # A shared module has several names.
    for name, module in model.named_modules(remove_duplicate=False):
        names.setdefault(module, []).append(name)
    for layer, norm in pairs:
        for old, new in ((layer, _fold_into(layer, norm)), (norm, _without_normalisation(norm))):
            for name in names[old]:
                model.set_submodule(name, new)
    return model, len(pairs)


def _fold_into(layer: nn.Module, norm: nn.Module) -> nn.Module:
    """`layer` with the norm folded into its weights. In float32, so that bf16 is rounded only once."""
    assert isinstance(layer, nn.Conv2d | nn.Linear)
    assert isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d)
    wide, wide_norm = copy.deepcopy(layer).to(torch.float32), copy.deepcopy(norm).to(torch.float32)
    if isinstance(wide, nn.Linear):
        return fuse_linear_bn_eval(wide, wide_norm).to(layer.weight.dtype)
    return fuse_conv_bn_eval(wide, wide_norm).to(layer.weight.dtype)


def _without_normalisation(norm: nn.Module) -> nn.Module:
    """What remains of a folded norm: its dropout and activation function.

    Identities are omitted, since calling a module takes time in Python.
    """
    extras = (norm.drop, norm.act) if isinstance(norm, BatchNormAct2d) else ()
    parts = [part for part in extras if not isinstance(part, nn.Identity)]
    if not parts:
        return nn.Identity()
    return parts[0] if len(parts) == 1 else nn.Sequential(*parts)
