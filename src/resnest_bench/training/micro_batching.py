"""A batch that does not fit into memory: in pieces, whose gradients add up to its own.

The mean loss over a batch of N images is the sum over its pieces of (n / N) times the piece's mean
loss, and so is its gradient. What is not a mean over images is not the same: batch norm normalises
with the statistics of a piece, and dropout draws other masks.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from resnest_bench.errors import UserError, first_line

# Fewer images are no longer the same training: at 8 images a batch norm costs about one point of
# ImageNet's accuracy, at 4 more than three (Wu and He 2018, arXiv:1803.08494, table 2).
MIN_MICRO_BATCH = 8


def pieces(
    images_BCHW: Tensor, target: Tensor, at_once: int | None
) -> Iterator[tuple[Tensor, Tensor]]:
    """The batch in as few pieces of at most `at_once` images as do, sizes differing by one at most.

    Equal ones, since a single image left over has no variance to normalise with.
    """
    number = math.ceil(len(target) / (at_once or len(target)))
    yield from zip(images_BCHW.tensor_split(number), target.tensor_split(number), strict=True)


def smaller(at_once: int, error: Exception) -> int:
    """Half of `at_once`. Raises UserError if that would be less than MIN_MICRO_BATCH."""
    if at_once // 2 >= MIN_MICRO_BATCH:
        return at_once // 2
    raise UserError(
        f"a step of {at_once} images does not fit into memory ({first_line(error)}), and fewer than "
        f"{MIN_MICRO_BATCH} at once are not tried, since batch norm would compute something else: "
        "free the device's memory (`resnest-bench doctor`), take one with more, or give the recipe "
        "precision: bf16 or the dataset a smaller image_size"
    ) from error


class Undo:
    """What a step changes before it updates parameters, kept so that it can be put back.

    One copy of each tensor, made once; `_foreach` copies them all in a launch or two.
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
