"""All that a page shows of a study, read once."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from resnest_bench.paths import Job, StudyPaths
from resnest_bench.specs import StudySpec
from resnest_bench.tables import (
    Differences,
    FactorEffects,
    Outcome,
    claim_jobs,
    claim_tables,
    difference_jobs,
    differences_of,
    factor_table,
    headline_experiment,
    load_frames,
    make_tables,
    outcomes,
    prepared_fingerprints,
    study_effects,
)
from resnest_bench.tables.selection import select

MAX_VARIANTS = 60


@dataclass(frozen=True, eq=False)
class Results:
    """A study and its frames, as from `load_frames`; paths in them are relative to its folder."""

    study: StudySpec
    paths: StudyPaths
    fingerprints: dict[str, str]
    runs: pd.DataFrame
    cells: pd.DataFrame
    epochs: pd.DataFrame
    num_unlisted: int

    @cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        return make_tables(self.study, self.runs, self.cells)

    @cached_property
    def factors(self) -> pd.DataFrame:
        """`factor_table`; of a study that trains nothing, no row."""
        table = factor_table(self.study, self.runs)
        return table if self.study.train else table.iloc[:0]

    @cached_property
    def claims(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """A row a claim, and a row a comparison."""
        found = self.outcomes_of(claim_jobs(self.study))
        return claim_tables(self.study, self.runs, self.cells, found)

    @cached_property
    def differences(self) -> Differences | None:
        """The pairs of the study's main experiment; None of a study that trains nothing."""
        experiment = headline_experiment(self.study)
        if experiment is None or not experiment.variants:
            return None
        found = self.outcomes_of(difference_jobs(self.study, experiment))
        return differences_of(experiment, found)

    @cached_property
    def effects(self) -> FactorEffects | str:
        """What each factor does over all networks, or why there is no estimate."""
        return study_effects(self.study, self.runs)

    @cached_property
    def variants(self) -> list[str]:
        """Names of all variants that have a job: those of the study's tables first, in their order."""
        asked = [self.study.tables.tradeoff, self.study.tables.ablation]
        first = [name for spec in asked if spec for name in select(self.study, spec).variants]
        known = dict.fromkeys(self.runs["variant"])
        return list(dict.fromkeys([*(name for name in first if name in known), *known]))

    @property
    def drawn(self) -> list[str]:
        """The variants of all charts that have a row or a line for each."""
        return self.variants[:MAX_VARIANTS]

    @property
    def cut_text(self) -> tuple[str, ...]:
        """What stands above charts that don't show every variant."""
        count = len(self.variants)
        if count <= MAX_VARIANTS:
            return ()
        return (
            f"The charts below show the first {MAX_VARIANTS} of {count:,} networks, in the order of "
            "the study's tables.",
        )

    def of_drawn(self, frame: pd.DataFrame) -> pd.DataFrame:
        return frame[frame["variant"].isin(self.drawn)]

    def outcomes_of(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Whole records of a few jobs: raw samples, environment."""
        return outcomes(self.study, self.paths, self.fingerprints, jobs=jobs)


def read_results(study: StudySpec, paths: StudyPaths) -> Results:
    """Read what there is of a study. Never raises for a bad record; writes nothing."""
    fingerprints = prepared_fingerprints(study)
    frames = load_frames(study, paths, fingerprints)
    names = [paths.record_name(job) for job in study.jobs()]
    return Results(
        study=study,
        paths=paths,
        fingerprints=fingerprints,
        runs=_relative(frames.runs, paths.root).assign(record=names),
        cells=_relative(frames.cells, paths.root),
        epochs=frames.epochs,
        num_unlisted=len(frames.unlisted),
    )


def _relative(frame: pd.DataFrame, root: Path) -> pd.DataFrame:
    """`frame` without the folder's own path in its reasons: the page is for other machines."""
    prefix = f"{root}{os.sep}" if root != Path() else ""
    columns = [name for name in ("reason", "unavailable_reason") if prefix and name in frame]
    return frame.assign(**{c: frame[c].str.replace(prefix, "", regex=False) for c in columns})
