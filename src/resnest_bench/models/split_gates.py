"""The weights of split attention by other rules: is it the attention that helps, or the splits?

Split attention (arXiv:2004.08955, section 3.1) gives a pixel V = sum over r of a_r * U_r, with weights a_r
by softmax over the R splits. A variant's `gate` can name another rule:

- `uniform`: a_r = 1 / R, whatever the image shows. This is where the softmax begins at equal logits. No
  parameter of the attention is left. It is the control that shows what the splits alone do.
- `sigmoid`: a_r = sigmoid(g_r), each split by itself, as SENet (arXiv:1709.01507) gates channels. The
  weights need not sum to 1. At R = 1 this is the original.
"""

from timm.layers.split_attn import RadixSoftmax
from torch import Tensor, nn


class IndependentGates(RadixSoftmax):
    """timm's module between logits and weights, by sigmoid instead of softmax.

    Logits (B, K * R * D, 1, 1) come cardinality-major and weights (B, R * K * D) leave radix-major, as in
    timm's.
    """

    def forward(self, logits_BC11: Tensor) -> Tensor:
        gates_BKRD = logits_BC11.sigmoid().reshape(
            len(logits_BC11), self.cardinality, self.radix, -1
        )
        gates_BC: Tensor = gates_BKRD.transpose(1, 2).flatten(1)
        return gates_BC


class UniformSplits(nn.Module):
    """The grouped convolution of split attention, and the mean of its R splits: x to V, as in timm.

    It takes the place of the grouped convolution `plain`, a 3x3 that is not split.
    Parameters bear the names of `timm.layers.SplitAttn`: conv and bn0; those of its attention are not there.
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
        # Slices keep the memory layout, which a mean over an axis of its own would lose.
        V_BCHW, *others = U_BCHW.chunk(self.radix, dim=1)
        for split in others:
            V_BCHW = V_BCHW + split
        return V_BCHW / self.radix if others else V_BCHW
