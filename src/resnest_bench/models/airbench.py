"""The network of cifar10-airbench: a whitening stem and three groups of two convolutions.

Paper: Jordan, 94% on CIFAR-10 in 3.29 seconds on a single GPU, arXiv:2404.00498.

Origin: its description in section 3, and the code that it names (KellerJordan/cifar10-airbench,
legacy/airbench94.py), whose choices are taken over and whose text is not.

Deviations:
- The last max-pool takes the whole map, of 3x3 at 32x32, so that images of 9x9 or more can be taken.
- As many input channels C as the dataset has; the stem has 8 C filters, which for RGB is 24.
- Until training images are seen, the stem is a random rotation and its negative. Latencies are measured
  so: what the weights are changes no operation.
- The stem's bias is trained to the end; there it stops after three epochs.
- Dropout before the classifier, which the paper does not use.
- Everything is in the recipe's precision; there it is in half precision.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.functional import unfold

from resnest_bench.specs import AirbenchVariant

KERNEL_SIZE = 2
# Added to the eigenvalues, so that directions without variance are not blown up.
EPSILON = 5e-4
# torch's momentum is the weight of the new batch: the paper's 0.6 of the old.
NORM_MOMENTUM = 0.4
HEAD_SCALE = 1 / 9
IMAGES_AT_ONCE = 250


class WhiteningConv2d(nn.Conv2d):
    """A 2x2 convolution whose filters are the whitened principal directions of patches, and their negatives.

    Its weights are not trained. They are random until `initialise_from` sees training images.
    """

    def __init__(self, in_chans: int) -> None:
        num_directions = in_chans * KERNEL_SIZE**2
        super().__init__(in_chans, 2 * num_directions, KERNEL_SIZE)
        self.weight.requires_grad_(False)
        assert self.bias is not None
        nn.init.zeros_(self.bias)
        self._set_directions(nn.init.orthogonal_(torch.empty(num_directions, num_directions)))

    def _set_directions(self, directions_DP: Tensor) -> None:
        """Both signs of each direction: the activation that follows treats them differently."""
        directions_DCHW = directions_DP.unflatten(1, self.weight.shape[1:])
        with torch.no_grad():
            self.weight.copy_(torch.cat([directions_DCHW, -directions_DCHW]))

    def initialise_from(self, batches: Iterable[Tensor]) -> None:
        """Set the weights from the patches of normalised images, in batches (B, C, H, W).

        With the eigenvectors e and eigenvalues v of the patches' second moments (not centred, as in the
        original code), filter i is +-e_i / sqrt(v_i + EPSILON), from the largest eigenvalue down.
        Computed in float64 on a CPU, with e_i's largest component positive: the same on any machine, but
        for rounding.
        """
        size = self.in_channels * KERNEL_SIZE**2
        sums_PP, num_patches = torch.zeros(size, size, dtype=torch.float64), 0
        for images_BCHW in batches:
            for part_bCHW in images_BCHW.cpu().double().split(IMAGES_AT_ONCE):
                patches_PN = unfold(part_bCHW, KERNEL_SIZE).transpose(0, 1).flatten(1)
                sums_PP += patches_PN @ patches_PN.T
                num_patches += patches_PN.shape[1]
        values_P, vectors_PD = torch.linalg.eigh(sums_PP / num_patches)
        directions_DP = (vectors_PD / (values_P + EPSILON).sqrt()).T.flip(0)
        largest_D1 = directions_DP.abs().argmax(1, keepdim=True)
        self._set_directions(directions_DP * directions_DP.gather(1, largest_D1).sign())


def _norm(num_features: int) -> nn.BatchNorm2d:
    """Batch norm with a short memory, and a trained bias alone."""
    norm = nn.BatchNorm2d(num_features, eps=1e-12, momentum=NORM_MOMENTUM)
    norm.weight.requires_grad_(False)
    return norm


def _conv(in_channels: int, out_channels: int) -> nn.Conv2d:
    """A 3x3 convolution whose first filters pass their inputs on; the others are as torch draws them."""
    conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
    nn.init.dirac_(conv.weight.data[:in_channels])
    return conv


def _group(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        *(_conv(in_channels, out_channels), nn.MaxPool2d(2), _norm(out_channels), nn.GELU()),
        *(_conv(out_channels, out_channels), _norm(out_channels), nn.GELU()),
    )


class Airbench(nn.Module):
    """Images (B, C, H, W), of 9x9 or more, to logits (B, classes)."""

    def __init__(
        self, stem: nn.Conv2d, widths: tuple[int, int, int], num_classes: int, dropout: float
    ) -> None:
        super().__init__()
        self.stem = stem
        self.activation = nn.GELU()
        inputs = (stem.out_channels, *widths[:-1])
        self.groups = nn.Sequential(*map(_group, inputs, widths))
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(widths[-1], num_classes, bias=False)

    def get_classifier(self) -> nn.Module:
        return self.fc

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x_BCHW = self.groups(self.activation(self.stem(x_BCHW)))
        # The maximum over the map; ONNX has no adaptive max-pool.
        logits: Tensor = self.fc(self.dropout(x_BCHW.amax((2, 3))))
        return logits * HEAD_SCALE


def build_airbench(
    variant: AirbenchVariant, num_classes: int, dropout: float, zero_last_gamma: bool, in_chans: int
) -> nn.Module:
    """The network with a random stem; `initialise_from` of the stem makes it a whitening one.

    Args:
        dropout: probability before the classifier.
        zero_last_gamma: has no effect: there are no residual branches.
    """
    stem: nn.Conv2d
    if variant.stem == "whitening":
        stem = WhiteningConv2d(in_chans)
    else:
        stem = nn.Conv2d(in_chans, 2 * in_chans * KERNEL_SIZE**2, KERNEL_SIZE)
    return Airbench(stem, variant.widths, num_classes, dropout)
