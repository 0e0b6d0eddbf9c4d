"""The results of a study: its records as DataFrames, and everything computed from them.

    import resnest_bench as rb

    study = rb.open_study("results/mine")
    study.runs           # one row per training, fine-tuning and latency job
    study.differences()  # all pairs of networks: is the difference real?

Command line, exported pages, figures, dashboard and this API read a study through `StudyResults`.
Everything is read or computed when it is first used, and only once.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import pandas as pd

from resnest_bench.claims.tables import claim_tables
from resnest_bench.claims.verdicts import claim_jobs
from resnest_bench.comparisons.accuracies import ACCURACY_COLUMNS
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
from resnest_bench.comparisons.factors import factor_table
from resnest_bench.comparisons.per_class import (
    disputed_images,
    make_class_tables,
    no_disputed_images,
)
from resnest_bench.comparisons.scores import (
    SCORE_COLUMNS,
    SCORE_PAIR_COLUMNS,
    all_scores,
    compare_scores,
    score_pairs,
    scores_table,
)
from resnest_bench.comparisons.variance import components_table, seeds_or_images_table
from resnest_bench.errors import UserError
from resnest_bench.frames.cache import Frames, load_frames
from resnest_bench.frames.predictions import ClassPredictions, build_class_predictions
from resnest_bench.frames.rows import build_samples
from resnest_bench.frames.typed import make_frame
from resnest_bench.paths import Experiment, Job, StudyPaths, image_names_file
from resnest_bench.specs import StudySpec, load_study, study_with_looks
from resnest_bench.stats.mixed_model import FactorEffects
from resnest_bench.status.fingerprints import read_fingerprints
from resnest_bench.status.outcomes import Outcome, outcomes
from resnest_bench.tables.distillation import distillation_table
from resnest_bench.tables.noise import noise_table
from resnest_bench.tables.paper_comparison import paper_table
from resnest_bench.tables.selection import list_experiments
from resnest_bench.tables.stability import add_seed_flags, list_flags, stability_table
from resnest_bench.tables.variants import (
    ablation_table,
    other_tables,
    tradeoff_table,
    transfer_table,
)
from resnest_bench.words import list_names

# Size of the caches of one StudyResults. Predictions of an experiment take some MB each.
MAX_COMPARED, MAX_PREDICTED = 100, 4


class StudyResults:
    """A study and the results of its records. See `open_study`.

    Each result is a snapshot of its first use; to see later records, open the study again. A record that
    can't be read is a row with a reason, never an error. With `previous`, earlier frames of the same
    study, only the records that have changed since are read.
    """

    def __init__(self, spec: StudySpec, paths: StudyPaths, previous: Frames | None = None) -> None:
        self.spec = spec
        self.paths = paths
        self._previous = previous

    def __repr__(self) -> str:
        return f"StudyResults({str(self.paths.root)!r})"

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """Current SHA-256 of each prepared dataset and each weights file, by name."""
        return read_fingerprints(self.spec)

    @cached_property
    def frames(self) -> Frames:
        """The frames below, with the stamps of their records."""
        # Release the old frames, which may be as large as the new ones.
        previous, self._previous = self._previous, None
        return load_frames(self.spec, self.paths, self.fingerprints, previous)

    @property
    def runs(self) -> pd.DataFrame:
        """One row per job of the study, finished or not. Columns: docs/columns.md."""
        return self.frames.runs

    @property
    def cells(self) -> pd.DataFrame:
        """One row per latency job and setting (batch size, precision, layout, mode)."""
        return self.frames.cells

    @property
    def epochs(self) -> pd.DataFrame:
        """One row per epoch of each training and fine-tuning."""
        return self.frames.epochs

    def samples(self, variants: Sequence[str] | None = None) -> pd.DataFrame:
        """One row per timed call of a latency, in ms, for `variants` or for all of them.

        They are read from the records each time, since there can be a million.
        """
        names = self.spec.variant_names if variants is None else variants
        jobs = [j for j in self.spec.jobs() if j.kind == "latency" and j.variant in set(names)]
        return build_samples(self.read_outcomes(jobs))

    @cached_property
    def experiments(self) -> list[Experiment]:
        """Every (kind, dataset, recipe) of the study, those of its trade-off table first."""
        trained, timed = list_experiments(self.spec)
        return [*trained, *timed]

    @cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """One row per variant: ablation, tradeoff, transfer and distillation, if the study has them."""
        made = {
            "ablation": self.ablation,
            "tradeoff": self.tradeoff,
            "transfer": self.transfer,
            "distillation": self.distillation,
        }
        named = {name for name in ("ablation", "tradeoff") if getattr(self.spec.tables, name)}
        return {name: table for name, table in made.items() if len(table) or name in named}

    @cached_property
    def ablation(self) -> pd.DataFrame:
        """One row per variant of the study's ablation table; empty without one."""
        return add_seed_flags(ablation_table(self.spec, self.runs, self.cells), self.stability)

    @cached_property
    def tradeoff(self) -> pd.DataFrame:
        """One row per variant of the study's trade-off table; empty without one."""
        return add_seed_flags(tradeoff_table(self.spec, self.runs, self.cells), self.stability)

    @cached_property
    def transfer(self) -> pd.DataFrame:
        """One row per fine-tuned variant and recipe; empty without any."""
        return add_seed_flags(transfer_table(self.spec, self.runs, self.cells), self.stability)

    @cached_property
    def distillation(self) -> pd.DataFrame:
        """One row per variant that was trained with a teacher; empty without any."""
        return add_seed_flags(distillation_table(self.spec, self.runs), self.stability)

    @cached_property
    def stability(self) -> pd.DataFrame:
        """One row per trained variant: mean, median and IQM, with and without failed seeds."""
        return stability_table(self.spec, self.runs, self.epochs)

    @cached_property
    def variance_components(self) -> pd.DataFrame:
        """The spread over seeds by source, for recipes that differ only in `vary`; empty without any."""
        return components_table(self.spec, self.runs)

    @cached_property
    def seeds_or_images(self) -> pd.DataFrame:
        """One row per trained variant: the test set's part of the spread; more seeds or more images?"""
        every = (find_trainings(self.spec, one) for one in list_experiments(self.spec)[0])
        return seeds_or_images_table(
            (one.experiment, self.read_outcomes(difference_jobs(self.spec, one))) for one in every
        )

    @cached_property
    def other_tables(self) -> list[pd.DataFrame]:
        """One table per training experiment that is not in `tables`."""
        tables = other_tables(self.spec, self.runs, self.cells)
        return [add_seed_flags(table, self.stability) for table in tables]

    @cached_property
    def noise(self) -> pd.DataFrame:
        """The noise floor of latencies by device and protocol: how much one network's latency varies."""
        return noise_table(self.runs)

    @cached_property
    def factors(self) -> pd.DataFrame:
        """Pairs of variants that differ in only one factor; no row for a study without trainings."""
        table = factor_table(self.spec, self.runs)
        return table if self.spec.train else table.iloc[:0]

    @cached_property
    def paper(self) -> pd.DataFrame:
        """The paper's printed values next to ours."""
        return paper_table(self.spec, self.runs, self.cells)

    def differences(
        self, experiment: tuple[str, str, str] | None = None, base: str | None = None
    ) -> pd.DataFrame:
        """One row per pair of variants of an experiment: difference of the headline metric, and verdict.

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

        Holm's correction is for each measure separately. Columns: `score_pairs`.
        """
        trainings, base = self._find_trainings(experiment), self._check_base(base)
        found = all_scores(trainings, self.runs) if trainings else []
        tables = (
            score_pairs(one, list_pairs(one.variants, base))
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
        try:
            text = image_names_file(self.spec.prepared(experiment.dataset)).read_text("utf-8")
            names = json.loads(text)
        except (OSError, ValueError):
            return None
        fits = isinstance(names, list) and len(names) == len(found.labels_N)
        return [str(name) for name in names] if fits else None

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

    def compare(self, trainings: Trainings | None, base: str | None = None) -> Differences | None:
        """Differences with their notes; None without a training. The result is cached."""
        if trainings is None or not trainings.variants:
            return None
        key = trainings, base
        differences = self._compared.get(key)
        if differences is None:
            metric = self.spec.headline_metric
            if metric == "accuracy":
                job_outcomes = self.read_outcomes(difference_jobs(self.spec, trainings))
                differences = compute_differences(trainings, job_outcomes, base)
            else:
                differences = compare_scores(trainings, self.runs, metric, base)
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

    def read_outcomes(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Complete records of a few jobs: per-image results, raw samples, environment."""
        return outcomes(self.spec, self.paths, self.fingerprints, jobs=jobs)

    @cached_property
    def _predicted(self) -> dict[Trainings, ClassPredictions]:
        return {}

    @cached_property
    def _compared(self) -> dict[tuple[Trainings, str | None], Differences]:
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
