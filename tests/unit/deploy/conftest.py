"""A tiny network, images for it, and what it says of them."""

import pytest
import torch
from torch import nn


@pytest.fixture(scope="session")
def network() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5)
    return nn.Sequential(*layers).eval()


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
