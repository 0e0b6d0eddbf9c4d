"""The results of a study: its records as DataFrames, and everything computed from them.

    import resnest_bench as rb

    study = rb.open_study("results/mine")
    study.runs           # one row per training, fine-tuning and latency job
    study.differences()  # all pairs of networks: is the difference real?

Command line, exported pages, figures, dashboard and this API read a study through `StudyResults`.
Everything is read or computed when it is first used, and only once.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import pandas as pd

from resnest_bench.claims.tables import claim_tables
from resnest_bench.claims.verdicts import claim_jobs
from resnest_bench.comparisons.accuracies import ACCURACY_COLUMNS
from resnest_bench.comparisons.datasets import RANK_COLUMNS, DatasetComparison, compare_datasets
from resnest_bench.comparisons.deployment import deployment_jobs, deployment_table
from resnest_bench.comparisons.differences import (
    DIFFERENCE_COLUMNS,
    Differences,
    Trainings,
    compute_differences,
    difference_jobs,
    find_trainings,
    list_pairs,
    main_trainings,
)
from resnest_bench.comparisons.effects import effects_table, study_effects
from resnest_bench.comparisons.per_class import (
    disputed_images,
    make_class_tables,
    no_disputed_images,
)
from resnest_bench.comparisons.recipes import (
    RecipeComparison,
    compare_recipe_values,
    compare_recipes,
    list_recipe_comparisons,
    recipe_jobs,
)
from resnest_bench.comparisons.scores import (
    SCORE_COLUMNS,
    SCORE_PAIR_COLUMNS,
    all_scores,
    compare_scores,
    score_pairs,
    scores_table,
)
from resnest_bench.comparisons.standings import STANDING_COLUMNS, Comparison
from resnest_bench.errors import UserError
from resnest_bench.frames.correctness import share_images
from resnest_bench.frames.predictions import (
    ClassPredictions,
    build_class_predictions,
    read_image_names,
)
from resnest_bench.frames.typed import make_frame
from resnest_bench.paths import Experiment, StudyPaths, image_names_file
from resnest_bench.specs import load_study, study_with_looks
from resnest_bench.specs.scores import TRAINED_METRICS, metric_column
from resnest_bench.stats.mixed_model import FactorEffects
from resnest_bench.study_tables import StudyTables
from resnest_bench.tables.selection import list_experiments
from resnest_bench.tables.stability import list_flags
from resnest_bench.words import list_names

# Comparisons in the cache of one StudyResults: a dashboard can make ever new ones.
MAX_COMPARED = 100
# Reading the per-image results of more networks takes too long for a page.
MAX_RANKED = 60
# Predictions of an experiment take some MB each.
MAX_PREDICTED = 4


class StudyResults(StudyTables):
    """A study and the results of its records. See `open_study`.

    Each result is a snapshot of its first use; to see later records, open the study again. A record that
    can't be read is a row with a reason, never an error. With `previous`, earlier frames of the same
    study, only the records that have changed since are read.
    """

    def differences(
        self, experiment: tuple[str, str, str] | None = None, base: str | None = None
    ) -> pd.DataFrame:
        """One row per pair of variants of an experiment: difference, interval, p-values, verdict.

        They are of the study's headline metric.

        `experiment` is one of `experiments`; None takes the study's main one. With `base` each variant
        is compared with that one only. Columns: `compute_differences`. Raises UserError for an
        experiment or a base that the study doesn't have.
        """
        differences = self.compare(self._find_trainings(experiment), self._check_base(base))
        return differences.pairs if differences else make_frame([], DIFFERENCE_COLUMNS)

    def accuracies(self, experiment: tuple[str, str, str] | None = None) -> pd.DataFrame:
        """One row per variant of an experiment: mean of the headline metric, with its intervals."""
        differences = self.compare(self._find_trainings(experiment))
        return differences.accuracies if differences else make_frame([], ACCURACY_COLUMNS)

    def standings(self, experiment: tuple[str, str, str] | None = None) -> pd.DataFrame:
        """One row per variant of an experiment, the best first: may it be the best, which ranks, which group?

        They are of the study's headline metric. Columns: `standings_table`.
        """
        differences = self.compare(self._find_trainings(experiment))
        return differences.standings if differences else make_frame([], STANDING_COLUMNS)

    def rank_candidates(
        self, experiment: Experiment | None, column: str, candidates: Sequence[str]
    ) -> pd.DataFrame:
        """`standings` of some variants, by the measure in a column of `runs`; empty for another column.

        Of many candidates only the first are ranked: each needs its records read.
        """
        names = candidates[:MAX_RANKED]
        comparison = self.find_comparison(experiment, column, names)
        return (
            make_frame([], STANDING_COLUMNS) if comparison is None else comparison.standings(names)
        )

    def find_comparison(
        self, experiment: Experiment | None, column: str, candidates: Sequence[str]
    ) -> Comparison | None:
        """The comparison behind `rank_candidates`; None for another column, or without a value.

        It has all networks of the experiment, or the first MAX_RANKED candidates of more.
        """
        metric = next((one for one in TRAINED_METRICS if metric_column(one) == column), None)
        if experiment is None or metric is None or experiment.kind == "latency":
            return None
        # Of few trainings all are compared: their spreads inform each other's, as on the other pages.
        trainings = find_trainings(self.spec, experiment)
        if len(trainings.variants) > MAX_RANKED:
            trainings = find_trainings(self.spec, experiment, candidates[:MAX_RANKED])
        found = self.compare(trainings, None, metric)
        return found.comparison if found else None

    def recipe_differences(self, dataset: str | None = None) -> pd.DataFrame:
        """One row per variant and pair of recipes that train it on `dataset`, by default on each dataset.

        `variant` and `base` are named 'VARIANT, RECIPE'; columns: `compute_differences`, after `dataset`.
        """
        every = self.recipe_comparisons
        if dataset is not None and dataset not in self.spec.datasets:
            names = list_names(self.spec.datasets, 10)
            raise UserError(f"dataset must be one of {names}, but got {dataset!r}")
        frames = [
            differences.pairs.assign(dataset=one.dataset)
            for one, differences in every
            if dataset in (None, one.dataset)
        ]
        return _stack(frames, {**DIFFERENCE_COLUMNS, "dataset": "str"})

    @cached_property
    def dataset_comparison(self) -> DatasetComparison | None:
        """The networks over all data sets of the study: ranks, their test, and performance profiles."""
        return compare_datasets(self.spec, self.runs)

    def dataset_ranks(self) -> pd.DataFrame:
        """One row per network with a result on every data set, the best mean rank first.

        Columns: `compare_datasets`. Empty for a study of one data set.
        """
        found = self.dataset_comparison
        return found.ranks if found else make_frame([], RANK_COLUMNS)

    @cached_property
    def recipe_comparisons(self) -> list[tuple[RecipeComparison, Differences]]:
        """Each dataset on which a variant has several recipes, with their differences."""
        return [(one, self._compare_recipes(one)) for one in list_recipe_comparisons(self.spec)]

    def _compare_recipes(self, one: RecipeComparison) -> Differences:
        job_outcomes = self.read_outcomes(recipe_jobs(self.spec, one))
        if share_images(o.record for o in job_outcomes if o.record and o.usable):
            return compare_recipes(one, job_outcomes, self.spec.differences)
        return compare_recipe_values(one, self.runs, self.spec.differences)

    def scores(self, experiment: tuple[str, str, str] | None = None) -> pd.DataFrame:
        """One row per measure of the test images and variant: mean over seeds with its interval.

        Measures that records don't have are left out: those from before predictions were kept have
        accuracy and nll. Columns: `scores_table`.
        """
        trainings = self._find_trainings(experiment)
        found = all_scores(trainings, self.runs) if trainings else []
        return _stack(map(scores_table, found), SCORE_COLUMNS)

    def score_differences(
        self, experiment: tuple[str, str, str] | None = None, base: str | None = None
    ) -> pd.DataFrame:
        """One row per measure and pair of variants, for new seeds on these test images.

        P-values are corrected for each measure separately. Columns: `score_pairs`.
        """
        trainings, base = self._find_trainings(experiment), self._check_base(base)
        found = all_scores(trainings, self.runs) if trainings else []
        tables = (
            score_pairs(one, list_pairs(one.variants, base), self.spec.differences)
            for one in found
            if base is None or base in one.variants
        )
        return _stack(tables, SCORE_PAIR_COLUMNS)

    def class_predictions(self, trainings: Trainings | None) -> ClassPredictions | None:
        """What the networks of an experiment say of each test image; None without a training. Cached."""
        if trainings is None or not trainings.variants:
            return None
        found = self._predicted.get(trainings)
        if found is None:
            job_outcomes = self.read_outcomes(difference_jobs(self.spec, trainings))
            found = build_class_predictions(trainings.variants[:MAX_COMPARED], job_outcomes)
            self._predicted[trainings] = found
            for oldest in list(self._predicted)[:-MAX_PREDICTED]:
                self._predicted.pop(oldest, None)
        return found

    def image_names(self, experiment: Experiment, found: ClassPredictions) -> list[str] | None:
        """File names of the test images, where the prepared data is here, the same and of files."""
        if self.fingerprints.get(experiment.dataset) != found.fingerprint:
            return None
        file = image_names_file(self.spec.prepared(experiment.dataset))
        return read_image_names(file, len(found.labels_N))

    def class_tables(
        self, experiment: tuple[str, str, str] | None = None, base: str | None = None
    ) -> dict[str, pd.DataFrame]:
        """Tables of the classes: 'per_class', 'confusion' and 'class_differences'.

        Columns: `per_class_table`, `confusion_table` and `class_differences`. They are empty without
        predictions of the test images.
        """
        found = self.class_predictions(self._find_trainings(experiment))
        return make_class_tables(found, self._check_base(base))

    def disputed_images(
        self, one: str, other: str, experiment: tuple[str, str, str] | None = None
    ) -> pd.DataFrame:
        """Test images that most seeds of one network get right and most of the other wrong."""
        trainings = self._find_trainings(experiment)
        found = self.class_predictions(trainings)
        for name in (one, other):
            self._check_base(name)
        if not trainings or not found or not {one, other} <= set(found.variants):
            return no_disputed_images()
        names = self.image_names(trainings.experiment, found)
        return disputed_images(found, one, other, names)

    def effects(self) -> pd.DataFrame:
        """The effect of each level of each factor on the accuracy, over all variants; may be empty."""
        return effects_table(self.factor_effects)

    def claims(self) -> pd.DataFrame:
        """One row per claim of the study: verdict, figure, p-values, and what would decide it."""
        return self.claim_tables[0]

    def compare(
        self, trainings: Trainings | None, base: str | None = None, metric: str | None = None
    ) -> Differences | None:
        """Differences with their notes; None without a training. The result is cached.

        `metric` is one of TRAINED_METRICS, by default the study's headline metric.
        """
        if trainings is None or not trainings.variants:
            return None
        metric = metric or self.spec.headline_metric
        key = trainings, base, metric
        differences = self._compared.get(key)
        if differences is None:
            if metric == "accuracy":
                job_outcomes = self.read_outcomes(difference_jobs(self.spec, trainings))
                if share_images(o.record for o in job_outcomes if o.record and o.usable):
                    differences = compute_differences(
                        trainings, job_outcomes, base, self.spec.differences
                    )
            if differences is None:
                differences = compare_scores(
                    trainings, self.runs, metric, base, self.spec.differences
                )
            flags = list_flags(self.stability, trainings.experiment, trainings.variants)
            differences = replace(differences, notes=(*differences.notes, *flags))
            self._compared[key] = differences
            for oldest in list(self._compared)[:-MAX_COMPARED]:
                self._compared.pop(oldest, None)
        return differences

    @cached_property
    def main_differences(self) -> Differences | None:
        """Differences of the study's main experiment; None for a study without trainings."""
        return self.compare(main_trainings(self.spec))

    def compare_all(self) -> list[tuple[Trainings, Differences]]:
        """Each experiment with its differences, the main one first."""
        main = main_trainings(self.spec)
        every = [find_trainings(self.spec, one) for one in list_experiments(self.spec)[0]]
        others = [one for one in every if main is None or one.experiment != main.experiment]
        ordered = [*([main] if main else []), *others]
        return [(one, differences) for one in ordered if (differences := self.compare(one))]

    @cached_property
    def factor_effects(self) -> FactorEffects | str:
        """The effects with the diagnostics of their model, or why there is no estimate."""
        return study_effects(self.spec, self.runs)

    @cached_property
    def claim_tables(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """One row per claim, and one row per hypothesis of a claim."""
        job_outcomes = self.read_outcomes(claim_jobs(self.spec))
        return claim_tables(self.spec, self.runs, self.cells, job_outcomes)

    @cached_property
    def deployment(self) -> pd.DataFrame:
        """One row per deployed variant and mode: accuracy against eager mode, latency, size.

        Columns: `deployment_table`. Empty for a study without a deploy block.
        """
        job_outcomes = self.read_outcomes(deployment_jobs(self.spec))
        return deployment_table(self.spec, self.runs, self.cells, job_outcomes)

    @cached_property
    def _predicted(self) -> dict[Trainings, ClassPredictions]:
        return {}

    @cached_property
    def _compared(self) -> dict[tuple[Trainings, str | None, str], Differences]:
        return {}

    def _find_trainings(self, experiment: tuple[str, str, str] | None) -> Trainings | None:
        if experiment is None:
            return main_trainings(self.spec)
        experiments = list_experiments(self.spec)[0]
        if experiment not in experiments:
            names = list_names((", ".join(one) for one in experiments), 10, "; ")
            raise UserError(
                f"experiment must be one of {names or '(this study trains nothing)'}, "
                f"but is {experiment!r}"
            )
        return find_trainings(self.spec, Experiment(*experiment))

    def _check_base(self, base: str | None) -> str | None:
        if base is not None and base not in self.spec.variant_names:
            names = list_names(self.spec.variant_names, 10)
            raise UserError(f"base must be one of {names}, but is {base!r}")
        return base


def _stack(tables: Iterable[pd.DataFrame], columns: Mapping[str, str]) -> pd.DataFrame:
    frames = [table for table in tables if len(table)]
    return pd.concat(frames, ignore_index=True) if frames else make_frame([], dict(columns))


def open_study(folder: str | Path) -> StudyResults:
    """Open the results of a study in `folder`, like "results/demo", or of a shipped one.

    It reads only study.json; records are read at their first use, and nothing is written. Raises
    UserError if the folder has no study.json, or one that breaks a rule.
    """
    root = Path(folder)
    file = root / "study.json"
    if not file.is_file():
        raise UserError(
            f"{root} has no study.json: give the results folder of a study that has run, like results/demo"
        )
    paths = StudyPaths(root)
    return StudyResults(study_with_looks(load_study(file), paths), paths)
