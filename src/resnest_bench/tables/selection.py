"""Which jobs a table shows: what its spec leaves out comes from the first block of its kind."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from resnest_bench.formats import row_dicts
from resnest_bench.paths import TRAINING_KINDS, Experiment
from resnest_bench.specs import StudySpec
from resnest_bench.specs.tables import TableSpec

KEY = ["kind", "dataset", "recipe", "variant"]


@dataclass(frozen=True)
class Experiments:
    """One experiment of trainings (or fine-tunings) and one of latencies; None for none."""

    training: Experiment | None
    latency: Experiment | None

    def runs(self, frame: pd.DataFrame, kinds: Sequence[str] = ()) -> pd.DataFrame:
        """Rows of `frame` (runs or cells) of these experiments, or only of some kinds of jobs."""
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
    """The variants and experiments of one table."""

    variants: tuple[str, ...] = ()
    paper: bool = False


def select(study: StudySpec, spec: TableSpec) -> Selection:
    """Fill in what `spec` leaves out. 'all' selects every variant of the experiments."""
    train = _first_block(study.trained, dataset=spec.dataset, recipe=spec.recipe)
    latency = _first_block(study.timed, dataset=spec.dataset, protocol=spec.protocol)
    dataset = spec.dataset or (train and train.dataset)
    recipe = spec.recipe or (train and train.recipe)
    timed = latency and (spec.dataset or latency.dataset, spec.protocol or latency.protocol)
    chosen = Experiments(
        Experiment("train", dataset, recipe) if dataset and recipe else None,
        timed and Experiment("latency", *timed),
    )
    names = _list_variants(study, chosen) if spec.variants == "all" else spec.variants
    return Selection(chosen.training, chosen.latency, tuple(names), spec.paper)


def _first_block(blocks: tuple, **values: str | None) -> Any | None:
    """The first block with the given values, else the first block, else None."""
    for block in blocks:
        if all(value in (None, getattr(block, field)) for field, value in values.items()):
            return block
    return blocks[0] if blocks else None


def _list_variants(study: StudySpec, chosen: Experiments) -> list[str]:
    """Variants that are trained in this experiment or, without a training, timed."""
    every = study.variants_by_experiment
    trained, timed = (
        every.get(one, ()) if one else () for one in (chosen.training, chosen.latency)
    )
    names = set(trained or timed)
    return [name for name in study.variant_names if name in names]


def list_experiments(study: StudySpec) -> tuple[list[Experiment], list[Experiment]]:
    """All experiments of trainings and fine-tunings, and all experiments of latencies.

    Those of the study's trade-off table come first.
    """
    every = list(study.variants_by_experiment)
    trained = [one for one in every if one.kind in TRAINING_KINDS]
    timed = [one for one in every if one.kind == "latency"]
    if study.tables.tradeoff:
        chosen = select(study, study.tables.tradeoff)
        trained.sort(key=lambda one: one != chosen.training)
        timed.sort(key=lambda one: one != chosen.latency)
    return trained, timed


def main_experiments(study: StudySpec) -> Experiments:
    """The first two experiments of `list_experiments`."""
    trained, timed = list_experiments(study)
    return Experiments(trained[0] if trained else None, timed[0] if timed else None)


class RowGroups:
    """Rows of `runs` or `cells`, grouped for fast selection of one variant after another.

    A row is a dict of `columns`. `labels` maps each dataset's name to its label.
    """

    def __init__(self, frame: pd.DataFrame, columns: list[str]) -> None:
        keys = frame[KEY].itertuples(index=False, name=None)
        self._rows: dict[tuple, list[dict[str, Any]]] = {}
        for key, row in zip(keys, row_dicts(frame[columns]), strict=True):
            self._rows.setdefault(key, []).append(row)
        self.labels = dict(zip(frame["dataset"], frame["dataset_label"], strict=True))

    def select(self, experiment: Experiment | None, variant: str) -> list[dict[str, Any]]:
        """The rows of `select_rows`, without a scan of the frame."""
        return self._rows.get((*experiment, variant), []) if experiment else []


def select_rows(frame: pd.DataFrame, experiment: Experiment | None, variant: str) -> pd.DataFrame:
    """Rows of `runs` or `cells` of one variant in one experiment."""
    if experiment is None:
        return frame.iloc[:0]
    return frame[(frame[KEY] == [*experiment, variant]).all(axis=1)]
