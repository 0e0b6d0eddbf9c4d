"""Micro-batches for a batch that does not fit into memory: their gradients add up to that of the batch.

The mean loss over a batch of N images is the sum over micro-batches of (n / N) times their mean loss, and so
is its gradient. Batch norm is different: it uses the statistics of a micro-batch. So is dropout, which has
other masks.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from resnest_bench.errors import UserError, first_line

# Fewer images change the training too much: batch norm over 8 images loses about one point of accuracy on
# ImageNet, over 4 images more than three (Wu and He 2018, arXiv:1803.08494, table 2).
MIN_MICRO_BATCH = 8


def split_batch(
    images_BCHW: Tensor, target: Tensor, at_once: int | None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Divide a batch into as few micro-batches of at most `at_once` images as possible, of equal size.

    Sizes differ by at most one, since batch norm needs more than a single remaining image.
    """
    number = math.ceil(len(target) / (at_once or len(target)))
    yield from zip(images_BCHW.tensor_split(number), target.tensor_split(number), strict=True)


def halve_micro_batch(at_once: int, error: Exception) -> int:
    """Return half of `at_once`. Raises UserError if that is less than MIN_MICRO_BATCH."""
    if at_once // 2 >= MIN_MICRO_BATCH:
        return at_once // 2
    raise UserError(
        f"a step of {at_once} images does not fit into memory ({first_line(error)}), and fewer than "
        f"{MIN_MICRO_BATCH} at once are not tried, since batch norm would compute something else: "
        "free the device's memory (`resnest-bench doctor`), take one with more, or give the recipe "
        "precision: bf16 or the dataset a smaller image_size"
    ) from error


class Undo:
    """A copy of what a step changes before it updates parameters, to undo the step.

    The copies are allocated once; `_foreach` copies all tensors in one or two launches.
    """

    def __init__(self, model: nn.Module, sums: list[Tensor]) -> None:
        changed = [*model.buffers(), *sums]
        kinds = dict.fromkeys((tensor.dtype, tensor.device) for tensor in changed)
        self.live = [[t for t in changed if (t.dtype, t.device) == kind] for kind in kinds]
        self.kept = [[torch.empty_like(tensor) for tensor in group] for group in self.live]

    @torch.no_grad()
    def keep(self) -> None:
        for live, kept in zip(self.live, self.kept, strict=True):
            torch._foreach_copy_(kept, live)

    @torch.no_grad()
    def restore(self) -> None:
        for live, kept in zip(self.live, self.kept, strict=True):
            torch._foreach_copy_(live, kept)
