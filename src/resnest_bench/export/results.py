"""The results of a study for a page, without the path of their folder."""

import os
from functools import cached_property
from pathlib import Path

import pandas as pd

from resnest_bench.results import StudyResults
from resnest_bench.tables.selection import select

MAX_VARIANTS = 60


class PageResults(StudyResults):
    """`StudyResults` with paths relative to the study's folder, since a page is for other machines."""

    @cached_property
    def runs(self) -> pd.DataFrame:
        """As in `StudyResults`."""
        names = [self.paths.record_name(job) for job in self.spec.jobs()]
        return _relative(self.frames.runs, self.paths.root).assign(record=names)

    @cached_property
    def cells(self) -> pd.DataFrame:
        """As in `StudyResults`."""
        return _relative(self.frames.cells, self.paths.root)

    @cached_property
    def variants(self) -> list[str]:
        """Names of all variants with a job, those of the study's tables first, in their order."""
        tables = [self.spec.tables.tradeoff, self.spec.tables.ablation]
        first = [name for spec in tables if spec for name in select(self.spec, spec).variants]
        names = dict.fromkeys(self.runs["variant"])
        return list(dict.fromkeys([*(name for name in first if name in names), *names]))

    @property
    def drawn(self) -> list[str]:
        """The variants in charts with one row or line per variant."""
        return self.variants[:MAX_VARIANTS]

    @property
    def cut_text(self) -> tuple[str, ...]:
        """The text above charts that don't show every variant."""
        count = len(self.variants)
        if count <= MAX_VARIANTS:
            return ()
        return (
            f"The charts below show the first {MAX_VARIANTS} of {count:,} networks, in the order of "
            "the study's tables.",
        )

    def select_drawn(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows of the drawn variants."""
        return frame[frame["variant"].isin(self.drawn)]


def _relative(frame: pd.DataFrame, root: Path) -> pd.DataFrame:
    """Remove the path of the folder from the reasons."""
    prefix = f"{root}{os.sep}" if root != Path() else ""
    columns = [name for name in ("reason", "unavailable_reason") if prefix and name in frame]
    return frame.assign(**{c: frame[c].str.replace(prefix, "", regex=False) for c in columns})
