"""The time of a training per image, measured with the same steps that the job makes."""

import copy
import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from resnest_bench.data.batches import BatchLoader
from resnest_bench.data.prepared import PreparedMeta, Split
from resnest_bench.data.splits import batch_slices
from resnest_bench.device.environment import precision, tuned_convolutions
from resnest_bench.measure.evaluation import Evaluator
from resnest_bench.models import build_model, fit_to_image
from resnest_bench.planning.clock import Clock
from resnest_bench.planning.datasets import DatasetFacts
from resnest_bench.specs import RecipeSpec, VariantSpec
from resnest_bench.training.checkpoints import Checkpoint, Progress
from resnest_bench.training.execution import (
    Execution,
    StepMaker,
    choose_mode,
    list_layouts,
    probe_batch,
    try_steps,
)
from resnest_bench.training.optimizer import freeze_backbone, init_state
from resnest_bench.training.step import make_step, probe_steps

# If a step with the recipe's whole batch would take longer, a smaller batch is timed.
STEP_SECONDS = 0.25
FIRST_PIXELS = 32 * 32 * 32
SMALLEST_BATCH = 4
# The job's probe of layouts and modes runs each candidate once, and then times it at least twice.
PROBE_STEPS = 3
MAX_BATCH_IMAGES = 64


@dataclass(frozen=True)
class TrainingSpeed:
    """The speed of one variant with one recipe. All times are in seconds.

    Attributes:
        train_image: per training image, for its share of the step and of making the batch.
        test_image: per evaluated image.
        save: to write one checkpoint.
        build: to build the network.
        probe: to choose layout and mode, once per job.
        num_params: parameters of the network.
    """

    train_image: float
    test_image: float
    save: float
    build: float
    probe: float
    num_params: int

    def seconds_per_record(self, recipe: RecipeSpec, data: DatasetFacts) -> float:
        """Return the seconds of one seed, from building the network to the last evaluation."""
        held_out = round(data.num_train * recipe.validation_fraction)
        trained = data.num_train - held_out
        if data.num_given_validation:
            trained = data.num_train - data.num_given_validation
            held_out = data.num_given_validation if recipe.validation_fraction else 0
        epoch = trained * self.train_image + self.save
        evaluation = (data.num_test + held_out) * self.test_image
        return self.build + recipe.epochs * epoch + recipe.num_evaluations * evaluation


def measure_training(
    variant: VariantSpec, recipe: RecipeSpec, data: DatasetFacts, clock: Clock, folder: Path
) -> TrainingSpeed:
    """Time steps, evaluation, batches and a checkpoint, which is written into `folder` and deleted.

    Raises any error of a network that can't be trained here.
    """
    device, size = clock.device, data.image_size
    fitted = fit_to_image(variant, size)[0]
    with precision(recipe.precision), tuned_convolutions(device):
        start = time.process_time()
        options = (recipe.dropout, recipe.zero_last_gamma, data.num_channels)
        model = build_model(fitted, data.num_classes, *options)
        build = time.process_time() - start
        if recipe.trainable == "head":
            freeze_backbone(model)
        steps = _measure_steps(model, recipe, data, clock)
        best = min(steps, key=lambda execution: steps[execution])
        test_image, save = _measure_rest(model, recipe, data, clock, best, folder)
    has_choice = len(steps) > 1 or recipe.mode == "auto"
    probe = PROBE_STEPS * sum(steps.values()) * probe_batch(recipe, size)
    return TrainingSpeed(
        train_image=steps[best] + measure_batches(recipe, data, clock),
        test_image=test_image,
        save=save,
        build=build,
        probe=probe if has_choice else 0.0,
        num_params=sum(parameter.numel() for parameter in model.parameters()),
    )


def _measure_steps(
    model: nn.Module, recipe: RecipeSpec, data: DatasetFacts, clock: Clock
) -> dict[Execution, float]:
    """Seconds per image of a step, for each layout that works, without compiling."""
    mode = "eager" if recipe.mode == "compiled" else choose_mode(recipe, clock.device)
    candidates = [Execution(layout, mode) for layout in list_layouts(recipe)]

    def try_batch(batch: int) -> dict[Execution, Callable[[], None]]:
        maker: StepMaker
        sizes = (recipe, batch, data.image_size, data.num_classes, data.num_channels)
        maker, crash = probe_steps(model, clock.device, *sizes)
        return try_steps(candidates, maker, clock.device, crash).working

    first = min(recipe.batch_size, max(SMALLEST_BATCH, FIRST_PIXELS // data.image_size**2))
    steps = try_batch(first)
    seconds = min(clock.measure(step, rounds=1) for step in steps.values())
    batch = choose_batch(first, seconds, recipe.batch_size)
    if batch > first:
        steps = try_batch(batch)
    return {execution: clock.measure(step) / batch for execution, step in steps.items()}


def choose_batch(first: int, seconds: float, whole: int) -> int:
    """Return the batch size to time: the recipe's `whole` batch, or what takes about STEP_SECONDS.

    A step with `first` images took `seconds`.
    """
    return min(whole, max(first, math.floor(first * STEP_SECONDS / max(seconds, 1e-6))))


def _measure_rest(
    model: nn.Module,
    recipe: RecipeSpec,
    data: DatasetFacts,
    clock: Clock,
    best: Execution,
    folder: Path,
) -> tuple[float, float]:
    """Seconds per evaluated image, and per checkpoint."""
    step = make_step(copy.deepcopy(model), recipe, clock.device, best)
    init_state(step.optimizer)
    side = data.image_size
    num = min(MAX_BATCH_IMAGES, max(SMALLEST_BATCH, FIRST_PIXELS // side**2))
    images_BCHW = torch.randn(num, data.num_channels, side, side, device=clock.device)
    labels_B = torch.zeros(num, dtype=torch.int64, device=clock.device)
    evaluator = Evaluator(step.model, recipe.precision == "bf16")

    def evaluate() -> None:
        evaluator([(images_BCHW, labels_B)])

    evaluate()
    with tempfile.TemporaryDirectory(dir=folder, prefix=".plan-") as temporary:
        checkpoint = Checkpoint(Path(temporary) / "key" / "seed-0")
        checkpoint.folder.mkdir(parents=True)
        save = clock.measure(lambda: checkpoint.save(step.trained, Progress()), rounds=1)
    return clock.measure(evaluate) / num, save


def measure_batches(recipe: RecipeSpec, data: DatasetFacts, clock: Clock) -> float:
    """Return the seconds per image to make a training batch: crop, augment and normalise."""
    num = min(MAX_BATCH_IMAGES, recipe.batch_size)
    meta, split = _make_split(data, num)
    loader = BatchLoader(split, meta, recipe, clock.device)
    slices = batch_slices(num, num)

    def make() -> None:
        for _ in loader.iterate_train(np.arange(num), slices, 0, 1):
            pass

    make()
    return clock.measure(make) / num


def _make_split(data: DatasetFacts, num: int) -> tuple[PreparedMeta, Split]:
    """Prepared arrays of random pixels, with the shape of the data's images."""
    generator = np.random.default_rng(0)
    height, width = data.stored_shape
    channels = data.num_channels
    labels_N = np.zeros(num, dtype=np.int64)
    pixels = generator.integers(0, 256, (num, height, width, channels), dtype=np.uint8)
    if data.uniform:
        split = Split(pixels, labels_N)
    else:
        shapes_N2 = np.array([[height, width]] * num, dtype=np.int32)
        starts = np.arange(num) * height * width * channels
        split = Split(pixels.reshape(-1), labels_N, shapes_N2, starts, channels)
    halves = (0.5,) * channels
    meta = PreparedMeta(
        format_version=1,
        name="noise",
        label="noise",
        classes=("a", "b"),
        image_size=data.image_size,
        resize=min(height, width),
        mean=halves,
        std=halves,
        uniform=data.uniform,
        counts_per_class={},
        fingerprint="",
        source="",
    )
    return meta, split
