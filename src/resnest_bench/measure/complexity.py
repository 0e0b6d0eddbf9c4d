"""Parameters, multiply-accumulates and activations of one image, and what was not counted."""

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

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

# Fused attention that torch's own counter leaves out: on a CPU, on Apple's GPUs, and by a plug-in.
ATTENTION_OPERATORS = {
    getattr(aten, name)
    for name in (
        "_scaled_dot_product_flash_attention_for_cpu",
        "_scaled_dot_product_attention_math_for_mps",
        "_scaled_dot_product_fused_attention_overrideable",
    )
    if hasattr(aten, name)
}
# Those that it counts.
COUNTED_ATTENTION_OPERATORS = {
    aten._scaled_dot_product_efficient_attention,
    aten._scaled_dot_product_flash_attention,
    aten._scaled_dot_product_cudnn_attention,
}
# Batch norm computes, and goes by the name that it has outside of inference_mode.
WHOLE_OPERATORS = ATTENTION_OPERATORS | set(flop_registry) | {aten.native_batch_norm}

# They move or name numbers and compute none.
FREE_OPERATORS = {
    "view",
    "_unsafe_view",
    "reshape",
    "t",
    "transpose",
    "permute",
    "unsqueeze",
    "squeeze",
    "expand",
    "split",
    "split_with_sizes",
    "slice",
    "select",
    "detach",
    "clone",
    "copy_",
    "empty",
    "empty_like",
    "_to_copy",
    "as_strided",
    "unbind",
    "cat",
    "alias",
    "contiguous",
    "chunk",
    "zeros",
    "ones",
    "arange",
    "constant_pad_nd",
    "lift_fresh",
    "new_zeros",
    "new_empty",
    "fill_",
}


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


def attention_flops(query: Tensor, key: Tensor, value: Tensor) -> int:
    """Floating-point operations of Q K^T and of its product with V; each is (..., S, D)."""
    *batch, num_queries, depth = map(int, query.shape)
    products = math.prod(batch) * num_queries * int(key.shape[-2])
    return 2 * products * (depth + int(value.shape[-1]))


def count_activations(packet: Any, args: tuple, out: Any) -> int:
    """Elements of an operator's outputs; of attention both products, fused or not."""
    if packet in ATTENTION_OPERATORS | COUNTED_ATTENTION_OPERATORS:
        query, key = args[:2]
        scores = math.prod(map(int, query.shape[:-1])) * int(key.shape[-2])
        return scores + int(out.numel())
    return int(out.numel()) if packet in ACTIVATION_OPERATORS else 0


class _Watcher(TorchDispatchMode):
    """Sees every operator below autograd."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch leaves it bare
        self.num_flops = 0
        self.num_activations = 0
        self.uncounted: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs, packet = kwargs or {}, func._overloadpacket
        if packet not in WHOLE_OPERATORS:
            # Under inference_mode an operator that is made of others comes here whole.
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        out = func(*args, **kwargs)
        self._count(packet, args, kwargs, out)
        return out

    def _count(self, packet: Any, args: tuple, kwargs: dict[str, Any], out: Any) -> None:
        if packet in ATTENTION_OPERATORS:
            self.num_flops += attention_flops(*args[:3])
        elif packet in flop_registry:
            # Torch's counter itself also follows modules, and fails where a parameter is an input.
            self.num_flops += flop_registry[packet](*args, **kwargs, out_val=out)
        elif packet.__name__ not in FREE_OPERATORS:
            self.uncounted[packet.__name__] += 1
        first = out[0] if isinstance(out, tuple | list) else out
        self.num_activations += count_activations(packet, args, first)


def count_params(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@torch.no_grad()
def complexity(model: nn.Module, image_size: int, in_chans: int = 3) -> Complexity:
    """Count one forward pass of a (1, in_chans, image_size, image_size) image in evaluation mode.

    A multiply-accumulate is half of a floating-point operation of torch's own counter, which
    formulas, which cover convolutions and matrix products, and of attention. The model is left in
    its mode.
    """
    training = model.training
    parameter = next(model.parameters())
    image: Tensor = torch.zeros(1, in_chans, image_size, image_size, device=parameter.device)
    watcher = _Watcher()
    # Its fused kernel for inference is one operator that no formula covers.
    fused = torch.backends.mha.get_fastpath_enabled()
    try:
        model.eval()
        torch.backends.mha.set_fastpath_enabled(False)
        with watcher:
            model(image.to(parameter.dtype))
    finally:
        model.train(training)
        torch.backends.mha.set_fastpath_enabled(fused)
    return Complexity(
        num_params=count_params(model),
        num_macs=watcher.num_flops // 2,
        num_activations=watcher.num_activations,
        uncounted=dict(sorted(watcher.uncounted.items())),
    )
