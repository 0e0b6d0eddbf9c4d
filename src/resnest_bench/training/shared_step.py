"""One update by several processes, each with its share of the batch.

The images, random numbers, loss, gradients and statistics are those of one process; sums are in another order,
so that results differ by rounding (docs/decisions/028-several-gpus.md). torch's DistributedDataParallel
averages the gradients while they are computed.
"""

from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from resnest_bench.data.batches import Share
from resnest_bench.measure.evaluation import Evaluation, Evaluator
from resnest_bench.specs import RecipeSpec
from resnest_bench.training.checkpoints import Checkpoint, Progress, TrainedState
from resnest_bench.training.execution import Execution, prepared_network
from resnest_bench.training.optimizer import build_optimizer
from resnest_bench.training.processes import Part, Processes
from resnest_bench.training.step import TrainStep
from resnest_bench.training.sums import count_hits
from resnest_bench.training.whole_batch import WholeBatch, check_norms


@dataclass
class SharedStep(TrainStep):
    """A `TrainStep` whose images are this process's share of a batch. Steps are run eagerly.

    Memory that runs out is an error: the other processes can't repeat the step.
    """

    processes: Processes = field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_norms(self.model)
        # Batch norm's buffers are equal in all processes; the loss is scaled for an average over them.
        self.shared = DistributedDataParallel(self.model, broadcast_buffers=False)
        self.part: Part | None = None
        self.num_images = 0

    def __call__(
        self,
        images_BCHW: Tensor,
        target: Tensor,
        learning_rate: float,
        seed: int,
        num_images: int | None = None,
    ) -> None:
        self.num_images = num_images or len(target)
        super().__call__(images_BCHW, target, learning_rate, seed, num_images)

    @property
    def share(self) -> Share:
        """Which images of a batch this process computes."""
        return lambda num: np.concatenate([part.own_b for part in self._parts(num)])

    def blend(
        self, images_BCHW: Tensor, labels_B: Tensor, num: int, num_classes: int, generator: Any
    ) -> tuple[Tensor, Tensor]:
        """Blend images of the whole batch; return this process's."""
        parts = self._parts(num)
        whole_BCHW = self.processes.join_images(parts, images_BCHW)
        whole_B = self.processes.join_images(parts, labels_B)
        images, target = super().blend(whole_BCHW, whole_B, num, num_classes, generator)
        own_b = torch.from_numpy(self.share(num)).to(images.device)
        return images[own_b], target[own_b]

    def interruptible(self, batches: Iterable) -> Iterable:
        return self.processes.interruptible(batches)

    def make_evaluator(self) -> Evaluator:
        return SharedEvaluator(self.final_model, self.recipe.precision == "bf16", self.processes)

    def _parts(self, num: int) -> list[Part]:
        return self.processes.divide(num, self._at_once(num))

    def _step_that_fits(self, images_BCHW: Tensor, target: Tensor, seed: int) -> None:
        self._compute(images_BCHW, target)

    def _gradients(self, images_BCHW: Tensor, target: Tensor) -> None:
        """Compute the gradient of the whole batch's mean loss, and add to the sums."""
        self.optimizer.zero_grad(set_to_none=True)
        parts = self._parts(self.num_images)
        sizes = [len(part.own_b) for part in parts]
        seen = torch.zeros(2, dtype=torch.float64, device=self.device)
        for number, (self.part, images_bCHW, part_target) in enumerate(
            zip(parts, images_BCHW.split(sizes), target.split(sizes), strict=True), 1
        ):
            # Gradients are averaged once, when those of all parts have been added up.
            last = number == len(parts)
            with nullcontext() if last else self.shared.no_sync():
                logits_bK = self._logits(images_bCHW)
                loss = self._loss(images_bCHW, logits_bK.float(), part_target)
                share = self.part.weight * self.part.num_whole / self.num_images
                (loss * (share * self.processes.size)).backward()
            hits = count_hits(logits_bK, part_target) * self.part.counts
            seen += torch.stack([loss.detach().double() * share, hits.double()])
        mean_loss, hits = self.processes.total(seen)
        self.sums.add_step(mean_loss, hits.long(), self.num_images)

    def _forward(self, images_BCHW: Tensor) -> Tensor:
        assert self.part is not None
        with WholeBatch(self.processes, self.part):
            return self._run(self.shared, images_BCHW)


def make_shared_step(
    model: nn.Module,
    recipe: RecipeSpec,
    device: torch.device,
    execution: Execution,
    processes: Processes,
    **options: Any,
) -> SharedStep:
    """As `make_step`, for one of several processes, which all call it at the same time."""
    model = prepared_network(model.to(device), execution)
    optimizer = build_optimizer(model, recipe)
    return SharedStep(
        model,
        optimizer,
        recipe,
        device,
        execution,
        processes=processes,
        may_shrink=False,
        **options,
    )


class SharedEvaluator(Evaluator):
    """Evaluates this process's images, and returns the evaluation of all."""

    def __init__(self, model: nn.Module, autocast: bool, processes: Processes) -> None:
        super().__init__(model, autocast)
        self.processes = processes

    def __call__(
        self, batches: Iterable[tuple[Tensor, Tensor]], keep_probabilities: bool = False
    ) -> Evaluation:
        return self.processes.join_evaluations(super().__call__(batches, keep_probabilities))


class SharedCheckpoint(Checkpoint):
    """A checkpoint that process 0 writes, and all read."""

    def __init__(self, checkpoint: Checkpoint, processes: Processes) -> None:
        super().__init__(checkpoint.folder)
        self.processes = processes

    def save(self, trained: TrainedState, progress: Progress) -> None:
        if self.processes.rank == 0:
            super().save(trained, progress)

    def load(self, trained: TrainedState) -> Progress | None:
        """Load what process 0 could load; it may have found the file damaged."""
        loaded = super().load(trained) if self.processes.rank == 0 else None
        exists = self.processes.told_by_first(int(loaded is not None))
        if exists and self.processes.rank:
            loaded = super().load(trained)
            if loaded is None:
                raise RuntimeError(f"the checkpoint {self.state} can't be read in a second process")
        return loaded
