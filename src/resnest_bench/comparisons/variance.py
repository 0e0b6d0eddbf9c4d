"""Where the spread over seeds comes from: parts of the training, and the finite test set."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from resnest_bench.frames.correctness import build_correctness
from resnest_bench.frames.fresh import pick_counted
from resnest_bench.frames.rows import RUN_COLUMNS
from resnest_bench.frames.typed import make_frame
from resnest_bench.paths import TRAINING_KINDS, Experiment
from resnest_bench.specs import StudySpec
from resnest_bench.specs.recipes import VARY
from resnest_bench.stats.summary import all_equal
from resnest_bench.stats.variance import (
    CorrectnessVariance,
    decompose_correctness,
    plan_half_width,
    std_interval,
)
from resnest_bench.status.outcomes import Outcome
from resnest_bench.tables.selection import RowGroups
from resnest_bench.tables.values import accuracies_by_seed, any_stale

SOURCES = {
    "init": "initial weights",
    "order": "order of the images",
    "augmentation": "augmentation, dropout and mixing",
    "data": "training images (bootstrap)",
}
KEYS = ["kind", "dataset", "dataset_label", "recipe", "variant"]
COMPONENT_COLUMNS = {
    **dict.fromkeys([*KEYS, "varies"], "str"),
    "n": "Int64",
    "num_sources": "Int64",
    **dict.fromkeys(
        ["std_points", "std_low_points", "std_high_points", "share_percent"], "float64"
    ),
    "status": "str",
}
COMPONENT_TEXTS = {
    "varies": "What follows the seed (`vary` of the recipe); everything else is as for seed 0",
    "n": "Number of seeds",
    "num_sources": "Number of sources that vary together",
    "std_points": "Standard deviation of the test accuracy over seeds, in points",
    "std_low_points": "Lower limit of its 95 % interval, for normal accuracies",
    "std_high_points": "Upper limit of its 95 % interval",
    "share_percent": "Variance, in % of that of the recipe with most sources of the same variant",
    "status": "ok, or why there is no figure",
}
SEEDS_OR_IMAGES_COLUMNS = {
    **dict.fromkeys(KEYS, "str"),
    **dict.fromkeys(["n", "num_images"], "Int64"),
    **dict.fromkeys(
        [
            "std_points",
            "test_set_share_percent",
            "test_set_std_points",
            "seed_std_points",
            "image_std_points",
            "half_seeds",
            "half_images",
        ],
        "float64",
    ),
    **dict.fromkeys(["advice", "status"], "str"),
}
SEEDS_OR_IMAGES_TEXTS = {
    "n": "Number of seeds",
    "num_images": "Number of test images",
    "std_points": "Standard deviation of the test accuracy over seeds, in points",
    "test_set_share_percent": "Part of that variance that is due to the finite test set, in %",
    "test_set_std_points": "Standard deviation over seeds that is due to the finite test set, in points",
    "seed_std_points": "Standard deviation over seeds on infinitely many test images, in points; "
    "0 if the estimate of its square is negative",
    "image_std_points": "Standard error from the choice of test images, for infinitely many seeds, in points",
    "half_seeds": "Seeds in total that halve the interval of the mean, for new seeds and new images; "
    "inf if no number does",
    "half_images": "Test images in total that do; inf if no number does",
    "advice": "Whether more seeds or more test images help more",
    "status": "ok, or why there is no figure",
}


def components_table(study: StudySpec, runs: pd.DataFrame) -> pd.DataFrame:
    """One row per variant and recipe, for recipes of the study that differ only in `vary`; may be empty.

    Each row has the spread over seeds of its sources. A share is relative to the recipe with most sources,
    and is NaN if that recipe has no spread. Shares of single sources need not add up to 100 %: sources
    interact, and with a few seeds each is known only roughly (Bouthillier et al., MLSys 2021,
    arXiv:2103.03098).
    """
    groups = RowGroups(runs, RUN_COLUMNS)
    rows = [
        row
        for alike in _recipes_that_differ_in_vary(study)
        for variant in study.variant_names
        for row in _component_rows(study, groups, alike, variant)
    ]
    return make_frame(rows, COMPONENT_COLUMNS)


def _recipes_that_differ_in_vary(study: StudySpec) -> list[list[Experiment]]:
    """Groups of two or more experiments on the same data whose recipes differ only in `vary`."""
    by_rest: dict[tuple, list[Experiment]] = {}
    for experiment in dict.fromkeys(job.experiment for job in study.own_jobs()):
        if experiment.kind in TRAINING_KINDS:
            rest = study.recipe(experiment.recipe).model_copy(update={"vary": VARY})
            key = (experiment.kind, experiment.dataset, rest.model_dump_json())
            by_rest.setdefault(key, []).append(experiment)
    return [alike for alike in by_rest.values() if len(alike) > 1]


def _component_rows(
    study: StudySpec, groups: RowGroups, alike: Sequence[Experiment], variant: str
) -> list[dict[str, Any]]:
    found = [one for one in alike if groups.select(one, variant)]
    # The recipe with most sources first, then single sources in the order of SOURCES.
    found.sort(key=lambda one: _rank(study, one))
    rows: list[dict[str, Any]] = []
    for experiment in found if len(found) > 1 else []:
        trained = groups.select(experiment, variant)
        values = list(accuracies_by_seed(trained).values())
        sources = study.recipe(experiment.recipe).vary
        row = {
            **_keys(experiment, variant, groups),
            "varies": ", ".join(SOURCES[part] for part in SOURCES if part in sources),
            "num_sources": len(sources),
            "n": len(values),
            "status": "some records are stale" if any_stale(trained) else "ok",
        }
        if len(values) < 2:
            rows.append({**row, "status": "a spread needs two seeds or more"})
            continue
        std = 0.0 if all_equal(np.array(values)) else float(np.std(values, ddof=1))
        low, high = std_interval(std, len(values)) if std else (math.nan, math.nan)
        rows.append({**row, "std_points": std, "std_low_points": low, "std_high_points": high})
    total = rows[0].get("std_points") if rows else None
    for row in rows:
        if total and "std_points" in row:
            row["share_percent"] = 100 * row["std_points"] ** 2 / total**2
    return rows


def _rank(study: StudySpec, experiment: Experiment) -> tuple[int, list[int]]:
    parts = study.recipe(experiment.recipe).vary
    return -len(parts), sorted(list(SOURCES).index(part) for part in parts)


def _keys(experiment: Experiment, variant: str, groups: RowGroups) -> dict[str, Any]:
    label = groups.labels.get(experiment.dataset)
    return {**experiment._asdict(), "dataset_label": label, "variant": variant}


def seeds_or_images_table(
    experiments: Iterable[tuple[Experiment, Iterable[Outcome]]],
) -> pd.DataFrame:
    """One row per variant of each experiment: the test set's part of the spread, and what halves the interval.

    See `stats.variance`. Variants with one seed have a row with a reason. Training data stay the same.
    """
    rows = []
    for experiment, job_outcomes in experiments:
        by_variant: dict[str, list[Outcome]] = {}
        for outcome in job_outcomes:
            by_variant.setdefault(outcome.job.variant, []).append(outcome)
        for variant, every in by_variant.items():
            rows.append(
                {**experiment._asdict(), "variant": variant, **_seeds_or_images_values(every)}
            )
    return make_frame(rows, SEEDS_OR_IMAGES_COLUMNS)


def _seeds_or_images_values(job_outcomes: Sequence[Outcome]) -> dict[str, Any]:
    trained = [outcome for outcome in job_outcomes if outcome.record and outcome.record.images]
    counted = pick_counted(trained, lambda outcome: outcome.status)
    records = [outcome.record for outcome in counted if outcome.record]
    label = records[0].dataset.label if records and records[0].dataset else None
    row: dict[str, Any] = {"n": len(records), "dataset_label": label}
    if len(records) < 2:
        return {**row, "status": "a spread needs two seeds or more"}
    try:
        correct = build_correctness(records)
    except ValueError as error:
        return {**row, "status": str(error)}
    parts = decompose_correctness(correct.select(correct.variants[0]))
    needed = plan_half_width(parts)
    images = float(parts.rest_variance) / parts.num_images
    return {
        **row,
        "num_images": parts.num_images,
        "std_points": 100 * float(parts.observed_variance) ** 0.5,
        "test_set_share_percent": 100 * float(parts.test_set_share),
        "test_set_std_points": 100 * images**0.5,
        "seed_std_points": 100 * max(float(parts.seed_variance), 0.0) ** 0.5,
        "image_std_points": 100 * (max(float(parts.image_variance), 0.0) / parts.num_images) ** 0.5,
        "half_seeds": float(needed.seeds),
        "half_images": float(needed.images),
        "advice": describe_half(parts, float(needed.seeds), float(needed.images)),
        "status": "stale" if counted[0].status == "stale" else "ok",
    }


def describe_half(parts: CorrectnessVariance, seeds: float, images: float) -> str:
    """Say what halves the interval for new seeds and new images: more seeds, or more test images."""
    if parts.mean_variance(parts.num_seeds, parts.num_images) == 0:
        return "all seeds give the same answers"
    by_seeds = (
        f"{math.ceil(seeds - 1e-9):,} seeds instead of {parts.num_seeds}"
        if seeds < math.inf
        else ""
    )
    by_images = (
        f"{math.ceil(images - 1e-9):,} test images instead of {parts.num_images:,}"
        if images < math.inf
        else ""
    )
    if not by_seeds and not by_images:
        return "neither more seeds nor more test images alone halve the interval: both are needed"
    if not by_seeds:
        return f"more test images: {by_images} halve the interval; no number of seeds does"
    if not by_images:
        return f"more seeds: {by_seeds} halve the interval; no number of test images does"
    first, second = (by_seeds, by_images), (by_images, by_seeds)
    more_seeds = seeds / parts.num_seeds <= images / parts.num_images
    better, other = first if more_seeds else second
    return (
        f"more {'seeds' if more_seeds else 'test images'}: {better} halve the interval, or {other}"
    )
