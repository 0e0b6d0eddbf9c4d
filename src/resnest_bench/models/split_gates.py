"""Other weights for the splits, to find out whether the attention helps, or the splits alone.

Split attention (arXiv:2004.08955, section 3.1) computes V = sum over r of a_r * U_r, with weights a_r from a
softmax over the R splits. The `gate` of a variant can choose other weights:

- `uniform`: a_r = 1 / R for every image, as the softmax gives for equal logits, without parameters. It is
  the control that shows the effect of the splits alone.
- `sigmoid`: a_r = sigmoid(g_r) for each split, as SENet (arXiv:1709.01507) gates channels. The weights need
  not sum to 1. For R = 1, it is the original.
"""

from timm.layers.split_attn import RadixSoftmax
from torch import Tensor, nn


class IndependentGates(RadixSoftmax):
    """Replaces timm's module from logits to weights, with sigmoid instead of softmax.

    As in timm, logits (B, K * R * D, 1, 1) are cardinality-major, and weights (B, R * K * D) radix-major.
    """

    def forward(self, logits_BC11: Tensor) -> Tensor:
        gates_BKRD = logits_BC11.sigmoid().reshape(
            len(logits_BC11), self.cardinality, self.radix, -1
        )
        gates_BC: Tensor = gates_BKRD.transpose(1, 2).flatten(1)
        return gates_BC


class UniformSplits(nn.Module):
    """The grouped convolution of split attention and the mean of its R splits: x to V, as in timm.

    It replaces the grouped convolution `plain`, a 3x3 without splits. Its parameters have the names of
    `timm.layers.SplitAttn`: conv and bn0, without those of the attention.
    """

    def __init__(self, plain: nn.Conv2d, radix: int, norm_layer: type[nn.Module]) -> None:
        super().__init__()
        self.radix = radix
        wide, groups = plain.out_channels * radix, plain.groups * radix
        stride = plain.stride[0]
        self.conv = nn.Conv2d(
            plain.in_channels, wide, 3, stride, padding=1, groups=groups, bias=False
        )
        self.bn0 = norm_layer(wide)
        self.act0 = nn.ReLU(inplace=True)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        U_BCHW: Tensor = self.act0(self.bn0(self.conv(x_BCHW)))
        # Slices keep the memory layout, but a mean over a separate axis doesn't.
        V_BCHW, *others = U_BCHW.chunk(self.radix, dim=1)
        for split in others:
            V_BCHW = V_BCHW + split
        return V_BCHW / self.radix if others else V_BCHW
