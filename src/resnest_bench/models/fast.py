"""Faster implementations of some layers: results are equal up to rounding.

`optimize_for_training` changes the classes of modules in place. Parameters, their names and the state dict
don't change, so weights and checkpoints are not affected. Only trainings use it; latencies are measured on
the network as its library defines it.
"""

from typing import Any

import torch
from timm.layers import SplitAttn
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

# Above that, oneDNN's 1x1 convolution is as fast as a matrix product (docs/performance.md).
MATRIX_PIXELS = 16


class MatrixConv2d(nn.Conv2d):
    """A convolution that is computed as a matrix product on small maps. On others, it is `nn.Conv2d`.

    Networks for 224x224 images reduce 32x32 images to 2x2 and 1x1 in their last stages.

    - On a single pixel, only the centre tap of a k x k kernel meets the image, and the others meet padding: one
      of 9 (3x3) or of 25 (5x5) products is needed, and the gradient of all other taps is zero.
    - On a map where every output pixel meets every input pixel (3x3 on 2x2, 5x5 on 3x3), it is a dense layer
      from all input pixels to all output pixels, without padding.
    - A 1x1 kernel is the same matrix for each pixel.

    The last two are for CPUs in channels_last: there oneDNN needs several times as long for the gradient of the
    weights of such a small map as for the product.
    """

    def forward(self, x_BCHW: Tensor) -> Tensor:
        if x_BCHW.shape[-2:] == (1, 1):
            return self._single_pixel(x_BCHW)
        if not _is_cpu_channels_last(x_BCHW):
            return super().forward(x_BCHW)
        if self.kernel_size == (1, 1):
            down, right = self.stride
            x_BChw = x_BCHW[..., ::down, ::right]
            if self.groups == 1 and x_BChw.shape[-2:].numel() <= MATRIX_PIXELS:
                return self._pixel_by_pixel(x_BChw)
        elif self.weight.shape[1] > 1 and self._connects_all(x_BCHW.shape[-2:]):
            return self._all_pixels(x_BCHW)
        return super().forward(x_BCHW)

    def _single_pixel(self, x_BC11: Tensor) -> Tensor:
        x_BC = x_BC11.flatten(1)
        row, column = (size // 2 for size in self.kernel_size)
        weight_OI = self.weight[:, :, row, column]
        if self.groups == 1:
            out_BO = functional.linear(x_BC, weight_OI, self.bias)
        else:
            out_BO = _grouped_linear(x_BC, weight_OI, self.groups)
            if self.bias is not None:
                out_BO = out_BO + self.bias.to(out_BO.dtype)
        return out_BO[:, :, None, None]

    def _pixel_by_pixel(self, x_BCHW: Tensor) -> Tensor:
        x_BHWC = x_BCHW.permute(0, 2, 3, 1)
        # As one matrix: of a strided map, torch would multiply row by row without gradients, with a copy of the
        # weights for each: ResNet-14 was evaluated 50 to 70 times as slowly in bfloat16.
        out_NO = functional.linear(x_BHWC.flatten(0, 2), self.weight[:, :, 0, 0], self.bias)
        out_BHWO: Tensor = out_NO.unflatten(0, x_BHWC.shape[:3])
        return out_BHWO.permute(0, 3, 1, 2)

    def _connects_all(self, map_size: torch.Size) -> bool:
        """Return whether every output pixel meets every input pixel."""
        return self.dilation == (1, 1) and all(
            num <= pad + 1 for num, pad in zip(map_size, _paddings(self), strict=True)
        )

    def _all_pixels(self, x_BCHW: Tensor) -> Tensor:
        """A dense layer from P input pixels to Q output pixels for each of G groups."""
        groups, (num_out, num_in) = self.groups, self.weight.shape[:2]
        shape, taps = self._taps(x_BCHW.shape[-2:])
        num_P, num_Q = x_BCHW.shape[-2:].numel(), shape.numel()
        weight_TOI = self.weight.permute(2, 3, 0, 1).reshape(-1, num_out, num_in)
        index = torch.tensor(taps)
        weight_QPGOI = weight_TOI.index_select(0, index).reshape(num_Q, num_P, groups, -1, num_in)
        # Rows are (Q, O), columns (P, I).
        weight_GYX = weight_QPGOI.permute(2, 0, 3, 1, 4).reshape(groups, -1, num_P * num_in)
        x_BPGI = x_BCHW.permute(0, 2, 3, 1).reshape(-1, num_P, groups, num_in)
        x_GBX = x_BPGI.permute(2, 0, 1, 3).reshape(groups, -1, num_P * num_in)
        out_GBY = torch.bmm(x_GBX, weight_GYX.transpose(1, 2))
        out_BQGO = out_GBY.reshape(groups, -1, num_Q, num_out // groups).permute(1, 2, 0, 3)
        out_BHWO = out_BQGO.reshape(-1, *shape, num_out)
        if self.bias is not None:
            out_BHWO = out_BHWO + self.bias.to(out_BHWO.dtype)
        return out_BHWO.permute(0, 3, 1, 2)

    def _taps(self, map_size: torch.Size) -> tuple[torch.Size, list[int]]:
        """Return the output's size, and the tap between each output and each input pixel, (Q, P) flat."""
        height, width = map_size
        (down, right), (above, left) = self.stride, _paddings(self)
        rows, columns = range(0, height, down), range(0, width, right)
        taps = [
            (y - row + above) * self.kernel_size[1] + x - column + left
            for row in rows
            for column in columns
            for y in range(height)
            for x in range(width)
        ]
        return torch.Size((len(rows), len(columns))), taps


def _is_cpu_channels_last(x_BCHW: Tensor) -> bool:
    return x_BCHW.device.type == "cpu" and x_BCHW.is_contiguous(memory_format=torch.channels_last)


def _paddings(conv: nn.Conv2d) -> tuple[int, int]:
    """Return the rows and columns of padding: `optimize_for_training` leaves out "same" and "valid"."""
    assert not isinstance(conv.padding, str)
    above, left = conv.padding
    return above, left


# With fewer input channels, oneDNN's kernel for the gradient of the weights writes past its buffer, in
# channels_last with a 1x1 kernel and stride 2 (docs/decisions/012-native-crashes.md).
SAFE_CHANNELS = 8


class StridedPointConv2d(nn.Conv2d):
    """A 1x1 convolution with a stride, computed as one without stride on every `stride`-th pixel.

    The sums are the same. oneDNN's strided version corrupts memory for few channels.
    """

    def forward(self, x_BCHW: Tensor) -> Tensor:
        down, right = self.stride
        x_BChw = x_BCHW[..., ::down, ::right]
        return functional.conv2d(x_BChw, self.weight, self.bias, groups=self.groups)


def _is_strided_point(conv: nn.Conv2d) -> bool:
    """Return whether this kind of convolution crashes in channels_last on a CPU."""
    few = conv.groups == 1 and conv.in_channels < SAFE_CHANNELS
    return few and conv.kernel_size == (1, 1) and max(conv.stride) > 1


def _can_be_sliced(module: nn.Module) -> bool:
    return type(module) is nn.Conv2d and _is_strided_point(module) and not any(module.padding)


def may_crash(model: nn.Module) -> bool:
    """Return whether the model has a crashing convolution that `optimize_for_training` can't replace."""
    convs = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    safe = (StridedPointConv2d,)
    return any(
        _is_strided_point(conv) and not _can_be_sliced(conv) and not isinstance(conv, safe)
        for conv in convs
    )


def _grouped_linear(x_BC: Tensor, weight_OI: Tensor, groups: int) -> Tensor:
    """Apply a linear layer with groups of C / groups inputs and O / groups outputs: (B, C) to (B, O)."""
    if weight_OI.shape[1] == 1 and len(weight_OI) == groups:
        return x_BC * weight_OI[:, 0].to(x_BC.dtype)
    x_GBI = x_BC.unflatten(1, (groups, -1)).transpose(0, 1)
    weight_GIO = weight_OI.unflatten(0, (groups, -1)).transpose(1, 2)
    return torch.bmm(x_GBI, weight_GIO).transpose(0, 1).flatten(1)


def _meets_its_centre(conv: nn.Conv2d) -> bool:
    """Return whether its kernel is centred: the output for a 1x1 map is the input times the centre tap."""
    if conv.padding_mode != "zeros" or isinstance(conv.padding, str):
        return False
    return all(
        size % 2 == 1 and pad == dilation * (size // 2)
        for size, pad, dilation in zip(conv.kernel_size, conv.padding, conv.dilation, strict=True)
    )


class WeightedSplits(torch.autograd.Function):
    """V = sum over r of a_r * U_r in one pass over U (B, R * C, H, W), with a (B, R * C).

    For a product and a sum, autograd would store the product, which is as large as U, and lose the memory
    layout. Here only U and a are stored. The gradients, with g = dL/dV:
    dL/dU_r = a_r * g, and dL/da_r = sum over H and W of g * U_r.
    """

    @staticmethod
    def forward(ctx: Any, U_BCHW: Tensor, a_BC: Tensor, radix: int) -> Tensor:
        ctx.save_for_backward(U_BCHW, a_BC)
        ctx.radix = radix
        (U_0, *splits), (a_0, *weights) = _splits(U_BCHW, a_BC, radix)
        V_BCHW = U_0 * a_0
        for U_r, a_r in zip(splits, weights, strict=True):
            V_BCHW.addcmul_(U_r, a_r)
        return V_BCHW

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g_BCHW: Tensor) -> tuple[Tensor, Tensor, None]:
        U_BCHW, a_BC = ctx.saved_tensors
        dU_BCHW, da_BC = torch.empty_like(U_BCHW), torch.empty_like(a_BC)
        for U_r, a_r, dU_r, da_r in zip(
            *_splits(U_BCHW, a_BC, ctx.radix), *_splits(dU_BCHW, da_BC, ctx.radix), strict=True
        ):
            torch.mul(g_BCHW, a_r, out=dU_r)
            da_r.copy_((g_BCHW * U_r).sum((2, 3), keepdim=True))
        return dU_BCHW, da_BC, None


def _splits(
    U_BCHW: Tensor, a_BC: Tensor, radix: int
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    return U_BCHW.chunk(radix, dim=1), a_BC[:, :, None, None].chunk(radix, dim=1)


class OnePassSplitAttn(SplitAttn):
    """timm's radix-major split attention with fewer passes over its maps.

    The global context is the sum of the splits' means instead of the mean of their sum: so the sum is over
    (B, R, C) instead of maps.
    """

    def forward(self, x_BCHW: Tensor) -> Tensor:
        U_BCHW = self.act0(self.drop(self.bn0(self.conv(x_BCHW))))
        means_BRC = U_BCHW.mean((2, 3)).unflatten(1, (self.radix, -1))
        gap_BC11 = means_BRC.sum(1)[:, :, None, None]
        logits = self.fc2(self.act1(self.bn1(self.fc1(gap_BC11))))
        a_BC = self.rsoftmax(logits).flatten(1)
        # torch doesn't annotate `apply`.
        V_BCHW: Tensor = WeightedSplits.apply(  # type: ignore[no-untyped-call]
            U_BCHW, a_BC.to(U_BCHW.dtype), self.radix
        )
        return V_BCHW


def optimize_for_training(model: nn.Module, compiled: bool = False) -> nn.Module:
    """Change `model` in place and return it. Operations that torch.compile fuses are not changed."""
    for module in model.modules():
        # Not for subclasses, which may do something else.
        if _can_be_sliced(module):
            module.__class__ = StridedPointConv2d
        elif type(module) is nn.Conv2d and _meets_its_centre(module):
            module.__class__ = MatrixConv2d
        elif type(module) is SplitAttn and module.radix > 1 and not compiled:
            module.__class__ = OnePassSplitAttn
    return model
