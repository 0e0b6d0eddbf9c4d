"""The training loop."""

import logging
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from resnest_bench import stopping
from resnest_bench.data.batches import BatchLoader
from resnest_bench.data.splits import balanced_order, batch_slices, epoch_order
from resnest_bench.device.allocator import release_memory
from resnest_bench.measure.evaluation import Evaluation, Evaluator
from resnest_bench.records.observations import EpochObservation, ShortageObservation
from resnest_bench.specs import RecipeSpec
from resnest_bench.training.checkpoints import Checkpoint, PartialEpoch, Progress
from resnest_bench.training.reporting import Reporter
from resnest_bench.training.schedules import learning_rate
from resnest_bench.training.step import TrainStep, set_train_mode
from resnest_bench.training.sums import EpochSums

log = logging.getLogger(__name__)


class DivergedError(RuntimeError):
    """The loss is not finite. `epoch` and `step` count from 1."""

    def __init__(self, what: str, epoch: int, step: int | None) -> None:
        super().__init__(f"{what} is not finite")
        self.epoch, self.step = epoch, step


@dataclass(frozen=True)
class Batches:
    """Batches of the three parts. `validation` is None if nothing is held out."""

    train: BatchLoader
    train_indices: np.ndarray
    validation: Callable[[], Iterable[tuple[Tensor, Tensor]]] | None
    test: Callable[[], Iterable[tuple[Tensor, Tensor]]]
    num_classes: int

    @property
    def train_labels(self) -> np.ndarray:
        """The classes of the training images, (N,)."""
        labels_N: np.ndarray = self.train.split.labels[self.train_indices]
        return labels_N


def derived_seed(*parts: int) -> int:
    """Derive a seed for torch from several numbers, without collisions."""
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


@dataclass(frozen=True)
class TrainPass:
    """The result of one pass over the training images."""

    learning_rate: float
    loss: float
    accuracy: float
    num_images: int
    seconds: float
    shortages: list[ShortageObservation]


class EpochState:
    """The state of an epoch, in addition to network and optimizer."""

    def __init__(self, sums: EpochSums, seed: int, epoch: int) -> None:
        sums.reset()
        self.sums, self.num_steps, self.seconds = sums, 0, 0.0
        self.shortages: list[ShortageObservation] = []
        self.mixup_generator = torch.Generator().manual_seed(derived_seed(seed, epoch, 2))

    def _sums(self) -> dict[str, Tensor]:
        sums = self.sums
        return {
            "loss": sums.loss,
            "hits": sums.hits,
            "num_steps": sums.num_steps,
            "bad_step": sums.bad_step,
        }

    def partial(self) -> PartialEpoch:
        tensors = {**self._sums(), "mixup": self.mixup_generator.get_state()}
        return PartialEpoch(self.num_steps, self.sums.num_images, self.seconds, tensors)

    def restore(self, partial: PartialEpoch) -> None:
        self.num_steps, self.seconds = partial.num_steps, partial.seconds
        self.sums.num_images = partial.num_images
        for name, tensor in self._sums().items():
            tensor.copy_(partial.tensors[name])
        self.mixup_generator.set_state(partial.tensors["mixup"])


def train_epoch(
    step: TrainStep,
    batches: Batches,
    seed: int,
    epoch: int,
    reporter: Reporter,
    state: EpochState | None = None,
) -> TrainPass:
    """Run one pass over the training images; `epoch` counts from 1.

    Starts from `state`, or from the beginning for None, and updates it. With deferred signals
    (`stopping.defer_signals`), a signal raises `Interrupted` between two steps.

    On a GPU, the steps are not synchronised: a loss that is not finite is noticed after the last step, with
    the number of its step.
    """
    recipe, on_cpu = step.recipe, step.device.type == "cpu"
    set_train_mode(step.model, recipe)
    state = state or EpochState(step.sums, recipe.part_seed("augmentation", seed), epoch)
    order = order_epoch(batches, recipe, recipe.part_seed("order", seed), epoch)
    seed = recipe.part_seed("augmentation", seed)
    slices = batch_slices(len(order), recipe.batch_size)
    first_step = (epoch - 1) * len(slices)
    # Shift the start, so that the time includes that before the interruption.
    start = time.perf_counter() - state.seconds

    stream = batches.train.iterate_train(order, slices, seed, epoch, state.num_steps, step.share)
    for index, (images_BCHW, target) in enumerate(step.interruptible(stream), state.num_steps):
        num_images = slices[index].stop - slices[index].start
        if recipe.mixup_alpha or recipe.cutmix_alpha:
            images_BCHW, target = step.blend(
                images_BCHW, target, num_images, batches.num_classes, state.mixup_generator
            )
        rate = learning_rate(first_step + index, len(slices), recipe)
        # Dropout uses torch's global generator; everything else has its own.
        at_once = step.execution.micro_batch_size
        step(images_BCHW, target, rate, derived_seed(seed, epoch, index, 1), num_images)
        smaller = step.execution.micro_batch_size
        if smaller is not None and smaller != at_once:
            found = ShortageObservation(epoch=epoch, step=index + 1, micro_batch_size=smaller)
            state.shortages.append(found)
        if on_cpu:
            check_finite(step.sums, epoch)
            reporter.figures(epoch, *step.sums.means(), step.sums.num_images / _since(start))
        reporter.advance()
        state.num_steps, state.seconds = index + 1, _since(start)

    if not on_cpu:
        torch.cuda.synchronize(step.device)
    seconds = _since(start)
    check_finite(step.sums, epoch)
    loss, accuracy = step.sums.means()
    reporter.figures(epoch, loss, accuracy, step.sums.num_images / seconds)
    peak = learning_rate(first_step, len(slices), recipe)
    return TrainPass(peak, loss, accuracy, step.sums.num_images, seconds, state.shortages)


def order_epoch(batches: Batches, recipe: RecipeSpec, seed: int, epoch: int) -> np.ndarray:
    """Return the indices of the training images in the order of this epoch."""
    indices = batches.train_indices
    if recipe.sampling == "balanced":
        order = balanced_order(batches.train.split.labels[indices], seed, epoch)
    else:
        order = epoch_order(len(indices), seed, epoch)
    ordered: np.ndarray = indices[order]
    return ordered


def _since(start: float) -> float:
    return time.perf_counter() - start


def check_finite(sums: EpochSums, epoch: int) -> None:
    """Raise DivergedError with the first step of this epoch whose loss is not finite."""
    if bad := int(sums.bad_step):
        raise DivergedError("the training loss", epoch, bad)


def observe_epoch(
    evaluator: Evaluator | None,
    batches: Batches,
    epoch: int,
    trained: TrainPass,
    keep_probabilities: bool = False,
) -> tuple[EpochObservation, Evaluation | None]:
    """Return the observation of an epoch, with an evaluation if there is an evaluator.

    `keep_probabilities` concerns the test images (see `Evaluator`). Raises DivergedError if the loss
    on them is not finite.
    """
    start = time.perf_counter()
    validation = test = None
    if evaluator is not None:
        if batches.validation is not None:
            validation = evaluator(stopping.interruptible(batches.validation())).accuracy
        test = evaluator(stopping.interruptible(batches.test()), keep_probabilities)
        if not math.isfinite(test.loss):
            raise DivergedError("the loss on the test images", epoch, None)
    seen = EpochObservation(
        epoch=epoch,
        learning_rate=trained.learning_rate,
        train_loss=trained.loss,
        train_accuracy=trained.accuracy,
        validation_accuracy=validation,
        test_accuracy=test.accuracy if test else None,
        test_loss=test.loss if test else None,
        train_seconds=trained.seconds,
        evaluation_seconds=_since(start),
        images_per_second=trained.num_images / trained.seconds,
    )
    return seen, test


def store_micro_batch(progress: Progress, step: TrainStep) -> None:
    """Store a smaller micro-batch for a resumed run, which repeats the epoch."""
    size = step.execution.micro_batch_size
    if size is not None and size != progress.micro_batch_size:
        epoch = len(progress.epochs) + 1
        first = 1 + (progress.partial.num_steps if progress.partial else 0)
        progress.shortages.append(
            ShortageObservation(epoch=epoch, step=first, micro_batch_size=size)
        )


def train_model(
    step: TrainStep,
    batches: Batches,
    seed: int,
    checkpoint: Checkpoint,
    reporter: Reporter,
    tell: Callable[[list[EpochObservation]], None] = lambda epochs: None,
) -> tuple[Progress, Evaluation]:
    """Train to the recipe's last epoch, from the checkpoint if there is one.

    `tell` is called with all epochs so far after each epoch. A signal raises `Interrupted` after the current
    step or evaluated batch, and the state up to that step is saved.

    Returns all epochs and the final evaluation on the test images: the result is that of the last epoch, not of
    the best one. Raises DivergedError if a loss is not finite.
    """
    recipe = step.recipe
    evaluator = step.make_evaluator()
    loaded = checkpoint.load(step.trained)
    progress = loaded or Progress()
    tell(progress.epochs)
    if loaded:
        progress.num_resumes += 1
        step.num_updates = progress.num_updates
        log.info("%s: resuming after %s", reporter.title, progress)
        store_micro_batch(progress, step)
    steps = len(batch_slices(len(batches.train_indices), recipe.batch_size))
    test: Evaluation | None = None
    done = len(progress.epochs) * steps + (progress.partial.num_steps if progress.partial else 0)
    with reporter.progress_bar(recipe.epochs * steps, done), stopping.defer_signals():
        for epoch in range(len(progress.epochs) + 1, recipe.epochs + 1):
            start = time.perf_counter()
            state = EpochState(step.sums, recipe.part_seed("augmentation", seed), epoch)
            if progress.partial:
                state.restore(progress.partial)
                progress.partial = None
            try:
                trained = train_epoch(step, batches, seed, epoch, reporter, state)
                if epoch == recipe.epochs:
                    step.finish()
                release_memory()
                seen, test = observe_epoch(
                    evaluator if recipe.is_evaluated(epoch) else None,
                    batches,
                    epoch,
                    trained,
                    keep_probabilities=epoch == recipe.epochs,
                )
            except stopping.Interrupted:
                progress.wall_seconds += _since(start)
                progress.partial = state.partial()
                progress.shortages += state.shortages
                progress.micro_batch_size = step.execution.micro_batch_size
                progress.num_updates = step.num_updates
                checkpoint.save(step.trained, progress)
                log.info("%s: stopped after %s", reporter.title, progress)
                raise
            release_memory()
            progress.epochs.append(seen)
            progress.shortages += trained.shortages
            progress.micro_batch_size = step.execution.micro_batch_size
            progress.num_updates = step.num_updates
            progress.wall_seconds += _since(start)
            checkpoint.save(step.trained, progress)
            tell(progress.epochs)
            reporter.epoch(seen, recipe.epochs)
    if test is None:
        # Interrupted between the last checkpoint and the record: evaluate the model again.
        test = evaluator(batches.test(), keep_probabilities=True)
    return progress, test
