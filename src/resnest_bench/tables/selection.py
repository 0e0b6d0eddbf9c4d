"""Which jobs a table is about: what its spec leaves out is taken from the first block of its kind."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from resnest_bench.formats import row_dicts
from resnest_bench.paths import Experiment
from resnest_bench.specs import StudySpec
from resnest_bench.specs.tables import TableSpec

PLACE = ["kind", "dataset", "recipe", "variant"]


@dataclass(frozen=True)
class Experiments:
    """The trainings (or fine-tunings) and the latencies that something is about; None for none."""

    training: Experiment | None
    latency: Experiment | None

    def runs(self, frame: pd.DataFrame, kinds: Sequence[str] = ()) -> pd.DataFrame:
        """Rows of `frame` (runs or cells) that belong here, or those of some kinds of them."""
        keep = pd.Series(False, index=frame.index)
        for one in filter(None, (self.training, self.latency)):
            if not kinds or one.kind in kinds:
                keep |= (
                    (frame["kind"] == one.kind)
                    & (frame["dataset"] == one.dataset)
                    & (frame["recipe"] == one.recipe)
                )
        return frame[keep]


@dataclass(frozen=True)
class Selection(Experiments):
    """Rows and experiments of one table."""

    variants: tuple[str, ...] = ()
    paper: bool = False


def select(study: StudySpec, spec: TableSpec) -> Selection:
    """Fill in what `spec` leaves out. 'all' takes every variant that one of the experiments has."""
    train = _first_block(study.train, dataset=spec.dataset, recipe=spec.recipe)
    latency = _first_block(study.latency, dataset=spec.dataset, protocol=spec.protocol)
    dataset = spec.dataset or (train and train.dataset)
    recipe = spec.recipe or (train and train.recipe)
    timed = latency and (spec.dataset or latency.dataset, spec.protocol or latency.protocol)
    chosen = Experiments(
        Experiment("train", dataset, recipe) if dataset and recipe else None,
        timed and Experiment("latency", *timed),
    )
    names = _asked_variants(study, chosen) if spec.variants == "all" else spec.variants
    return Selection(chosen.training, chosen.latency, tuple(names), spec.paper)


def _first_block(blocks: tuple, **wanted: str | None) -> Any | None:
    """The first block that fits what is given, else the first one of all, else None."""
    for block in blocks:
        if all(value in (None, getattr(block, field)) for field, value in wanted.items()):
            return block
    return blocks[0] if blocks else None


def _asked_variants(study: StudySpec, chosen: Experiments) -> list[str]:
    """Variants that are trained in this experiment; without a training, those that are timed."""
    jobs = study.jobs()
    trained = {job.variant for job in jobs if job.experiment == chosen.training}
    timed = {job.variant for job in jobs if job.experiment == chosen.latency}
    return [name for name in study.variant_names if name in (trained or timed)]


def list_experiments(study: StudySpec) -> tuple[list[Experiment], list[Experiment]]:
    """All experiments of trainings and fine-tunings, and all of latencies.

    The ones that the study's trade-off table is about come first.
    """
    every = list(dict.fromkeys(job.experiment for job in study.jobs()))
    trained = [one for one in every if one.kind != "latency"]
    timed = [one for one in every if one.kind == "latency"]
    if study.tables.tradeoff:
        chosen = select(study, study.tables.tradeoff)
        trained.sort(key=lambda one: one != chosen.training)
        timed.sort(key=lambda one: one != chosen.latency)
    return trained, timed


def main_experiments(study: StudySpec) -> Experiments:
    """The first ones of `list_experiments`."""
    trained, timed = list_experiments(study)
    return Experiments(trained[0] if trained else None, timed[0] if timed else None)


class RowGroups:
    """Rows of `runs` or `cells`, to be asked for one variant after another.

    A row is a dict of `columns`. `labels` is each dataset's name to its label.
    """

    def __init__(self, frame: pd.DataFrame, columns: list[str]) -> None:
        places = frame[PLACE].itertuples(index=False, name=None)
        self._rows: dict[tuple, list[dict[str, Any]]] = {}
        for place, row in zip(places, row_dicts(frame[columns]), strict=True):
            self._rows.setdefault(place, []).append(row)
        self.labels = dict(zip(frame["dataset"], frame["dataset_label"], strict=True))

    def of(self, experiment: Experiment | None, variant: str) -> list[dict[str, Any]]:
        """What `select_rows` gives, but without a look at every row."""
        return self._rows.get((*experiment, variant), []) if experiment else []


def select_rows(frame: pd.DataFrame, experiment: Experiment | None, variant: str) -> pd.DataFrame:
    """Rows of `runs` or `cells` of one variant in one experiment."""
    if experiment is None:
        return frame.iloc[:0]
    return frame[(frame[PLACE] == [*experiment, variant]).all(axis=1)]
