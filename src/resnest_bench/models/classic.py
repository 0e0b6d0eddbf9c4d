"""LeNet-5, AlexNet, GoogLeNet and ResNet-8 in a form for small images (`resnet8` has the last one).

Papers: LeCun et al., Gradient-based learning applied to document recognition, Proc. IEEE 86 (1998),
doi:10.1109/5.726791; Krizhevsky et al., ImageNet classification with deep convolutional neural
networks, NIPS 2012, with the widths of its one-column form, Krizhevsky, arXiv:1404.5997; Szegedy et
al., Going deeper with convolutions, arXiv:1409.4842.

Origin: torchvision's `GoogLeNet`; the other two follow their papers, with torch's layers. timm has none of
them, and in torchvision's `AlexNet` a 32x32 image has no pixels left at the last pooling.

Deviations of LeNet-5 from its paper:
- As many input channels as the dataset has: 3 instead of 1 for RGB.
- Every map of C3 sees all 6 maps of S2; in the paper's table 1 most see 3 or 4 of them.
- Subsampling is an average without trained scale and bias. Plain tanh instead of 1.7159 tanh(2x/3).
- A linear classifier on F6 instead of radial basis functions, with dropout before it.
- C5 is averaged over its map, which is 1x1 for 32x32 images, so that images can be larger.

Deviations of AlexNet from its one-column form (the widths of torchvision's):
- The first convolution is 3x3 with stride 1, not 11x11 with stride 4. All three max-pools stay.
- The last map is averaged to 3x3, its size for 32x32 images (6x6 for 224x224). The hidden linear layers
  have a quarter of the inputs and of the units, 1,024.
- Batch norm (arXiv:1502.03167) in every hidden layer instead of biases and local response normalisation.
  Without it, the network did not train at a learning rate of 0.1 in short trials (docs/methods.md).
- One dropout before the classifier instead of one of 0.5 before each hidden linear layer.

Deviations of GoogLeNet from its paper:
- The first convolution is 3x3 with stride 1 instead of 7x7 with stride 2, without the max-pool after it.
- Batch norm instead of biases and local response normalisation, as in torchvision.
- No auxiliary classifiers: they need 14x14 maps of a 224x224 image.
torchvision has 3x3 convolutions instead of 5x5, which its source calls a known bug. Here they are 5x5.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torchvision.models import GoogLeNet
from torchvision.models.googlenet import BasicConv2d, Inception, InceptionAux

from resnest_bench.models.resnet8 import ResNet8
from resnest_bench.specs import ClassicVariant


class _Classic(nn.Module):
    """Features, dropout and a linear classifier: images (B, C, H, W) to logits (B, classes)."""

    def __init__(
        self, features: nn.Sequential, num_features: int, num_classes: int, dropout: float
    ) -> None:
        super().__init__()
        self.features = features
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(num_features, num_classes)

    def get_classifier(self) -> nn.Module:
        return self.fc

    def forward(self, x_BCHW: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.dropout(self.features(x_BCHW)))
        return logits


def lenet5(num_classes: int, dropout: float, in_chans: int = 3) -> nn.Module:
    """LeNet-5, for images of 32x32 or more; the paper's have one channel."""
    features = nn.Sequential(
        *(nn.Conv2d(in_chans, 6, 5), nn.Tanh(), nn.AvgPool2d(2)),  # C1, S2
        *(nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2)),  # C3, S4
        *(nn.Conv2d(16, 120, 5), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),  # C5
        *(nn.Linear(120, 84), nn.Tanh()),  # F6
    )
    # Biases are initialised as in torch, weights for tanh as by Glorot and Bengio (2010).
    for layer in features:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight, gain=nn.init.calculate_gain("tanh"))
    return _Classic(features, 84, num_classes, dropout)


def alexnet(num_classes: int, dropout: float, in_chans: int = 3) -> nn.Module:
    """AlexNet in one column, with batch norm, for images of 15x15 or more."""
    features = nn.Sequential(
        *(BasicConv2d(in_chans, 64, kernel_size=3, padding=1), nn.MaxPool2d(3, 2)),
        *(BasicConv2d(64, 192, kernel_size=5, padding=2), nn.MaxPool2d(3, 2)),
        BasicConv2d(192, 384, kernel_size=3, padding=1),
        BasicConv2d(384, 256, kernel_size=3, padding=1),
        *(BasicConv2d(256, 256, kernel_size=3, padding=1), nn.MaxPool2d(3, 2)),
        *(nn.AdaptiveAvgPool2d(3), nn.Flatten()),
        *_hidden(256 * 3 * 3, 1024),
        *_hidden(1024, 1024),
    )
    return _Classic(features, 1024, num_classes, dropout)


def _hidden(num_inputs: int, num_outputs: int) -> tuple[nn.Module, ...]:
    return (
        nn.Linear(num_inputs, num_outputs, bias=False),
        nn.BatchNorm1d(num_outputs),
        nn.ReLU(inplace=True),
    )


class Inception5x5(Inception):  # type: ignore[misc]  # torchvision is not annotated
    """torchvision's block with the paper's 5x5 convolution. Arguments are those of torchvision."""

    def __init__(self, *channels: int, **options: Any) -> None:
        super().__init__(*channels, **options)
        reduced, out = channels[4:6]
        self.branch3[1] = BasicConv2d(reduced, out, kernel_size=5, padding=2)


class SmallGoogLeNet(GoogLeNet):  # type: ignore[misc]  # as above
    """torchvision's network with a small stem: images (B, C, H, W) to logits (B, classes)."""

    def __init__(self, num_classes: int, dropout: float, in_chans: int = 3) -> None:
        super().__init__(
            num_classes,
            aux_logits=False,
            init_weights=False,
            blocks=[BasicConv2d, Inception5x5, InceptionAux],
            dropout=dropout,
        )
        self.conv1 = BasicConv2d(in_chans, 64, kernel_size=3, padding=1)
        self.maxpool1 = nn.Identity()

    def get_classifier(self) -> nn.Module:
        head: nn.Module = self.fc
        return head


MODELS: dict[str, Callable[[int, float, int], nn.Module]] = {
    "lenet5": lenet5,
    "alexnet": alexnet,
    "googlenet": SmallGoogLeNet,
    "resnet8": ResNet8,
}


def build_classic(
    variant: ClassicVariant, num_classes: int, dropout: float, zero_last_gamma: bool, in_chans: int
) -> nn.Module:
    """Images (B, in_chans, H, W), of 32x32 or more, to logits (B, num_classes).

    Args:
        dropout: probability before the classifier.
        zero_last_gamma: of the residual branches, which resnet8 alone has.
    """
    model = MODELS[variant.model](num_classes, dropout, in_chans)
    for module in model.modules():
        if isinstance(module, BasicConv2d):
            # He et al., arXiv:1502.01852, as in timm's ResNets.
            nn.init.kaiming_normal_(module.conv.weight, mode="fan_out", nonlinearity="relu")
    if zero_last_gamma and isinstance(model, ResNet8):
        model.zero_last_gamma()
    return model
