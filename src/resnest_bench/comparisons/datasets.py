"""Networks over several data sets of one study: mean ranks, their test, and performance profiles."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from resnest_bench.formats import row_dicts
from resnest_bench.frames.fresh import keep_counted
from resnest_bench.frames.typed import make_frame
from resnest_bench.paths import Experiment
from resnest_bench.records.metrics import METRICS
from resnest_bench.specs import StudySpec
from resnest_bench.specs.scores import metric_column, metric_factor
from resnest_bench.stats.power import ALPHA
from resnest_bench.stats.ranks import (
    FEW_DATASETS,
    critical_difference,
    friedman_p_value,
    performance_profile,
    rank_values,
)
from resnest_bench.words import list_names

RANK_COLUMNS = {
    **dict.fromkeys(["metric", "variant"], "str"),
    "num_datasets": "Int64",
    **dict.fromkeys(["mean_rank", "best_mean_rank_difference", "critical_difference"], "float64"),
    "standing": "str",
    **dict.fromkeys(["datasets", "ranks"], "object"),
}
PROFILE_COLUMNS = {"variant": "str", "threshold": "float64", "share": "float64", "runs": "Int64"}
LEADS, NOT_WORSE, WORSE = "best mean rank", "not significantly worse", "significantly worse"
NOT_TESTED = "not tested"
THRESHOLDS = 101


@dataclass(frozen=True, eq=False)
class DatasetComparison:
    """Networks over data sets, in the study's headline metric.

    `ranks` has RANK_COLUMNS and `profile` PROFILE_COLUMNS. `p` is that of the test that all have the same
    mean rank, NaN without one. `notes` say what is left out, and how little a few data sets can show.
    """

    ranks: pd.DataFrame
    profile: pd.DataFrame
    p: float
    experiments: tuple[Experiment, ...]
    notes: tuple[str, ...]


def choose_experiments(study: StudySpec) -> list[Experiment]:
    """One experiment for each dataset: trainings, or fine-tunings if these are on more data sets.

    It is the first one of its dataset, or that of a recipe that all of these data sets share.
    """
    by_kind: dict[str, dict[str, dict[Experiment, None]]] = {"train": {}, "finetune": {}}
    for job in study.jobs():
        if job.kind in by_kind:
            by_kind[job.kind].setdefault(job.dataset, {})[job.experiment] = None
    by_dataset = max(by_kind.values(), key=len)
    shared = [
        recipe
        for recipe in dict.fromkeys(e.recipe for each in by_dataset.values() for e in each)
        if all(any(e.recipe == recipe for e in each) for each in by_dataset.values())
    ]
    return [
        next((e for e in each if shared and e.recipe == shared[0]), next(iter(each)))
        for each in by_dataset.values()
    ]


def compare_datasets(study: StudySpec, runs: pd.DataFrame) -> DatasetComparison | None:
    """Rank the networks within each dataset of the study; None below two data sets.

    A network counts if it has a result on every dataset. Ranks are those of the means over seeds; a
    critical difference (Nemenyi's, as in Demsar 2006) is for all pairs of networks together, and holds for
    new data sets like these. `standing` compares with the best mean rank.
    """
    experiments = choose_experiments(study)
    if len(experiments) < 2:
        return None
    metric = study.headline_metric
    values = {e: _values_by_variant(runs, e, metric) for e in experiments}
    experiments = [e for e in experiments if values[e]]
    names = [n for n in study.variant_names if all(n in values[e] for e in experiments)]
    missing = [
        n for n in study.variant_names if n not in names and any(n in v for v in values.values())
    ]
    notes = (
        [f"left out, without a result on each dataset: {list_names(missing, 6)}"] if missing else []
    )
    if len(experiments) < 2 or len(names) < 2:
        notes.append("there are fewer than two networks with a result on two data sets")
        empty = make_frame([], RANK_COLUMNS), make_frame([], PROFILE_COLUMNS)
        return DatasetComparison(*empty, np.nan, tuple(experiments), tuple(notes))
    if len(experiments) < FEW_DATASETS:
        notes.append(
            f"{len(experiments)} data sets are too few to generalise to others: with fewer than "
            f"{FEW_DATASETS} a test of ranks finds hardly anything"
        )
    notes += _note_further_sets(study, experiments)
    higher = METRICS[metric_column(metric)].better == "higher"
    means_DV = np.array([[values[e][name].mean() for name in names] for e in experiments])
    ranks_DV = rank_values(means_DV, higher)
    return DatasetComparison(
        _ranks_frame(names, experiments, ranks_DV, metric),
        _profile_frame({n: np.concatenate([values[e][n] for e in experiments]) for n in names}),
        friedman_p_value(ranks_DV),
        tuple(experiments),
        tuple(notes),
    )


def _note_further_sets(study: StudySpec, experiments: list[Experiment]) -> list[str]:
    """Test sets of networks that were trained on other data: their ranks are not independent of these."""
    shown = {experiment.dataset for experiment in experiments}
    return [
        f"{block.dataset} is a further test set of the networks trained on {block.trained_on}, and no independent data "
        "set: p-values are too small"
        for block in study.imported
        if block.trained_on is not None and block.dataset in shown
    ]


def _values_by_variant(
    runs: pd.DataFrame, experiment: Experiment, metric: str
) -> dict[str, np.ndarray]:
    """The values that count over seeds, in the unit for readers, by variant."""
    column, factor = metric_column(metric), metric_factor(metric)
    rows = runs[
        runs["kind"].eq(experiment.kind)
        & runs["dataset"].eq(experiment.dataset)
        & runs["recipe"].eq(experiment.recipe)
    ]
    counted = keep_counted(rows, ["variant"]).dropna(subset=[column])
    return {
        str(name): factor * group[column].to_numpy(dtype=float)
        for name, group in counted.groupby("variant", sort=False)
    }


def _ranks_frame(
    names: list[str], experiments: list[Experiment], ranks_DV: np.ndarray, metric: str
) -> pd.DataFrame:
    difference = critical_difference(len(names), len(experiments))
    mean_ranks = ranks_DV.mean(axis=0)
    # Without a difference of any two, no pair is tested further.
    differ = friedman_p_value(ranks_DV) <= ALPHA
    rows: list[dict[str, Any]] = []
    for index in np.argsort(mean_ranks, kind="stable"):
        behind = float(mean_ranks[index] - mean_ranks.min())
        worse = differ and behind > difference
        rows.append(
            {
                "metric": metric,
                "variant": names[index],
                "num_datasets": len(experiments),
                "mean_rank": float(mean_ranks[index]),
                "best_mean_rank_difference": behind,
                "critical_difference": difference,
                "standing": (WORSE if worse else NOT_WORSE) if rows else LEADS,
                "datasets": [experiment.dataset for experiment in experiments],
                "ranks": ranks_DV[:, index].tolist(),
            }
        )
    return make_frame(rows, RANK_COLUMNS)


def _profile_frame(values: Mapping[str, np.ndarray]) -> pd.DataFrame:
    every = np.concatenate(list(values.values()))
    thresholds = np.linspace(every.min(), every.max(), THRESHOLDS)
    length = max(map(len, values.values()))
    padded = np.array(
        [np.pad(v, (0, length - len(v)), constant_values=np.nan) for v in values.values()]
    )
    shares = performance_profile(padded, thresholds)
    rows = [
        {"variant": name, "threshold": threshold, "share": share, "runs": len(values[name])}
        for name, line in zip(values, shares, strict=True)
        for threshold, share in zip(thresholds, line, strict=True)
    ]
    return make_frame(rows, PROFILE_COLUMNS)


def list_groups(ranks: pd.DataFrame) -> list[tuple[float, float]]:
    """Mean ranks (first, last) of the groups within one critical difference; none within another."""
    ordered = sorted(row["mean_rank"] for row in row_dicts(ranks))
    difference = float(ranks["critical_difference"].iloc[0])
    groups: list[tuple[float, float]] = []
    for start in ordered:
        end = max(rank for rank in ordered if rank <= start + difference)
        if end > start and (not groups or end > groups[-1][1]):
            groups.append((start, end))
    return groups
