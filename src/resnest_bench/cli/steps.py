"""Recipes that make too few steps on their data to learn much."""

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from resnest_bench.data.prepared import read_meta
from resnest_bench.data.splits import batch_slices
from resnest_bench.errors import UserError
from resnest_bench.frames.data_notes import describe_imbalance
from resnest_bench.specs import RecipeSpec, StudySpec

# Ten steps of a fine-tuning end at chance. Below about a hundred, momentum has hardly built up.
FEWEST_STEPS = 100


@dataclass(frozen=True)
class ShortTraining:
    """A training of `num_steps`, and what alone would make it FEWEST_STEPS.

    `batch_size` is the largest that does, None where no batch of two images or more does.
    """

    num_steps: int
    epochs: int
    batch_size: int | None


def find_short_training(num_train: int, recipe: RecipeSpec) -> ShortTraining | None:
    """Whether `recipe` makes fewer than FEWEST_STEPS optimiser steps on `num_train` images.

    None where it makes enough, or where nothing can be trained. Held-out images are left out; they
    are rounded by class, so that the count may differ from the real one by some images.
    """
    used = num_train - round(num_train * recipe.validation_fraction)
    if used < 2 or recipe.batch_size < 2:
        return None
    per_epoch = len(batch_slices(used, recipe.batch_size))
    if per_epoch * recipe.epochs >= FEWEST_STEPS:
        return None
    # An epoch has ceil((N - 1) / B) steps, since a last single image joins the batch before.
    wanted = math.ceil(FEWEST_STEPS / recipe.epochs)
    batch_size = math.ceil((used - 1) / (wanted - 1)) - 1
    return ShortTraining(
        num_steps=per_epoch * recipe.epochs,
        epochs=math.ceil(FEWEST_STEPS / per_epoch),
        batch_size=batch_size if batch_size >= 2 else None,
    )


def describe_short_trainings(study: StudySpec, num_train: Mapping[str, int]) -> list[str]:
    """One warning for each data set and recipe; data sets that `num_train` lacks have none."""
    pairs = {(job.dataset, job.recipe): None for job in study.jobs() if job.kind != "latency"}
    lines = []
    for dataset, recipe in pairs:
        found = dataset in num_train and find_short_training(
            num_train[dataset], study.recipe(recipe)
        )
        if found:
            lines.append(_describe(dataset, recipe, found))
    return lines


def describe_imbalances(study: StudySpec) -> list[str]:
    """One line for each prepared data set that is trained on and whose classes differ much in size."""
    lines = []
    if study.headline_metric == "accuracy":
        for name in dict.fromkeys(job.dataset for job in study.jobs() if job.kind != "latency"):
            with suppress(UserError):
                counts = read_meta(study.prepared(name)).counts_per_class["test"]
                if text := describe_imbalance(counts):
                    lines.append(f"{name}: {text}.")
    return lines


def _describe(dataset: str, recipe: str, short: ShortTraining) -> str:
    smaller = f", or batch_size: {short.batch_size}" if short.batch_size else ""
    steps = "1 step" if short.num_steps == 1 else f"{short.num_steps} steps"
    return (
        f"Warning: recipe {recipe} makes only {steps} on {dataset}, which may end at chance. "
        f"epochs: {short.epochs}{smaller} makes at least {FEWEST_STEPS}."
    )
