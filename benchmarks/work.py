"""What one training step has to compute and to move, counted without running it.

Shapes come from a pass on torch's meta device, which computes nothing, so any batch size is free.

Operations. A layer of M multiply-accumulates costs 2 M floating-point operations in the forward pass, 2 M
for the gradient of its weights, and 2 M for that of its input, which the first convolution doesn't need.
Only convolutions and linear layers are counted: all else (norms, activations, sums) is a few operations
a number, and its cost is in the bytes.

Nominal and needed. The usual count of a convolution is B * C_out * C_in / groups * kernel area * output area.
A tap that lies outside of the image multiplies a padded zero, in all three passes: on a 1x1 map a 3x3
kernel has only its centre tap, on a 2x2 map each output pixel has 4 of 9. Needed are the taps inside.

Bytes. The least that any program moves whose activations don't fit into its caches, P parameters,
A numbers that convolutions and linear layers put out, I numbers in the input:

    weights      P * 28 in fp32: read forward, read backward, gradient written and read, momentum read
                 and written, weight written (7 * 4).
                 P * 26 in bf16 with fp32 masters: bf16 copy written, read forward, read backward, bf16
                 gradient written and read (5 * 2), momentum and master read and written (4 * 4).
    activations  A * 4 * e, e bytes an element (fp32 4, bf16 2): written forward, read backward, and
                 their gradient written and read.
    input        I * 2 * e: read forward, and for the first weight gradient.

A has no outputs of norms, activations, pools and gates, though autograd stores some of them: each is an
elementwise function, or a small sum, of numbers that are read anyway.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod

import torch
from timm.layers import Conv2dSame
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from resnest_bench.measure.complexity import complexity, count_params

BYTES_PER_PARAMETER = {"fp32": 7 * 4, "bf16": 5 * 2 + 4 * 4}
BYTES_PER_ELEMENT = {"fp32": 4, "bf16": 2}


@dataclass(frozen=True)
class Layer:
    """One call of a convolution or linear layer, on the whole batch."""

    nominal_macs: int
    needed_macs: int
    num_outputs: int
    groups: int
    input_gradient: bool

    @property
    def passes(self) -> int:
        return 3 if self.input_gradient else 2


@dataclass(frozen=True)
class Work:
    """What a training step of `batch_size` images is made of. FLOPs are floating-point operations."""

    num_params: int
    batch_size: int
    nominal_flops: int
    needed_flops: int
    weight_bytes: int
    activation_bytes: int
    input_bytes: int
    # torch's own counter over forward and backward agrees with nominal_flops, and
    # measure.complexity with its forward part.
    checked: bool

    @property
    def moved_bytes(self) -> int:
        return self.weight_bytes + self.activation_bytes + self.input_bytes


def taps_inside(size_in: int, size_out: int, kernel: int, stride: int, left: int, step: int) -> int:
    """Pairs of output pixel and kernel tap, along one axis, whose input pixel is inside the image.

    Output pixel o and tap t meet pixel o * stride - left + t * step, with `left` pixels of padding
    before the image and `step` the dilation.
    """
    return sum(
        0 <= o * stride - left + t * step < size_in for o in range(size_out) for t in range(kernel)
    )


def left_padding(conv: nn.Conv2d, axis: int, size_in: int, size_out: int) -> int:
    """Padded pixels before the image; of padding 'same' the smaller half, as torch and timm do."""
    if isinstance(conv.padding, tuple) and not isinstance(conv, Conv2dSame):
        return conv.padding[axis]
    reach = (size_out - 1) * conv.stride[axis] + conv.dilation[axis] * (conv.kernel_size[axis] - 1)
    return max(reach + 1 - size_in, 0) // 2


def conv_layer(conv: nn.Conv2d, x_BCHW: Tensor, y_BCHW: Tensor) -> Layer:
    """Its multiply-accumulates. Padding that repeats pixels is needed in full."""
    per_tap = len(x_BCHW) * conv.out_channels * conv.in_channels // conv.groups
    sizes = list(zip(x_BCHW.shape[2:], y_BCHW.shape[2:], strict=True))
    nominal = per_tap * prod(conv.kernel_size) * prod(y_BCHW.shape[2:])
    inside = prod(
        taps_inside(
            size_in,
            size_out,
            conv.kernel_size[axis],
            conv.stride[axis],
            left_padding(conv, axis, size_in, size_out),
            conv.dilation[axis],
        )
        for axis, (size_in, size_out) in enumerate(sizes)
    )
    needed = per_tap * inside if conv.padding_mode == "zeros" else nominal
    return Layer(nominal, needed, y_BCHW.numel(), conv.groups, x_BCHW.requires_grad)


def linear_layer(linear: nn.Linear, x: Tensor, y: Tensor) -> Layer:
    macs = y.numel() * linear.in_features
    return Layer(macs, macs, y.numel(), 1, x.requires_grad)


@contextmanager
def watched(model: nn.Module) -> Iterator[list[Layer]]:
    """Collects a Layer for each call of a convolution or linear layer of `model`."""
    layers: list[Layer] = []

    def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(module, nn.Conv2d):
            layers.append(conv_layer(module, inputs[0], output))
        elif isinstance(module, nn.Linear):
            layers.append(linear_layer(module, inputs[0], output))

    modules = [module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    handles = [module.register_forward_hook(hook) for module in modules]
    try:
        yield layers
    finally:
        for handle in handles:
            handle.remove()


def counted_by_torch(layers: list[Layer]) -> int:
    """What torch's FlopCounterMode must say of forward and backward.

    It counts the weight gradient of a grouped convolution as if it had no groups (torch 2.11).
    """
    passes = [1 + layer.groups + layer.input_gradient for layer in layers]
    return sum(2 * layer.nominal_macs * n for layer, n in zip(layers, passes, strict=True))


def training_work(
    model: nn.Module, batch_size: int, precision: str, image_size: int = 32
) -> tuple[Work, list[Layer]]:
    """The work of one step of `model` in training mode. The model is moved to the meta device."""
    model = model.to("meta").train()
    images_BCHW = torch.empty(batch_size, 3, image_size, image_size, device="meta")
    counter = FlopCounterMode(display=False)
    with watched(model) as layers, counter:
        model(images_BCHW).sum().backward()
    forward = batch_size * complexity(model, image_size).num_macs
    checked = (
        counter.get_total_flops() == counted_by_torch(layers)
        and sum(layer.nominal_macs for layer in layers) == forward
    )
    num_params, element = count_params(model), BYTES_PER_ELEMENT[precision]
    work = Work(
        num_params=num_params,
        batch_size=batch_size,
        nominal_flops=sum(2 * layer.passes * layer.nominal_macs for layer in layers),
        needed_flops=sum(2 * layer.passes * layer.needed_macs for layer in layers),
        weight_bytes=num_params * BYTES_PER_PARAMETER[precision],
        activation_bytes=sum(layer.num_outputs for layer in layers) * 4 * element,
        input_bytes=images_BCHW.numel() * 2 * element,
        checked=checked,
    )
    return work, layers
