"""Batch norm and dropout for a process that has only its share of a batch.

Inside `WholeBatch`, batch norm has the mean and the variance of the whole batch, and dropout's masks are those
of one process. It replaces the functions that layers call, not the layers: so it covers timm's and our own
forms of batch norm, and names of parameters, state dicts and checkpoints stay as they are.

Layers without statistics over a batch (group norm, layer norm) need nothing.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.nn.modules._functions import SyncBatchNorm
from torch.overrides import TorchFunctionMode

from resnest_bench.errors import UserError
from resnest_bench.training.processes import Part, Processes


def check_norms(model: nn.Module) -> None:
    """Raise UserError for a norm with statistics over the batch that is not computed by torch's batch norm."""
    for name, module in model.named_modules():
        own = "running_var" in dict(module.named_buffers(recurse=False))
        if own and not isinstance(module, nn.modules.batchnorm._NormBase):
            raise UserError(
                f"the network's layer {name} ({type(module).__name__}) takes statistics over a batch in a "
                "way of its own, so that several GPUs would compute something else than one: give the "
                "recipe gpus: 1"
            )


class WholeBatch(TorchFunctionMode):
    """In this context, a network's forward pass of one part of a batch is as in one process."""

    def __init__(self, processes: Processes, part: Part) -> None:
        super().__init__()
        self.processes, self.part = processes, part
        self.own_b = torch.from_numpy(part.own_b - part.start)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is functional.batch_norm:
            return self._batch_norm(*args, **kwargs)
        if func is functional.dropout:
            return self._dropout(*args, **kwargs)
        if func == Tensor.bernoulli_:
            return self._bernoulli(*args, **kwargs)
        return func(*args, **kwargs)

    def _batch_norm(
        self,
        x: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        affine, running = (weight, bias), (running_mean, running_var)
        if not training:
            return functional.batch_norm(x, *running, *affine, False, momentum, eps)
        everyone_counts = self.part.num_whole >= self.processes.size
        if x.device.type == "cuda" and everyone_counts:
            out: Tensor = SyncBatchNorm.apply(
                *(x, *affine, *running, eps, momentum),
                *(torch.distributed.group.WORLD, self.processes.size),
            )
            return out
        # torch does not annotate `apply`.
        out, mean_C, var_C = WholeBatchNorm.apply(  # type: ignore[no-untyped-call]
            x, *affine, eps, self.part.counts, self.processes
        )
        with torch.no_grad():
            for kept, value in zip(running, (mean_C, var_C), strict=True):
                if kept is not None:
                    kept.lerp_(value.to(kept.dtype), momentum)
        return out

    def _whole(self, own: Tensor) -> Tensor | None:
        """Return an empty tensor for the whole part; None if `own` is not of this process's images."""
        if own.ndim == 0 or len(own) != len(self.part.own_b):
            return None
        last = own.ndim == 4 and own.is_contiguous(memory_format=torch.channels_last)
        memory_format = torch.channels_last if last else torch.contiguous_format
        shape = (self.part.num_whole, *own.shape[1:])
        return torch.empty(shape, dtype=own.dtype, device=own.device, memory_format=memory_format)

    def _take(self, whole: Tensor) -> Tensor:
        return whole[self.own_b.to(whole.device)]

    def _dropout(
        self, x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
    ) -> Tensor:
        whole = self._whole(x) if training and p else None
        if whole is None:
            return functional.dropout(x, p, training, inplace)
        return x * self._take(functional.dropout(whole.fill_(1.0), p))

    def _bernoulli(self, own: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        whole = self._whole(own)
        if whole is None:
            return own.bernoulli_(*args, **kwargs)
        return own.copy_(self._take(whole.bernoulli_(*args, **kwargs)))


class WholeBatchNorm(torch.autograd.Function):
    """Batch norm (Ioffe and Szegedy, arXiv:1502.03167) over the images of all processes.

    For CPUs, which torch's SyncBatchNorm does not support, and for parts with fewer images than processes:
    with `counts` false, this process's images are normalised, but add nothing to any sum.

    With the number n of values per channel, xhat = (x - mean) / sqrt(var + eps) and y = w xhat + b, the gradient
    is dx = w / sqrt(var + eps) * (dy - sum(dy) / n - xhat sum(dy xhat) / n), with sums over all processes. The
    gradients of w and b are this process's share. Returns y, and the mean and unbiased variance, (C,) float64.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        eps: float,
        counts: bool,
        processes: Processes,
    ) -> tuple[Tensor, Tensor, Tensor]:
        dims, shape = _without_channels(x)
        values = x if x.dtype == torch.float64 else x.float()
        num_own = x.numel() // x.shape[1] if counts else 0
        sums_C = values.sum(dims, dtype=torch.float64) * counts
        *_, num = totals = processes.total(torch.cat([sums_C, sums_C.new_tensor([num_own])]))
        if num < 2:
            raise ValueError(f"Expected more than 1 value per channel, got {tuple(x.shape)}")
        mean_C = totals[:-1] / num
        centred = values - mean_C.view(shape).to(values.dtype)
        squares_C = processes.total(centred.square().sum(dims, dtype=torch.float64) * counts)
        scale_C = (squares_C / num + eps).rsqrt()
        xhat = centred * scale_C.view(shape).to(values.dtype)
        ctx.save_for_backward(xhat, weight, scale_C)
        ctx.num, ctx.counts, ctx.processes = num, counts, processes
        out = xhat if weight is None else xhat * weight.view(shape)
        out = out if bias is None else out + bias.view(shape)
        variance_C = squares_C / (num - 1)
        ctx.mark_non_differentiable(mean_C, variance_C)
        return out.to(x.dtype), mean_C, variance_C

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor, *_: Tensor) -> tuple:
        xhat, weight, scale_C = ctx.saved_tensors
        dims, shape = _without_channels(dy)
        grad = dy.to(xhat.dtype)
        bias_C = grad.sum(dims, dtype=torch.float64)
        weight_C = (grad * xhat).sum(dims, dtype=torch.float64)
        totals_2C = ctx.processes.total(torch.stack([bias_C, weight_C]) * ctx.counts) / ctx.num
        first, second = (total.view(shape).to(xhat.dtype) for total in totals_2C)
        factor_C = scale_C if weight is None else scale_C * weight
        dx = (grad - first - xhat * second) * factor_C.view(shape).to(xhat.dtype) * ctx.counts
        wanted = zip((weight_C, bias_C), ctx.needs_input_grad[1:3], strict=True)
        affine = [
            (g_C * ctx.counts).to(xhat.dtype) if is_wanted else None for g_C, is_wanted in wanted
        ]
        return dx.to(dy.dtype), *affine, None, None, None


def _without_channels(x: Tensor) -> tuple[list[int], list[int]]:
    """Return all dimensions but the second, and the shape that a tensor (C,) needs next to `x`."""
    dims = [dim for dim in range(x.ndim) if dim != 1]
    return dims, [-1 if dim == 1 else 1 for dim in range(x.ndim)]
