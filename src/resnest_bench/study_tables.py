"""A study's frames and its tables of variants: the part of `StudyResults` that compares nothing."""

from collections.abc import Sequence
from functools import cached_property

import pandas as pd

from resnest_bench.comparisons.device_ranking import DeviceRankings, compare_devices
from resnest_bench.comparisons.differences import difference_jobs, find_trainings
from resnest_bench.comparisons.factors import factor_table
from resnest_bench.comparisons.variance import components_table, seeds_or_images_table
from resnest_bench.frames.cache import Frames, load_frames
from resnest_bench.frames.rows import build_samples
from resnest_bench.paths import Experiment, Job, StudyPaths
from resnest_bench.search.tables import SearchTables, make_search_tables
from resnest_bench.specs import StudySpec
from resnest_bench.status.fingerprints import read_fingerprints
from resnest_bench.status.outcomes import Outcome, outcomes
from resnest_bench.tables.distillation import distillation_table
from resnest_bench.tables.noise import energy_noise_table, noise_table
from resnest_bench.tables.paper_comparison import paper_table
from resnest_bench.tables.roofline import roofline_table
from resnest_bench.tables.selection import list_experiments
from resnest_bench.tables.stability import add_seed_flags, stability_table
from resnest_bench.tables.variants import (
    ablation_table,
    other_tables,
    tradeoff_table,
    transfer_table,
)


class StudyTables:
    """The frames of a study's records, and its tables with one row per variant."""

    def __init__(self, spec: StudySpec, paths: StudyPaths, previous: Frames | None = None) -> None:
        self.spec = spec
        self.paths = paths
        self._previous = previous

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.paths.root)!r})"

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
    def other_tables(self) -> list[pd.DataFrame]:
        """One table per training experiment that is not in `tables`."""
        tables = other_tables(self.spec, self.runs, self.cells)
        return [add_seed_flags(table, self.stability) for table in tables]

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
    def search(self) -> SearchTables:
        """What the study's search has found: trials, families, finalists, curves; empty without one."""
        return make_search_tables(
            self.spec, self.paths, self.fingerprints, self.runs, self.epochs, self.cells
        )

    @cached_property
    def noise(self) -> pd.DataFrame:
        """The noise floor of latencies by device and protocol: how much one network's latency varies."""
        return noise_table(self.runs)

    @cached_property
    def energy_noise(self) -> pd.DataFrame:
        """The same of energies; empty without any."""
        return energy_noise_table(self.runs)

    @cached_property
    def device_rankings(self) -> DeviceRankings:
        """The networks ranked by latency on each two devices that have measured them; may be empty."""
        return compare_devices(self.spec, self.runs, self.cells)

    @cached_property
    def roofline(self) -> pd.DataFrame:
        """What each latency is bound by: arithmetic, memory or overhead; empty without ceilings."""
        return roofline_table(self.runs, self.cells)

    @cached_property
    def factors(self) -> pd.DataFrame:
        """Pairs of variants that differ in only one factor; no row for a study without trainings."""
        table = factor_table(self.spec, self.runs)
        return table if self.spec.trained else table.iloc[:0]

    @cached_property
    def paper(self) -> pd.DataFrame:
        """The paper's printed values next to ours."""
        return paper_table(self.spec, self.runs, self.cells)

    def read_outcomes(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Complete records of a few jobs: per-image results, raw samples, environment."""
        return outcomes(self.spec, self.paths, self.fingerprints, jobs=jobs)
