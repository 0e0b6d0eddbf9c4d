"""ResNet-8 for 32x32 images, the image classification network of MLPerf Tiny.

Paper: Banbury et al., MLPerf Tiny Benchmark, arXiv:2106.07597. The network is a small He et al.,
arXiv:1512.03385.

Origin: the reference model of mlcommons/tiny with its 16 filters of v0.5 to v1.2
(benchmark/training/image_classification/keras_model.py), in torch's layers: three blocks of two 3x3
convolutions of 16, 32 and 64 channels, with biases, and 1x1 convolutions without a norm as shortcuts.

Deviations from it:
- Strided convolutions pad both sides by one pixel; Keras's "same" pads an even map at its end alone.
- The last map is averaged at any size, not in windows of 8x8, so that images can be larger.
- He et al.'s normal distribution without Keras's truncation at two standard deviations.
- Dropout before the classifier.
"""

from torch import Tensor, nn
from torch.nn import functional

WIDTHS = (16, 32, 64)


def _norm(channels: int) -> nn.BatchNorm2d:
    """Return a norm with Keras's defaults."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut: (B, C, H, W) to (B, D, H / stride, W / stride)."""

    def __init__(self, num_in: int, num_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(num_in, num_out, 3, stride, padding=1)
        self.bn1 = _norm(num_out)
        self.conv2 = nn.Conv2d(num_out, num_out, 3, padding=1)
        self.bn2 = _norm(num_out)
        self.shortcut: nn.Module = nn.Identity()
        if num_in != num_out:
            self.shortcut = nn.Conv2d(num_in, num_out, 1, stride)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        out_BDHW = functional.relu(self.bn1(self.conv1(x_BCHW)))
        out_BDHW = self.bn2(self.conv2(out_BDHW))
        return functional.relu(out_BDHW + self.shortcut(x_BCHW))


class ResNet8(nn.Module):
    """Images (B, C, H, W) to logits (B, classes)."""

    def __init__(self, num_classes: int, dropout: float, in_chans: int = 3) -> None:
        super().__init__()
        first, *_ = WIDTHS
        self.conv1 = nn.Conv2d(in_chans, first, 3, padding=1)
        self.bn1 = _norm(first)
        pairs = zip((first, *WIDTHS), WIDTHS, strict=False)
        self.blocks = nn.Sequential(
            *(Block(num_in, num_out, 1 if num_in == num_out else 2) for num_in, num_out in pairs)
        )
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(WIDTHS[-1], num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def get_classifier(self) -> nn.Module:
        return self.fc

    def forward(self, x_BCHW: Tensor) -> Tensor:
        map_BCHW = self.blocks(functional.relu(self.bn1(self.conv1(x_BCHW))))
        logits: Tensor = self.fc(self.dropout(map_BCHW.mean((2, 3))))
        return logits

    def zero_last_gamma(self) -> None:
        """Start each block as its shortcut."""
        for block in self.blocks:
            assert isinstance(block, Block)
            nn.init.zeros_(block.bn2.weight)
