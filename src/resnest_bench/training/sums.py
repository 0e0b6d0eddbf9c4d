"""Sums of an epoch's losses and hits."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class EpochSums:
    """Sums of loss and hits of an epoch on the device, without synchronisation."""

    loss: Tensor
    hits: Tensor
    num_steps: Tensor
    bad_step: Tensor  # the first step, from 1, whose loss is not finite; 0 for none
    num_images: int = 0

    @classmethod
    def on(cls, device: torch.device) -> "EpochSums":
        count = torch.zeros((), device=device, dtype=torch.int64)
        return cls(count.double(), count.clone(), count.clone(), count.clone())

    @property
    def tensors(self) -> list[Tensor]:
        return [self.loss, self.hits, self.num_steps, self.bad_step]

    def reset(self) -> None:
        self.num_images = 0
        for tensor in self.tensors:
            tensor.zero_()

    def add(self, loss: Tensor, logits_BK: Tensor, target: Tensor) -> None:
        self.add_step(loss, count_hits(logits_BK, target), len(target))

    def add_step(self, loss: Tensor, hits: Tensor, num_images: int) -> None:
        """Add a step with this mean loss over `num_images`, which the caller adds to those of the sums."""
        self.num_steps += 1
        first = (self.bad_step == 0) & ~loss.isfinite()
        self.bad_step += first * self.num_steps
        self.loss += loss.detach() * num_images
        self.hits += hits

    def means(self) -> tuple[float, float]:
        """Return mean loss and accuracy so far. Synchronises with the device."""
        return float(self.loss) / self.num_images, int(self.hits) / self.num_images


def count_hits(logits_BK: Tensor, target: Tensor) -> Tensor:
    """Return how often the largest logit is that of the label, or of the most probable class."""
    labels_B = target if target.ndim == 1 else target.argmax(dim=1)
    return (logits_BK.detach().argmax(dim=1) == labels_B).sum()
