"""Parameters, multiply-accumulates and activations of one image, and what was not counted."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

aten = torch.ops.aten

# Outputs of these are the activations of Radosavovic et al., arXiv:1905.13214: the size of the
# output tensors of all convolutions, here with linear layers, as fvcore counts them.
ACTIVATION_OPERATORS = {
    aten.convolution,
    aten._convolution,
    aten.addmm,
    aten.mm,
    aten.bmm,
    aten.baddbmm,
}

# They move or name numbers and compute none.
FREE_OPERATORS = {
    "view", "_unsafe_view", "reshape", "t", "transpose", "permute", "unsqueeze", "squeeze",
    "expand", "split", "split_with_sizes", "slice", "select", "detach", "clone", "copy_",
    "empty", "empty_like", "_to_copy", "as_strided", "unbind", "cat", "alias", "contiguous",
    "chunk", "zeros", "ones", "arange",
    "constant_pad_nd", "lift_fresh", "new_zeros", "new_empty", "fill_",
}  # fmt: skip


@dataclass(frozen=True)
class Complexity:
    """Of one image in evaluation mode.

    `uncounted` maps an operator that computes but has no multiply-accumulates here (norms,
    activations, pooling, sums) to its number of calls. Nothing is counted as 0 in silence.
    """

    num_params: int
    num_macs: int
    num_activations: int
    uncounted: dict[str, int]


class _Watcher(TorchDispatchMode):
    """Sees every operator below autograd."""

    def __init__(self, counted: set) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch leaves it bare
        self.counted = counted
        self.num_activations = 0
        self.uncounted: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        packet = func._overloadpacket
        if packet in ACTIVATION_OPERATORS:
            self.num_activations += (out[0] if isinstance(out, tuple | list) else out).numel()
        elif packet not in self.counted and packet.__name__ not in FREE_OPERATORS:
            self.uncounted[packet.__name__] += 1
        return out


def count_params(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@torch.no_grad()
def complexity(model: nn.Module, image_size: int) -> Complexity:
    """Count one forward pass of a (1, 3, image_size, image_size) image in evaluation mode.

    A multiply-accumulate is half of a floating-point operation of torch's own counter, which
    covers convolutions, matrix products and attention. The model is left in its mode.
    """
    training = model.training
    parameter = next(model.parameters())
    image: Tensor = torch.zeros(1, 3, image_size, image_size, device=parameter.device)
    flops = FlopCounterMode(display=False)
    watcher = _Watcher(set(flops.flop_registry))
    try:
        model.eval()
        with flops, watcher:
            model(image.to(parameter.dtype))
    finally:
        model.train(training)
    return Complexity(
        num_params=count_params(model),
        num_macs=flops.get_total_flops() // 2,
        num_activations=watcher.num_activations,
        uncounted=dict(sorted(watcher.uncounted.items())),
    )
