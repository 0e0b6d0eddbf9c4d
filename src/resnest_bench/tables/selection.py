"""Which jobs a table is about: what its spec leaves out is taken from the first block of its kind."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from resnest_bench.specs import StudySpec
from resnest_bench.specs.tables import TableSpec
from resnest_bench.tables.formats import row_dicts

EXPERIMENT = ["kind", "dataset", "recipe", "variant"]


@dataclass(frozen=True)
class Selection:
    """Rows and experiments of one table. None: the study has no such experiment."""

    variants: tuple[str, ...]
    dataset: str | None
    recipe: str | None
    latency_dataset: str | None
    protocol: str | None
    paper: bool


def select(study: StudySpec, spec: TableSpec) -> Selection:
    """Fill in what `spec` leaves out. 'all' takes every variant that one of the experiments has."""
    train = _first_block(study.train, dataset=spec.dataset, recipe=spec.recipe)
    latency = _first_block(study.latency, dataset=spec.dataset, protocol=spec.protocol)
    chosen = Selection(
        variants=(),
        dataset=spec.dataset or (train and train.dataset),
        recipe=spec.recipe or (train and train.recipe),
        latency_dataset=spec.dataset or (latency and latency.dataset) if study.latency else None,
        protocol=spec.protocol or (latency and latency.protocol) if study.latency else None,
        paper=spec.paper,
    )
    names = _asked_variants(study, chosen) if spec.variants == "all" else spec.variants
    return Selection(**{**vars(chosen), "variants": tuple(names)})


def _first_block(blocks: tuple, **wanted: str | None) -> Any | None:
    """The first block that fits what is given, else the first one of all, else None."""
    for block in blocks:
        if all(value in (None, getattr(block, field)) for field, value in wanted.items()):
            return block
    return blocks[0] if blocks else None


def _asked_variants(study: StudySpec, chosen: Selection) -> list[str]:
    """Variants that are trained in this experiment; without a training, those that are timed."""
    jobs = study.jobs()
    trained = {j.variant for j in jobs if _is_training(j, chosen)}
    timed = {j.variant for j in jobs if _is_timing(j, chosen)}
    return [name for name in study.variant_names if name in (trained or timed)]


def _is_training(job: Any, chosen: Selection) -> bool:
    place = (job.kind, job.dataset, job.recipe)
    return place == ("train", chosen.dataset, chosen.recipe)


def _is_timing(job: Any, chosen: Selection) -> bool:
    place = (job.kind, job.dataset, job.recipe)
    return place == ("latency", chosen.latency_dataset, chosen.protocol)


class RowGroups:
    """Rows of `runs` or `cells`, to be asked for one variant after another.

    A row is a dict of `columns`. `labels` is each dataset's name to its label.
    """

    def __init__(self, frame: pd.DataFrame, columns: list[str]) -> None:
        places = frame[EXPERIMENT].itertuples(index=False, name=None)
        self._rows: dict[tuple, list[dict[str, Any]]] = {}
        for place, row in zip(places, row_dicts(frame[columns]), strict=True):
            self._rows.setdefault(place, []).append(row)
        self.labels = dict(zip(frame["dataset"], frame["dataset_label"], strict=True))

    def of(
        self, kind: str, dataset: str | None, recipe: str | None, variant: str
    ) -> list[dict[str, Any]]:
        """What `rows_of` gives, but without a look at every row."""
        return self._rows.get((kind, dataset, recipe, variant), [])


def rows_of(
    frame: pd.DataFrame, kind: str, dataset: str | None, recipe: str | None, variant: str
) -> pd.DataFrame:
    """Rows of `runs` or `cells` of one variant in one experiment."""
    place = frame[EXPERIMENT]
    return frame[(place == [kind, dataset or "", recipe or "", variant]).all(axis=1)]
