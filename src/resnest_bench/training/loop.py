"""The training loop, top to bottom."""

import logging
import math
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np
import torch

from resnest_bench.data.batches import BatchLoader, mixup_batch
from resnest_bench.data.splits import batch_slices, epoch_order
from resnest_bench.measure.allocator import release_memory
from resnest_bench.measure.evaluation import Evaluation, Evaluator
from resnest_bench.records import EpochObservation
from resnest_bench.training.checkpoints import Checkpoint, Progress
from resnest_bench.training.reporting import Reporter
from resnest_bench.training.schedules import learning_rate
from resnest_bench.training.step import EpochSums, TrainStep, set_train_mode

log = logging.getLogger(__name__)


class DivergedError(RuntimeError):
    """The loss is not finite. `epoch` and `step` count from 1."""

    def __init__(self, what: str, epoch: int, step: int | None) -> None:
        super().__init__(f"{what} is not finite")
        self.epoch, self.step = epoch, step


@dataclass(frozen=True)
class Batches:
    """The three parts of a dataset. `validation` is None where nothing is held out."""

    train: BatchLoader
    train_indices: np.ndarray
    validation: Callable[[], object] | None
    test: Callable[[], object]
    num_classes: int


def derived_seed(*parts: int) -> int:
    """A seed for torch from several numbers, without their collisions."""
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


@dataclass(frozen=True)
class TrainPass:
    """What one pass over the training images gave."""

    learning_rate: float
    loss: float
    accuracy: float
    num_images: int
    seconds: float


def train_epoch(
    step: TrainStep, batches: Batches, seed: int, epoch: int, reporter: Reporter
) -> Generator[None, None, TrainPass]:
    """One pass over the training images; `epoch` counts from 1. Yields after every step.

    On a GPU nothing is waited for before the last step: a loss that is not finite shows at the end,
    with the step that it came in.
    """
    recipe, on_cpu = step.recipe, step.device.type == "cpu"
    set_train_mode(step.model, recipe)
    mixup_generator = torch.Generator().manual_seed(derived_seed(seed, epoch, 2))
    order = batches.train_indices[epoch_order(len(batches.train_indices), seed, epoch)]
    slices = batch_slices(len(order), recipe.batch_size)
    first_step = (epoch - 1) * len(slices)
    step.sums.reset()
    start = time.perf_counter()

    stream = batches.train.iterate_train(order, slices, seed, epoch)
    for index, (images_BCHW, target) in enumerate(stream):
        if recipe.mixup_alpha:
            images_BCHW, target = mixup_batch(
                images_BCHW, target, batches.num_classes, recipe.mixup_alpha, mixup_generator
            )
        rate = learning_rate(first_step + index, len(slices), recipe)
        # Dropout draws from torch's global generator; everything else has its own.
        step(images_BCHW, target, rate, derived_seed(seed, epoch, index, 1))
        if on_cpu:
            check_finite(step.sums, epoch)
            reporter.figures(epoch, *step.sums.means(), step.sums.num_images / _since(start))
        reporter.advance()
        yield

    if not on_cpu:
        torch.cuda.synchronize(step.device)
    seconds = _since(start)
    check_finite(step.sums, epoch)
    loss, accuracy = step.sums.means()
    reporter.figures(epoch, loss, accuracy, step.sums.num_images / seconds)
    peak = learning_rate(first_step, len(slices), recipe)
    return TrainPass(peak, loss, accuracy, step.sums.num_images, seconds)


def _since(start: float) -> float:
    return time.perf_counter() - start


def check_finite(sums: EpochSums, epoch: int) -> None:
    """Raise DivergedError with the first step of this epoch whose loss was not finite."""
    if bad := int(sums.bad_step):
        raise DivergedError("the training loss", epoch, bad)


def observe_epoch(
    evaluator: Evaluator, batches: Batches, epoch: int, trained: TrainPass
) -> tuple[EpochObservation, Evaluation]:
    """Evaluate after a pass. Raises DivergedError where the loss on the test is not finite."""
    start = time.perf_counter()
    validation = None
    if batches.validation is not None:
        validation = evaluator(batches.validation()).accuracy
    test = evaluator(batches.test())
    if not math.isfinite(test.loss):
        raise DivergedError("the loss on the test images", epoch, None)
    seen = EpochObservation(
        epoch=epoch,
        learning_rate=trained.learning_rate,
        train_loss=trained.loss,
        train_accuracy=trained.accuracy,
        validation_accuracy=validation,
        test_accuracy=test.accuracy,
        test_loss=test.loss,
        train_seconds=trained.seconds,
        evaluation_seconds=_since(start),
        images_per_second=trained.num_images / trained.seconds,
    )
    return seen, test


def train_model(
    step: TrainStep,
    batches: Batches,
    seed: int,
    checkpoint: Checkpoint,
    reporter: Reporter,
    tell: Callable[[list[EpochObservation]], None] = lambda epochs: None,
) -> Generator[None, None, tuple[Progress, Evaluation]]:
    """Train to the recipe's last epoch, from the checkpoint where there is one.

    A generator that yields after every step, so that several trainings can share a device.
    `tell` hears of all epochs so far at the end of each.

    Returns all epochs and the final evaluation on the test images: the headline is the last epoch,
    whatever the others were. Raises DivergedError where a loss is not finite.
    """
    recipe = step.recipe
    evaluator = Evaluator(step.model, recipe.precision == "bf16", step.capture)
    progress = checkpoint.load(step.model, step.optimizer) or Progress()
    tell(progress.epochs)
    if progress.epochs:
        progress.num_resumes += 1
        log.info("%s: resuming after epoch %d", reporter.title, len(progress.epochs))
    steps = len(batch_slices(len(batches.train_indices), recipe.batch_size))
    test: Evaluation | None = None
    with reporter.bar_of(recipe.epochs * steps, len(progress.epochs) * steps):
        for epoch in range(len(progress.epochs) + 1, recipe.epochs + 1):
            start = time.perf_counter()
            trained = yield from train_epoch(step, batches, seed, epoch, reporter)
            release_memory()
            seen, test = observe_epoch(evaluator, batches, epoch, trained)
            release_memory()
            progress.epochs.append(seen)
            progress.wall_seconds += _since(start)
            checkpoint.save(step.model, step.optimizer, progress)
            tell(progress.epochs)
            reporter.epoch(seen, recipe.epochs)
    if test is None:
        # Stopped between the last checkpoint and the record: the same model, evaluated again.
        test = evaluator(batches.test())
    return progress, test
