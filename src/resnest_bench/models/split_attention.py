"""The split-attention block, written out from its equations: the readable reference.

`build_model` uses timm's block, for which pretrained weights exist, and takes only `attention_width` from
here. Tests compare both blocks with each other and with the formulas.

Source: Zhang et al., ResNeSt: Split-Attention Networks, arXiv:2004.08955, section 3.1 and, for
the radix-major layout, its appendix on the efficient implementation.

Shape suffixes: B images, K cardinal groups, R splits of a group (the radix), D channels of one
split, H x W pixels, C = K * D channels of the block's input and output.

With U the K * R feature maps (B, D, H, W) that a grouped 3x3 convolution, batch norm and ReLU give:

    Û_k  = sum over r of U_kr                          the group's splits, fused
    s_k  = mean of Û_k over H and W                    its global context
    g_k  = G_k(s_k) = W2_k relu(norm(W1_k s_k + b1)) + b2     R * D logits
    a_kr = softmax over r of g_kr  where R > 1,  sigmoid(g_k1)  where R = 1
    V_k  = sum over r of a_kr * U_kr                   and V = (V_1, ..., V_K)

At R = 1 and K = 1 this is the squeeze-and-excitation gate (arXiv:1709.01507) with a batch norm
inside, at R = 2 and K = 1 the selection of a selective-kernel unit (arXiv:1903.06586).
R = 0 means no attention: V = U of one grouped convolution.
"""

import torch
from timm.layers import SplitAttn
from torch import Tensor, nn
from torch.nn import functional


def attention_width(channels: int, radix: int) -> int:
    """Return the channels between the two 1x1 convolutions of G: max(channels * radix // 4, 32)."""
    return max(channels * radix // 4, 32)


class SplitAttention(nn.Module):
    """x (B, C, H, W) to V (B, C, H / stride, W / stride), C = `channels`.

    Subclasses define the order of the convolution's K * R * D output channels. Parameters
    have the names of `timm.layers.SplitAttn`: conv, bn0, fc1, bn1, fc2.

    Args:
        channels: C, a multiple of cardinality * max(radix, 1).
        radix: R, splits in a cardinal group; 0 leaves the attention out.
        cardinality: K, must also divide `attention_width(channels, radix)`.
        stride: of the 3x3 convolution.
        gate: "attention" for the weights above, "sigmoid" for a_kr = sigmoid(g_kr) at any R, or "uniform"
            for a_kr = 1 / R, which needs no G.
    """

    def __init__(
        self,
        channels: int,
        radix: int,
        cardinality: int,
        stride: int = 1,
        gate: str = "attention",
    ) -> None:
        super().__init__()
        assert channels % (cardinality * max(radix, 1)) == 0
        self.radix, self.cardinality, self.gate = radix, cardinality, gate
        wide, groups = channels * max(radix, 1), cardinality * max(radix, 1)
        self.conv = nn.Conv2d(channels, wide, 3, stride, padding=1, groups=groups, bias=False)
        self.bn0 = nn.BatchNorm2d(wide)
        if radix and gate != "uniform":
            middle = attention_width(channels, radix)
            self.fc1 = nn.Conv2d(channels, middle, 1, groups=cardinality)
            self.bn1 = nn.BatchNorm2d(middle)
            self.fc2 = nn.Conv2d(middle, wide, 1, groups=cardinality)

    def splits(self, U_BCHW: Tensor) -> Tensor:
        """Reshape the convolution's output (B, K * R * D, H, W) to (B, K, R, D, H, W)."""
        raise NotImplementedError

    def attention(self, gap_BC: Tensor) -> Tensor:
        """Compute the weights a (B, K, R, D) of the splits from the global context s (B, C)."""
        if self.gate == "uniform":
            even_BC = torch.full_like(gap_BC, 1 / self.radix)
            even_BKRD: Tensor = even_BC.reshape(len(gap_BC), self.cardinality, 1, -1)
            return even_BKRD.expand(-1, -1, self.radix, -1)
        middle_BC11 = functional.relu(self.bn1(self.fc1(gap_BC[:, :, None, None])))
        # W2 has K groups, so its output is cardinality-major in both layouts.
        logits_BC11: Tensor = self.fc2(middle_BC11)
        logits_BKRD = logits_BC11.reshape(len(gap_BC), self.cardinality, self.radix, -1)
        if self.radix > 1 and self.gate == "attention":
            return logits_BKRD.softmax(dim=2)
        return logits_BKRD.sigmoid()

    def forward(self, x_BCHW: Tensor) -> Tensor:
        U_BCHW = functional.relu(self.bn0(self.conv(x_BCHW)))
        if not self.radix:
            return U_BCHW
        U_BKRDHW = self.splits(U_BCHW)
        fused_BKDHW = U_BKRDHW.sum(dim=2)
        gap_BC = fused_BKDHW.mean(dim=(-2, -1)).flatten(1)
        a_BKRD = self.attention(gap_BC)
        V_BKDHW = (a_BKRD[..., None, None] * U_BKRDHW).sum(dim=2)
        V_BCHW: Tensor = V_BKDHW.flatten(1, 2)
        return V_BCHW


class SplitAttentionCardinalityMajor(SplitAttention):
    """The order in the paper: channel (k, r, d) is at (k * R + r) * D + d."""

    def splits(self, U_BCHW: Tensor) -> Tensor:
        U_BKRDHW: Tensor = U_BCHW.unflatten(1, (self.cardinality, self.radix, -1))
        return U_BKRDHW


class SplitAttentionRadixMajor(SplitAttention):
    """The order in the official code and timm: channel (k, r, d) is at (r * K + k) * D + d.

    So the splits can be fused by one sum over a leading axis.
    """

    def splits(self, U_BCHW: Tensor) -> Tensor:
        U_BRKDHW: Tensor = U_BCHW.unflatten(1, (self.radix, self.cardinality, -1))
        return U_BRKDHW.transpose(1, 2)


def cardinality_major_order(channels: int, radix: int, cardinality: int) -> Tensor:
    """Return indices (channels,) with `x_cardinality_major = x_radix_major[:, indices]`.

    They apply to the block's input (C channels) and to the convolution's output (R * C).
    """
    order: Tensor = torch.arange(channels).unflatten(0, (max(radix, 1), cardinality, -1))
    return order.transpose(0, 1).flatten()


def to_cardinality_major(
    state: dict[str, Tensor], radix: int, cardinality: int
) -> dict[str, Tensor]:
    """Reorder the state dict of a radix-major block for a cardinality-major one.

    Only the convolution's output channels move, with their norm. This also moves the groups of the
    convolution, so the input must be in `cardinality_major_order` too (in a network, the 1x1 convolution
    before the block does that). The outputs are equal without reordering.
    """
    order = cardinality_major_order(len(state["conv.weight"]), radix, cardinality)
    return {
        name: tensor[order] if name.startswith(("conv.", "bn0.")) and tensor.ndim else tensor
        for name, tensor in state.items()
    }


def from_timm(
    block: SplitAttn, cardinality: int, gate: str = "attention"
) -> SplitAttentionRadixMajor:
    """Build a radix-major block with the weights, statistics, dtype and mode of timm's block.

    Raises RuntimeError if the widths differ: timm rounds the attention width to a multiple
    of 8, the paper's code does not.
    """
    channels, stride = block.conv.in_channels, block.conv.stride[0]
    copy = SplitAttentionRadixMajor(channels, block.radix, cardinality, stride, gate)
    copy.to(block.conv.weight.dtype).train(block.training)
    copy.load_state_dict(block.state_dict())
    return copy
