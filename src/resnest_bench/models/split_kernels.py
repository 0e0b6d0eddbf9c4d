"""Splits that see the same place through kernels of different size: selective kernels.

Li et al., Selective Kernel Networks, arXiv:1903.06586: each branch of a block has its own kernel size, and a
softmax over the branches weighs them. That is split attention whose splits differ in their kernels, so
`kernels` of a variant changes the convolutions and nothing else.

As in that paper (section 3.1), a 5x5 kernel is a 3x3 with dilation 2, and a 7x7 one a 3x3 with dilation 3. So
all kernels have the same parameters and multiply-accumulates. As in timm's `SelectiveKernel` and in ResNeSt, a
split convolves its share of the input channels; in the paper each branch convolves all of them.
"""

import torch
from timm.layers import SplitAttn
from torch import Tensor, nn

from resnest_bench.models.split_gates import UniformSplits

KERNEL_SIZE = 3


class SplitKernels(nn.Module):
    """One convolution with its norm for each of R splits: (B, C, H, W) to U (B, R * C, H, W), as in timm.

    It replaces the grouped convolution `plain` of C to R * C channels, and the norm after it, which treats each
    channel by itself.
    """

    def __init__(
        self, plain: nn.Conv2d, kernels: tuple[int, ...], norm_layer: type[nn.Module]
    ) -> None:
        super().__init__()
        radix = len(kernels)
        num_in, num_out = plain.in_channels // radix, plain.out_channels // radix
        self.splits = nn.ModuleList()
        for size in kernels:
            dilation = size // 2
            conv = nn.Conv2d(
                num_in,
                num_out,
                KERNEL_SIZE,
                plain.stride[0],
                padding=dilation,
                dilation=dilation,
                groups=plain.groups // radix,
                bias=False,
            )
            self.splits.append(nn.Sequential(conv, norm_layer(num_out)))

    @torch.no_grad()
    def scale_weights(self) -> None:
        """Give new weights the size that they would have in one convolution of all splits.

        timm draws weights with a variance of 2 / (outputs * kernel), and one convolution has R times the outputs.
        """
        for split in self.splits:
            conv = split.get_submodule("0")
            assert isinstance(conv, nn.Conv2d)
            conv.weight.mul_(len(self.splits) ** -0.5)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        shares = x_BCHW.chunk(len(self.splits), dim=1)
        return torch.cat([conv(x) for conv, x in zip(self.splits, shares, strict=True)], dim=1)


def use_kernels(
    block: SplitAttn | UniformSplits, kernels: tuple[int, ...], norm_layer: type[nn.Module]
) -> None:
    """Replace a block's convolution and its norm by one of each for each kernel size, in place."""
    conv = block.conv
    assert isinstance(conv, nn.Conv2d)
    block.set_submodule("conv", SplitKernels(conv, kernels, norm_layer))
    block.set_submodule("bn0", nn.Identity())


def scale_kernels(model: nn.Module) -> None:
    """Call `SplitKernels.scale_weights` once, after the weights of `model` were drawn."""
    for module in model.modules():
        if isinstance(module, SplitKernels):
            module.scale_weights()
