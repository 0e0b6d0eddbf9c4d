"""What is known of a study: its records as DataFrames, and what follows from them.

    import resnest_bench as rb

    study = rb.open_study("results/mine")
    study.runs           # a row for each training, fine-tuning and latency
    study.differences()  # every two networks: is the difference real?

Command line, exported pages, figures, dashboard and this API read a study through `StudyResults`.
Nothing is read or computed before it is asked for, and each thing once.
"""

from collections.abc import Sequence
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
    main_trainings,
)
from resnest_bench.comparisons.effects import effects_table, study_effects
from resnest_bench.comparisons.factors import factor_table
from resnest_bench.errors import UserError
from resnest_bench.frames.cache import Frames, load_frames
from resnest_bench.frames.rows import build_samples
from resnest_bench.frames.typed import make_frame
from resnest_bench.paths import Experiment, Job, StudyPaths
from resnest_bench.specs import StudySpec, load_study, study_with_looks
from resnest_bench.stats.mixed_model import FactorEffects
from resnest_bench.status.fingerprints import read_fingerprints
from resnest_bench.status.outcomes import Outcome, outcomes
from resnest_bench.tables.noise import noise_table
from resnest_bench.tables.paper_comparison import paper_table
from resnest_bench.tables.selection import list_experiments
from resnest_bench.tables.variants import (
    ablation_table,
    other_tables,
    tradeoff_table,
    transfer_table,
)
from resnest_bench.words import list_names

# Comparisons that one StudyResults keeps: a dashboard is asked for ever new ones.
MAX_COMPARED = 100


class StudyResults:
    """A study and all that its records say. See `open_study`.

    It is a view of the moment when something is first asked for: open the study again to see more.
    A record that can't be read is a row with its reason, and never an error. With `previous`, frames of
    the same study from before, only the records that have changed since are read.
    """

    def __init__(self, spec: StudySpec, paths: StudyPaths, previous: Frames | None = None) -> None:
        self.spec = spec
        self.paths = paths
        self._previous = previous

    def __repr__(self) -> str:
        return f"StudyResults({str(self.paths.root)!r})"

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """SHA-256 of each prepared dataset and each weights file, by name, as they are now."""
        return read_fingerprints(self.spec)

    @cached_property
    def frames(self) -> Frames:
        """The frames below with the stamps of the records that they were made from."""
        # Let go of: they may be as large as the new ones.
        previous, self._previous = self._previous, None
        return load_frames(self.spec, self.paths, self.fingerprints, previous)

    @property
    def runs(self) -> pd.DataFrame:
        """A row for each job that the study asks for, whatever became of it. Columns: docs/columns.md."""
        return self.frames.runs

    @property
    def cells(self) -> pd.DataFrame:
        """A row for each latency job and setting (batch size, precision, layout, mode)."""
        return self.frames.cells

    @property
    def epochs(self) -> pd.DataFrame:
        """A row for each epoch of each training and fine-tuning."""
        return self.frames.epochs

    def samples(self, variants: Sequence[str] | None = None) -> pd.DataFrame:
        """A row for each timed call of a latency, in ms; of all variants without `variants`.

        They are read from the records each time: there can be a million.
        """
        names = self.spec.variant_names if variants is None else variants
        jobs = [j for j in self.spec.jobs() if j.kind == "latency" and j.variant in set(names)]
        return build_samples(self.read_outcomes(jobs))

    @cached_property
    def experiments(self) -> list[Experiment]:
        """Every (kind, dataset, recipe) of the study; those of its trade-off table come first."""
        trained, timed = list_experiments(self.spec)
        return [*trained, *timed]

    @cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """A row for each variant: 'ablation', 'tradeoff', 'transfer', as far as the study has them."""
        made = {"ablation": self.ablation, "tradeoff": self.tradeoff, "transfer": self.transfer}
        asked = {name for name in ("ablation", "tradeoff") if getattr(self.spec.tables, name)}
        return {name: table for name, table in made.items() if len(table) or name in asked}

    @cached_property
    def ablation(self) -> pd.DataFrame:
        """A row for each variant of the study's ablation table; without one, no row."""
        return ablation_table(self.spec, self.runs, self.cells)

    @cached_property
    def tradeoff(self) -> pd.DataFrame:
        """A row for each variant of the study's trade-off table; without one, no row."""
        return tradeoff_table(self.spec, self.runs, self.cells)

    @cached_property
    def transfer(self) -> pd.DataFrame:
        """A row for each variant and recipe that is fine-tuned; of a study that has none, no row."""
        return transfer_table(self.spec, self.runs, self.cells)

    @cached_property
    def other_tables(self) -> list[pd.DataFrame]:
        """A table for each training experiment that is in none of `tables`."""
        return other_tables(self.spec, self.runs, self.cells)

    @cached_property
    def noise(self) -> pd.DataFrame:
        """How much the same network's latency differs from itself, by device and protocol."""
        return noise_table(self.runs)

    @cached_property
    def factors(self) -> pd.DataFrame:
        """Pairs that differ in one factor alone; of a study that trains nothing, no row."""
        table = factor_table(self.spec, self.runs)
        return table if self.spec.train else table.iloc[:0]

    @cached_property
    def paper(self) -> pd.DataFrame:
        """The paper's printed values beside ours."""
        return paper_table(self.spec, self.runs, self.cells)

    def differences(
        self, experiment: tuple[str, str, str] | None = None, base: str | None = None
    ) -> pd.DataFrame:
        """A row for each two variants of an experiment: difference, interval, p-values, verdict.

        `experiment` is one of `experiments`; None takes the study's main one. `base` compares each
        variant with that one alone. Columns: docs/columns.md and `compute_differences`. Raises UserError for
        an experiment or a base that the study doesn't have.
        """
        found = self.compare(self._trainings(experiment), self._checked(base))
        return found.pairs if found else make_frame([], DIFFERENCE_COLUMNS)

    def accuracies(self, experiment: tuple[str, str, str] | None = None) -> pd.DataFrame:
        """A row for each variant of an experiment: mean accuracy over seeds, with its intervals."""
        found = self.compare(self._trainings(experiment))
        return found.accuracies if found else make_frame([], ACCURACY_COLUMNS)

    def effects(self) -> pd.DataFrame:
        """What each level of each factor does to the accuracy, over all variants; may have no row."""
        return effects_table(self.found_effects)

    def claims(self) -> pd.DataFrame:
        """A row for each claim of the study: verdict, figure, p-values, what would decide it."""
        return self.claim_tables[0]

    def compare(self, trainings: Trainings | None, base: str | None = None) -> Differences | None:
        """Differences with their notes; None without a training. Kept for the next time."""
        if trainings is None or not trainings.variants:
            return None
        key = trainings, base
        found = self._compared.get(key)
        if found is None:
            whole_records = self.read_outcomes(difference_jobs(self.spec, trainings))
            found = self._compared[key] = compute_differences(trainings, whole_records, base)
            for oldest in list(self._compared)[:-MAX_COMPARED]:
                self._compared.pop(oldest, None)
        return found

    @cached_property
    def main_differences(self) -> Differences | None:
        """Those of the study's main experiment; None of a study that trains nothing."""
        return self.compare(main_trainings(self.spec))

    def compare_all(self) -> list[tuple[Trainings, Differences]]:
        """Each experiment with its differences, the main one first."""
        main = main_trainings(self.spec)
        every = [find_trainings(self.spec, one) for one in list_experiments(self.spec)[0]]
        others = [one for one in every if main is None or one.experiment != main.experiment]
        asked = [*([main] if main else []), *others]
        return [(one, found) for one in asked if (found := self.compare(one))]

    @cached_property
    def found_effects(self) -> FactorEffects | str:
        """The effects with what they rest on, or why there is no estimate."""
        return study_effects(self.spec, self.runs)

    @cached_property
    def claim_tables(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """A row for each claim, and a row for each comparison that a claim comes down to."""
        found = self.read_outcomes(claim_jobs(self.spec))
        return claim_tables(self.spec, self.runs, self.cells, found)

    def read_outcomes(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Whole records of a few jobs: single images, raw samples, environment."""
        return outcomes(self.spec, self.paths, self.fingerprints, jobs=jobs)

    @cached_property
    def _compared(self) -> dict[tuple[Trainings, str | None], Differences]:
        return {}

    def _trainings(self, experiment: tuple[str, str, str] | None) -> Trainings | None:
        if experiment is None:
            return main_trainings(self.spec)
        known = list_experiments(self.spec)[0]
        if experiment not in known:
            names = list_names((", ".join(one) for one in known), 10, "; ")
            raise UserError(
                f"experiment must be one of {names or '(this study trains nothing)'}, "
                f"but came {experiment!r}"
            )
        return find_trainings(self.spec, Experiment(*experiment))

    def _checked(self, base: str | None) -> str | None:
        if base is not None and base not in self.spec.variant_names:
            names = list_names(self.spec.variant_names, 10)
            raise UserError(f"base must be one of {names}, but came {base!r}")
        return base


def open_study(folder: str | Path) -> StudyResults:
    """The results of a study in `folder`, like "results/demo"; a shipped one is no exception.

    Reads nothing but the study itself: records are read when they are asked for, and nothing is written.
    Raises UserError where the folder holds no study.json, or one that breaks a rule.
    """
    root = Path(folder)
    file = root / "study.json"
    if not file.is_file():
        raise UserError(
            f"{root} holds no study.json: give the results of a study, like results/demo, and run it first"
        )
    paths = StudyPaths(root)
    return StudyResults(study_with_looks(load_study(file), paths), paths)
