"""Differences between recipes: the same network trained or fine-tuned in several ways on the same data."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from resnest_bench.comparisons.differences import (
    Differences,
    Trainings,
    compare_usable,
    select_usable,
)
from resnest_bench.comparisons.pairs import DEFAULT
from resnest_bench.comparisons.scores import ScoreValues, collect_scores, compare_values
from resnest_bench.paths import TRAINING_KINDS, Experiment, Job
from resnest_bench.records import Record
from resnest_bench.specs import StudySpec
from resnest_bench.specs.differences import DifferencesSpec
from resnest_bench.status.outcomes import Outcome
from resnest_bench.words import list_names

# More pairs leave nothing to find after a correction.
MAX_ROWS = 60
SEPARATOR = ", "


@dataclass(frozen=True)
class RecipeComparison:
    """The experiments of one dataset that train some variants by several recipes."""

    dataset: str
    experiments: tuple[Experiment, ...]
    variants: tuple[str, ...]

    @property
    def rows(self) -> list[str]:
        """Names of the rows: 'ResNet-18, paper20'."""
        return [
            f"{variant}{SEPARATOR}{experiment.recipe}"
            for variant in self.variants
            for experiment in self.experiments
        ]


def list_recipe_comparisons(study: StudySpec) -> list[RecipeComparison]:
    """The datasets on which at least one variant is trained by two recipes or more, in the study's order.

    Of a variant that one recipe trains and another fine-tunes, both count: the test images are the same.
    """
    trained: dict[str, dict[str, dict[Experiment, None]]] = {}
    for job in study.jobs():
        if job.kind in TRAINING_KINDS:
            by_variant = trained.setdefault(job.dataset, {})
            by_variant.setdefault(job.variant, {})[job.experiment] = None
    compared, found = study.differences.variants, []
    for dataset, by_variant in trained.items():
        names = [
            name
            for name in study.variant_names
            if len(by_variant.get(name, ())) > 1 and (compared == "all" or name in compared)
        ]
        experiments = dict.fromkeys(e for name in names for e in by_variant[name])
        # Two experiments with one name could not be told from each other in a table.
        recipes = [experiment.recipe for experiment in experiments]
        if names and len(set(recipes)) == len(recipes):
            found.append(RecipeComparison(dataset, tuple(experiments), tuple(names)))
    return found


def recipe_jobs(study: StudySpec, comparison: RecipeComparison) -> list[Job]:
    """The jobs whose outcomes `compare_recipes` needs."""
    names, experiments = set(comparison.variants), set(comparison.experiments)
    return [j for j in study.jobs() if j.experiment in experiments and j.variant in names]


def compare_recipes(
    comparison: RecipeComparison,
    job_outcomes: Iterable[Outcome],
    spec: DifferencesSpec = DEFAULT,
) -> Differences:
    """Compare the recipes of each variant, pair by pair; rows are named 'VARIANT, RECIPE'.

    The correction is over all of these pairs, and spreads are moderated over all rows.
    """
    usable, notes = select_usable(comparison.rows, job_outcomes, _job_row)

    def choose_pairs(names: Sequence[str]) -> list[tuple[str, str]]:
        return _list_pairs(names, notes)

    return compare_usable(usable, choose_pairs, notes, spec, _name_recipes(comparison), _record_row)


def compare_recipe_values(
    comparison: RecipeComparison, runs: pd.DataFrame, spec: DifferencesSpec = DEFAULT
) -> Differences:
    """As `compare_recipes`, over seeds alone: imported trainings may have no result for each test image."""
    found = [
        (experiment, collect_scores(Trainings(experiment, comparison.variants), runs, "accuracy"))
        for experiment in comparison.experiments
    ]
    by_row = {
        f"{variant}{SEPARATOR}{experiment.recipe}": values.by_variant[variant]
        for variant in comparison.variants
        for experiment, values in found
        if variant in values.by_variant
    }
    counts = [values.num_images for _, values in found if values.num_images]
    joined = ScoreValues(
        "accuracy",
        by_row,
        frozenset(
            f"{variant}{SEPARATOR}{experiment.recipe}"
            for experiment, values in found
            for variant in values.stale
        ),
        counts[0] if counts else None,
        found[0][1].dataset_label,
        (),
    )
    notes: list[str] = []
    pairs = _list_pairs(joined.variants, notes)
    return compare_values(joined, pairs, notes, spec, _name_recipes(comparison))


def _list_pairs(names: Sequence[str], notes: list[str]) -> list[tuple[str, str]]:
    """Pairs of recipes of the same variant; adds a note where some are left out."""
    kept = names[:MAX_ROWS]
    if len(names) > MAX_ROWS:
        notes.append(f"only the first {MAX_ROWS} of {len(names)} networks and recipes are compared")
    same = itertools.groupby(kept, key=lambda row: row.rpartition(SEPARATOR)[0])
    return [
        (ours, base) for _, rows in same for base, ours in itertools.combinations(list(rows), 2)
    ]


def _name_recipes(comparison: RecipeComparison) -> str:
    return list_names([experiment.recipe for experiment in comparison.experiments], 6)


def _job_row(job: Job) -> str:
    return f"{job.variant}{SEPARATOR}{job.recipe}"


def _record_row(record: Record) -> str:
    return f"{record.job.variant}{SEPARATOR}{record.job.recipe}"
