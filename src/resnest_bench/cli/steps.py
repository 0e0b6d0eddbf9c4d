"""A warning about recipes with too few optimiser steps to learn much."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from resnest_bench.data.splits import batch_slices
from resnest_bench.paths import TRAINING_KINDS
from resnest_bench.specs import RecipeSpec, StudySpec

# A fine-tuning of ten steps ends at chance level. Below about a hundred steps, momentum hardly builds up.
FEWEST_STEPS = 100


@dataclass(frozen=True)
class ShortTraining:
    """A training of only `num_steps`, and two ways to reach FEWEST_STEPS: more `epochs` or smaller batches.

    `batch_size` is the largest one that suffices, or None if even batches of two images don't.
    """

    num_steps: int
    epochs: int
    batch_size: int | None


def find_short_training(num_train: int, recipe: RecipeSpec) -> ShortTraining | None:
    """Return a ShortTraining if `recipe` makes fewer than FEWEST_STEPS steps on `num_train` images.

    Returns None if it makes enough, or if nothing can be trained. Held-out images don't count. The real
    number of images may differ slightly, since the held-out share is rounded for each class.
    """
    used = num_train - round(num_train * recipe.validation_fraction)
    if used < 2 or recipe.batch_size < 2:
        return None
    per_epoch = len(batch_slices(used, recipe.batch_size))
    if per_epoch * recipe.epochs >= FEWEST_STEPS:
        return None
    # An epoch has ceil((N - 1) / B) steps, since a single image at the end joins the previous batch.
    required = math.ceil(FEWEST_STEPS / recipe.epochs)
    batch_size = math.ceil((used - 1) / (required - 1)) - 1
    return ShortTraining(
        num_steps=per_epoch * recipe.epochs,
        epochs=math.ceil(FEWEST_STEPS / per_epoch),
        batch_size=batch_size if batch_size >= 2 else None,
    )


def describe_short_trainings(study: StudySpec, num_train: Mapping[str, int]) -> list[str]:
    """Return one warning per dataset and recipe that is too short. `num_train` is images by dataset."""
    pairs = {
        (job.dataset, job.recipe): None for job in study.own_jobs() if job.kind in TRAINING_KINDS
    }
    lines = []
    for dataset, recipe in pairs:
        short = dataset in num_train and find_short_training(
            num_train[dataset], study.recipe(recipe)
        )
        if short:
            lines.append(_describe(dataset, recipe, short))
    return lines


def _describe(dataset: str, recipe: str, short: ShortTraining) -> str:
    smaller = f", or batch_size: {short.batch_size}" if short.batch_size else ""
    steps = "1 step" if short.num_steps == 1 else f"{short.num_steps} steps"
    return (
        f"Warning: recipe {recipe} makes only {steps} on {dataset}, so the accuracy may stay at chance "
        f"level. With epochs: {short.epochs}{smaller} it makes at least {FEWEST_STEPS}."
    )
