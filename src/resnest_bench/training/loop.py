"""The training loop, top to bottom."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from resnest_bench.data.batches import BatchLoader, mixup_batch
from resnest_bench.data.splits import batch_slices, epoch_order
from resnest_bench.measure.allocator import release_memory
from resnest_bench.measure.evaluation import Evaluation, evaluate
from resnest_bench.models import head_module
from resnest_bench.records import EpochObservation
from resnest_bench.specs import RecipeSpec
from resnest_bench.training.checkpoints import Checkpoint, Progress
from resnest_bench.training.optimizer import set_learning_rate
from resnest_bench.training.reporting import Reporter
from resnest_bench.training.schedules import learning_rate

log = logging.getLogger(__name__)

# A look at the loss waits for a GPU: there, only every so many steps.
CUDA_CHECK_EVERY = 20


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


def set_train_mode(model: nn.Module, recipe: RecipeSpec) -> None:
    """Training mode; a frozen backbone keeps its norm statistics and drops nothing."""
    if recipe.trainable == "head":
        model.eval()
        head_module(model).train()
    else:
        model.train()


def loss_of(logits_BK: Tensor, target: Tensor, recipe: RecipeSpec) -> Tensor:
    """Mean cross entropy in nats, of class indices (B,) or of class probabilities (B, K)."""
    return functional.cross_entropy(logits_BK, target, label_smoothing=recipe.label_smoothing)


@dataclass
class RunningMean:
    """Loss and accuracy over an epoch, summed on the device."""

    loss: Tensor
    hits: Tensor
    seen: int = 0

    @classmethod
    def on(cls, device: torch.device) -> "RunningMean":
        zero = torch.zeros((), device=device, dtype=torch.float64)
        return cls(zero.clone(), zero.clone())

    def add(self, loss: Tensor, logits_BK: Tensor, target: Tensor) -> None:
        labels_B = target if target.ndim == 1 else target.argmax(dim=1)
        self.loss += loss.detach() * len(labels_B)
        self.hits += (logits_BK.detach().argmax(dim=1) == labels_B).sum()
        self.seen += len(labels_B)

    def means(self) -> tuple[float, float]:
        return float(self.loss) / self.seen, float(self.hits) / self.seen


@dataclass(frozen=True)
class TrainPass:
    """What one pass over the training images gave."""

    learning_rate: float
    loss: float
    accuracy: float
    num_images: int
    seconds: float


def train_epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Batches,
    recipe: RecipeSpec,
    seed: int,
    epoch: int,
    reporter: Reporter,
) -> TrainPass:
    """One pass over the training images; `epoch` counts from 1."""
    device = batches.train.device
    set_train_mode(model, recipe)
    # Dropout draws from torch's global generators; everything else has its own.
    torch.manual_seed(derived_seed(seed, epoch, 1))
    mixup_generator = torch.Generator().manual_seed(derived_seed(seed, epoch, 2))
    order = batches.train_indices[epoch_order(len(batches.train_indices), seed, epoch)]
    slices = batch_slices(len(order), recipe.batch_size)
    mean = RunningMean.on(device)
    check_every = 1 if device.type == "cpu" else CUDA_CHECK_EVERY
    first_step = (epoch - 1) * len(slices)
    running_loss = running_accuracy = 0.0
    start = time.perf_counter()

    stream = batches.train.iterate_train(order, slices, seed, epoch)
    for index, (images_BCHW, target) in enumerate(stream):
        set_learning_rate(optimizer, learning_rate(first_step + index, len(slices), recipe))
        if recipe.mixup_alpha:
            images_BCHW, target = mixup_batch(
                images_BCHW, target, batches.num_classes, recipe.mixup_alpha, mixup_generator
            )
        if recipe.channels_last:
            images_BCHW = images_BCHW.to(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bf16"):
            logits_BK = model(images_BCHW)
        loss = loss_of(logits_BK.float(), target, recipe)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        mean.add(loss, logits_BK, target)
        if (index + 1) % check_every == 0 or index + 1 == len(slices):
            running_loss, running_accuracy = mean.means()
            if not math.isfinite(running_loss):
                raise DivergedError("the training loss", epoch, index + 1)
        speed = mean.seen / (time.perf_counter() - start)
        reporter.step(epoch, running_loss, running_accuracy, speed)

    if device.type == "cuda":
        torch.cuda.synchronize(device)
    seconds = time.perf_counter() - start
    loss, accuracy = mean.means()
    peak = learning_rate(first_step, len(slices), recipe)
    return TrainPass(peak, loss, accuracy, mean.seen, seconds)


def observe_epoch(
    model: nn.Module, batches: Batches, recipe: RecipeSpec, epoch: int, trained: TrainPass
) -> tuple[EpochObservation, Evaluation]:
    """Evaluate after a pass. Raises DivergedError where the loss on the test is not finite."""
    start = time.perf_counter()
    autocast = recipe.precision == "bf16"
    validation = None
    if batches.validation is not None:
        validation = evaluate(model, batches.validation(), autocast).accuracy
    test = evaluate(model, batches.test(), autocast)
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
        evaluation_seconds=time.perf_counter() - start,
        images_per_second=trained.num_images / trained.seconds,
    )
    return seen, test


def train_model(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Batches,
    recipe: RecipeSpec,
    seed: int,
    checkpoint: Checkpoint,
    title: str,
    tell: Callable[[list[EpochObservation]], None] = lambda epochs: None,
) -> tuple[Progress, Evaluation]:
    """Train to the recipe's last epoch, from the checkpoint where there is one.

    `tell` hears of all epochs so far at the end of each.

    Returns all epochs and the final evaluation on the test images: the headline is the last epoch,
    whatever the others were. Raises DivergedError where a loss is not finite.
    """
    progress = checkpoint.load(model, optimizer) or Progress()
    tell(progress.epochs)
    if progress.epochs:
        progress.num_resumes += 1
        log.info("%s: resuming after epoch %d", title, len(progress.epochs))
    steps = len(batch_slices(len(batches.train_indices), recipe.batch_size))
    test: Evaluation | None = None
    with Reporter(title, recipe.epochs * steps, len(progress.epochs) * steps) as reporter:
        for epoch in range(len(progress.epochs) + 1, recipe.epochs + 1):
            start = time.perf_counter()
            trained = train_epoch(model, optimizer, batches, recipe, seed, epoch, reporter)
            release_memory()
            seen, test = observe_epoch(model, batches, recipe, epoch, trained)
            release_memory()
            progress.epochs.append(seen)
            progress.wall_seconds += time.perf_counter() - start
            checkpoint.save(model, optimizer, progress)
            tell(progress.epochs)
            reporter.epoch(seen, recipe.epochs)
    if test is None:
        # Stopped between the last checkpoint and the record: the same model, evaluated again.
        test = evaluate(model, batches.test(), recipe.precision == "bf16")
    return progress, test
