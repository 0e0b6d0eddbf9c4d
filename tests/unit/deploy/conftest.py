"""A tiny network, images for it, and what it says of them."""

from collections import OrderedDict

import pytest
import torch
from torch import nn


@pytest.fixture(scope="session")
def network() -> nn.Module:
    torch.manual_seed(0)
    # Named: XNNPACK's partitioner fails where a name begins with a digit.
    layers = {
        "conv": nn.Conv2d(3, 4, 3),
        "norm": nn.BatchNorm2d(4),
        "act": nn.ReLU(),
        "flat": nn.Flatten(),
        "head": nn.Linear(144, 5),
    }
    return nn.Sequential(OrderedDict(layers)).eval()


@pytest.fixture(scope="session")
def images_BCHW() -> torch.Tensor:
    return torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="session")
def logits_BK(network, images_BCHW):
    with torch.no_grad():
        return network(images_BCHW).numpy()


class Sorted(nn.Module):
    """A network with an operator that no exporter of ours knows."""

    def forward(self, x_BCHW):
        return torch.linalg.eigvals(x_BCHW[:, 0]).real


@pytest.fixture(scope="session")
def unusual_network() -> nn.Module:
    return Sorted().eval()
