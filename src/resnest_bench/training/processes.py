"""What the processes of one training share: numbers, signals, evaluations, and who computes what.

The processes are on one machine, each with a device of its own. Process 0 is the job itself: it alone reads
and writes records and checkpoints, and decides. The others are its helpers (`training.helpers`). Each of them
computes its share of every batch, and all have the same weights after every step
(docs/decisions/028-several-gpus.md).

Tensors on a CPU go through gloo, and those on a GPU through NCCL.
"""

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch._C._distributed_c10d import Store

from resnest_bench import stopping
from resnest_bench.errors import UserError
from resnest_bench.measure.evaluation import Evaluation

T = TypeVar("T")
# A process that ended is noticed at once, by other means: this is for one that hangs.
COLLECTIVE_TIMEOUT = timedelta(minutes=30)


@dataclass(frozen=True)
class Part:
    """A process's images of one part of a batch, which goes through the network at a time.

    `own_b` are indices within the batch, of which the part begins at `start`. A part with fewer images than
    processes leaves some of them without one: such a process computes the part's first image too, which does
    not count.
    """

    own_b: np.ndarray
    start: int
    num_whole: int
    counts: bool

    @property
    def weight(self) -> float:
        """The share of the part's images that this process computes."""
        return len(self.own_b) / self.num_whole if self.counts else 0.0


@dataclass(frozen=True)
class Processes:
    """This process, number `rank` of `size`, connected to the others."""

    rank: int
    size: int
    device: torch.device

    @classmethod
    def connect(cls, rank: int, size: int, device: torch.device, store: Store) -> "Processes":
        """Join the others, who call this at the same time with the same store."""
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        # A gradient in another memory layout than its weights costs DistributedDataParallel a copy.
        warnings.filterwarnings("ignore", "Grad strides do not match")
        dist.init_process_group(
            backend, store=store, rank=rank, world_size=size, timeout=COLLECTIVE_TIMEOUT
        )
        return cls(rank, size, device)

    def divide(self, num: int, at_once: int) -> list[Part]:
        """Divide a batch of `num` images, whose parts have up to `at_once`, as one process does.

        Each part is divided among the processes, so that batch norm sees the same images as in one process.
        """
        parts = []
        for whole_b in np.array_split(np.arange(num), -(-num // at_once)):
            own_b = np.array_split(whole_b, self.size)[self.rank]
            counts = len(own_b) > 0
            own_b = own_b if counts else whole_b[:1]
            parts.append(Part(own_b, int(whole_b[0]), len(whole_b), counts))
        return parts

    def total(self, tensor: Tensor) -> Tensor:
        """Add up a tensor over all processes, in place; return it."""
        dist.all_reduce(tensor)
        return tensor

    def told_by_first(self, number: int) -> int:
        """Return the number that process 0 gives here."""
        told = torch.tensor(number, dtype=torch.int64)
        dist.broadcast(told, 0)
        return int(told)

    def join_images(self, parts: Iterable[Part], images: Tensor) -> Tensor:
        """Return the whole batch, of which `images` are this process's `parts`."""
        parts = list(parts)
        whole = images.new_zeros((sum(part.num_whole for part in parts), *images.shape[1:]))
        sizes = [len(part.own_b) for part in parts]
        for part, own in zip(parts, images.split(sizes), strict=True):
            if part.counts:
                whole[torch.from_numpy(part.own_b).to(images.device)] = own
        return self.total(whole)

    def interruptible(self, items: Iterable[T]) -> Iterator[T]:
        """Yield `items`. After a signal to process 0, all raise Interrupted before the same item."""
        for item in items:
            number = self.told_by_first(stopping.received() or 0)
            if number:
                raise stopping.Interrupted(number)
            yield item

    def join_evaluations(self, own: Evaluation) -> Evaluation:
        """Return the evaluation of all images, of which each process has those of `choose_own`."""
        every: list[Evaluation | None] = [None] * self.size
        dist.all_gather_object(every, own)
        parts = [part for part in every if part is not None]
        sizes = [len(part.correct) for part in parts]

        def joined(name: str) -> np.ndarray | None:
            arrays = [getattr(part, name) for part in parts]
            return None if arrays[0] is None else np.concatenate(arrays)

        return Evaluation(
            np.concatenate([part.correct for part in parts]),
            np.concatenate([part.predictions for part in parts]),
            float(np.average([part.loss for part in parts], weights=sizes)),
            joined("labels"),
            joined("log_probabilities"),
        )


def choose_own(indices: np.ndarray, rank: int, size: int) -> np.ndarray:
    """Return the images that a process evaluates. Raises UserError if some process would have none."""
    if len(indices) < size:
        raise UserError(
            f"{size} GPUs evaluate at least {size} images, but there are {len(indices)}: give the recipe "
            "fewer gpus"
        )
    own: np.ndarray = np.array_split(indices, size)[rank]
    return own
