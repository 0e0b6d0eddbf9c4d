"""Parameters, multiply-accumulates (MACs) and activations of a network for one image."""

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

aten = torch.ops.aten

# The operators whose outputs count as activations. Radosavovic et al., arXiv:1905.13214, count the outputs
# of all convolutions; like fvcore, we also count those of linear layers.
ACTIVATION_OPERATORS = {
    aten.convolution,
    aten._convolution,
    aten.addmm,
    aten.mm,
    aten.bmm,
    aten.baddbmm,
}

# Fused attention that torch's own counter misses: on a CPU, on Apple's GPUs, and on plug-in devices.
ATTENTION_OPERATORS = {
    getattr(aten, name)
    for name in (
        "_scaled_dot_product_flash_attention_for_cpu",
        "_scaled_dot_product_attention_math_for_mps",
        "_scaled_dot_product_fused_attention_overrideable",
    )
    if hasattr(aten, name)
}
# Fused attention that torch's own counter includes.
COUNTED_ATTENTION_OPERATORS = {
    aten._scaled_dot_product_efficient_attention,
    aten._scaled_dot_product_flash_attention,
    aten._scaled_dot_product_cudnn_attention,
}
# Operators that are not decomposed. Batch norm is listed as uncounted, by its name outside inference_mode.
WHOLE_OPERATORS = ATTENTION_OPERATORS | set(flop_registry) | {aten.native_batch_norm}

# Operators that only move or reinterpret data.
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
    """The size of a network, and its cost for one image in evaluation mode.

    `uncounted` has the number of calls of each operator that computes without being counted in `num_macs`
    (norms, activation functions, pooling, sums), so that no cost is hidden. `num_operators` is the number
    of operators that compute, counted or not.
    """

    num_params: int
    num_macs: int
    num_activations: int
    uncounted: dict[str, int]
    num_operators: int


def attention_flops(query: Tensor, key: Tensor, value: Tensor) -> int:
    """Return the floating-point operations of Q K^T and of its product with V.

    The shapes are (..., S, D). A multiply-accumulate is two operations.
    """
    *batch, num_queries, depth = map(int, query.shape)
    products = math.prod(batch) * num_queries * int(key.shape[-2])
    return 2 * products * (depth + int(value.shape[-1]))


def count_activations(packet: Any, args: tuple, out: Any) -> int:
    """Return the number of activations of an operator: the elements of its output, or 0.

    For fused attention these are the outputs of both products, as if it were not fused.
    """
    if packet in ATTENTION_OPERATORS | COUNTED_ATTENTION_OPERATORS:
        query, key = args[:2]
        scores = math.prod(map(int, query.shape[:-1])) * int(key.shape[-2])
        return scores + int(out.numel())
    return int(out.numel()) if packet in ACTIVATION_OPERATORS else 0


class _OperatorCounter(TorchDispatchMode):
    """Counts every operator below autograd."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # not annotated in torch
        self.num_flops = 0
        self.num_activations = 0
        self.num_counted = 0
        self.uncounted: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs, packet = kwargs or {}, func._overloadpacket
        if packet not in WHOLE_OPERATORS:
            # Under inference_mode, composite operators are not decomposed before they arrive here.
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        out = func(*args, **kwargs)
        self._count(packet, args, kwargs, out)
        return out

    def _count(self, packet: Any, args: tuple, kwargs: dict[str, Any], out: Any) -> None:
        self.num_counted += packet in ATTENTION_OPERATORS or packet in flop_registry
        if packet in ATTENTION_OPERATORS:
            self.num_flops += attention_flops(*args[:3])
        elif packet in flop_registry:
            # FlopCounterMode itself would also track modules, and fails if a parameter is an input.
            self.num_flops += flop_registry[packet](*args, **kwargs, out_val=out)
        elif packet.__name__ not in FREE_OPERATORS:
            self.uncounted[packet.__name__] += 1
        first = out[0] if isinstance(out, tuple | list) else out
        self.num_activations += count_activations(packet, args, first)


def count_params(model: nn.Module) -> int:
    """Return the number of parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


@torch.no_grad()
def complexity(model: nn.Module, image_size: int, in_chans: int = 3) -> Complexity:
    """Count one forward pass of a (1, in_chans, image_size, image_size) image in evaluation mode.

    The multiply-accumulates are half of the floating-point operations, which are computed with the formulas
    of torch's own counter for convolutions and matrix products, and with `attention_flops`. The model keeps
    its mode. Raises any error of a network that can't take the image.
    """
    training = model.training
    parameter = next(model.parameters())
    image: Tensor = torch.zeros(1, in_chans, image_size, image_size, device=parameter.device)
    counter = _OperatorCounter()
    # torch's fused kernel for multi-head attention in inference is one operator, without a formula.
    fused = torch.backends.mha.get_fastpath_enabled()
    try:
        model.eval()
        torch.backends.mha.set_fastpath_enabled(False)
        with counter:
            model(image.to(parameter.dtype))
    finally:
        model.train(training)
        torch.backends.mha.set_fastpath_enabled(fused)
    return Complexity(
        num_params=count_params(model),
        num_macs=counter.num_flops // 2,
        num_activations=counter.num_activations,
        uncounted=dict(sorted(counter.uncounted.items())),
        num_operators=counter.num_counted + counter.uncounted.total(),
    )
