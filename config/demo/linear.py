"""The least that a network can be: one linear layer on the pixels. It shows how to bring your own."""

from torch import nn


def linear_classifier(num_classes: int, in_chans: int = 3, image_size: int = 32) -> nn.Module:
    """Images (B, in_chans, image_size, image_size) to logits (B, num_classes)."""
    return nn.Sequential(nn.Flatten(), nn.Linear(in_chans * image_size**2, num_classes))
