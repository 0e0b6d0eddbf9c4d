"""How stable trainings are over seeds: failures, two groups, and the optimism of the best epoch."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from resnest_bench.chance import is_chance_remark
from resnest_bench.formats import is_known
from resnest_bench.frames.typed import make_frame
from resnest_bench.paths import TRAINING_KINDS, Experiment
from resnest_bench.specs import StudySpec
from resnest_bench.stats.failures import interquartile_mean, typical_spread
from resnest_bench.tables.seed_flags import SeedFlags, describe_flags, flag_seeds
from resnest_bench.tables.selection import KEY, RowGroups, list_experiments
from resnest_bench.tables.values import (
    RUN_COLUMNS,
    Row,
    accuracies_by_seed,
    counted_rows,
    first_known,
)

STATISTICS: dict[str, Callable[[np.ndarray], Any]] = {
    "mean": np.mean,
    "median": np.median,
    "iqm": interquartile_mean,
}
STABILITY_COLUMNS = {
    **dict.fromkeys(["kind", "dataset", "dataset_label", "recipe", "variant"], "str"),
    "n": "Int64",
    **dict.fromkeys([f"accuracy_{name}_percent" for name in STATISTICS], "float64"),
    "accuracy_std_points": "float64",
    "num_diverged": "Int64",
    "failed_seeds": "object",
    "n_without_failed": "Int64",
    **dict.fromkeys([f"without_failed_{name}_percent" for name in STATISTICS], "float64"),
    "without_failed_std_points": "float64",
    "lower_group_seeds": "object",
    "group_gap_points": "float64",
    "groups_p": "float64",
    "best_epoch_optimism_points": "float64",
    **dict.fromkeys(["flags", "status"], "str"),
}

STABILITY_TEXTS = {
    "n": "Number of seeds with an accuracy, failed ones included",
    "accuracy_mean_percent": "Mean test accuracy of the last epoch over these seeds, in %",
    "accuracy_median_percent": "Median, in %",
    "accuracy_iqm_percent": "Interquartile mean: without the lowest and the highest quarter, in %",
    "accuracy_std_points": "Standard deviation over seeds, in points",
    "num_diverged": "Number of seeds that diverged, and so have no accuracy",
    "failed_seeds": "Seeds at chance level, or far below the others",
    "n_without_failed": "Number of the other seeds",
    "without_failed_mean_percent": "Their mean, in %",
    "without_failed_median_percent": "Their median, in %",
    "without_failed_iqm_percent": "Their interquartile mean, in %",
    "without_failed_std_points": "Their standard deviation, in points",
    "lower_group_seeds": "Seeds of the lower of two groups; empty for one group",
    "group_gap_points": "Distance between the means of the groups, in points",
    "groups_p": "p-value of two groups, for one normal distribution; empty below five seeds",
    "best_epoch_optimism_points": "Test accuracy of the best epoch minus that of the last one, mean over "
    "seeds, in points",
    "flags": "Seeds that stand out, in words",
    "status": "ok, or everything that stands out or is missing",
}


def stability_table(study: StudySpec, runs: pd.DataFrame, epochs: pd.DataFrame) -> pd.DataFrame:
    """One row per trained or fine-tuned variant of each experiment; columns STABILITY_COLUMNS.

    A seed has failed if it is at chance level, or far below the other seeds: by Grubbs' test, and by more than
    3.5 typical standard deviations of the experiment's networks (`stats.failures`). `n`, mean,
    median, interquartile mean and std are over all seeds; `without_failed_` over the others. Seeds that
    diverged have no accuracy, and are only counted. The best epoch's optimism is the highest test accuracy of
    a training minus that of its last epoch, averaged over seeds. `flags` describes seeds
    that stand out, `status` also those that diverged or are at chance level.
    """
    row_groups = RowGroups(runs, RUN_COLUMNS)
    optimism = _measure_optimism(epochs)
    trained = dict.fromkeys(
        (job.experiment, job.variant) for job in study.jobs() if job.kind in TRAINING_KINDS
    )
    order = {experiment: place for place, experiment in enumerate(list_experiments(study)[0])}
    groups = sorted(trained, key=lambda group: order[group[0]])
    trainings: dict[Experiment, list[str]] = {}
    for experiment, variant in groups:
        trainings.setdefault(experiment, []).append(variant)
    scales = {one: _typical_spread(row_groups, one, names) for one, names in trainings.items()}
    rows = [
        _make_row(row_groups, experiment, variant, optimism, scales[experiment])
        for experiment, variant in groups
    ]
    return make_frame(rows, STABILITY_COLUMNS)


def add_seed_flags(table: pd.DataFrame, stability: pd.DataFrame) -> pd.DataFrame:
    """Add the flags of `stability` to the status of a table with dataset, recipe and variant."""
    keys = ["dataset", "recipe", "variant"]
    flagged = stability[stability["flags"] != ""]
    if not len(table) or not len(flagged):
        return table
    flags = dict(
        zip(flagged[keys].itertuples(index=False, name=None), flagged["flags"], strict=True)
    )
    added = [flags.get(key, "") for key in table[keys].itertuples(index=False, name=None)]
    status = [
        f"{'' if old == 'ok' else f'{old}; '}{new}" if new else old
        for old, new in zip(table["status"], added, strict=True)
    ]
    return table.assign(status=pd.Series(status, index=table.index, dtype="str"))


def list_flags(
    stability: pd.DataFrame, experiment: Experiment, variants: Sequence[str]
) -> list[str]:
    """One note per flagged variant of an experiment, for comparisons, whose figures include these seeds."""
    rows = stability[
        (stability[list(experiment._fields)] == list(experiment)).all(axis=1)
        & stability["variant"].isin(variants)
        & (stability["flags"] != "")
    ]
    return [
        f"{variant}: {flags} (included in all figures; table stability has the figures without failed seeds)"
        for variant, flags in zip(rows["variant"], rows["flags"], strict=True)
    ]


def _typical_spread(
    row_groups: RowGroups, experiment: Experiment, variants: Sequence[str]
) -> float:
    """The typical spread over seeds of an experiment's networks, in points; NaN with too few."""
    found = [
        list(accuracies_by_seed(row_groups.select(experiment, name)).values()) for name in variants
    ]
    most = max(map(len, found), default=0)
    values_VS = np.full((len(found), most), np.nan)
    for row, values in enumerate(found):
        values_VS[row, : len(values)] = values
    return typical_spread(values_VS)


def _measure_optimism(epochs: pd.DataFrame) -> dict[tuple, float]:
    """The best epoch's test accuracy minus the last one's, in points, by job and seed."""
    tested = epochs[epochs["test_accuracy"].notna()].sort_values("epoch", kind="stable")
    groups = tested.groupby([*KEY, "seed"], sort=False)["test_accuracy"]
    return dict((100 * (groups.max() - groups.last())).items())  # type: ignore[arg-type]


def _make_row(
    row_groups: RowGroups,
    experiment: Experiment,
    variant: str,
    optimism: dict[tuple, float],
    scale: float,
) -> dict[str, Any]:
    rows = row_groups.select(experiment, variant)
    accuracies = accuracies_by_seed(rows)
    flags = flag_seeds(accuracies, scale)
    chance = _find_chance(rows)
    failed = sorted({*flags.failed, *chance})
    without = {seed: value for seed, value in accuracies.items() if seed not in failed}
    gains = [optimism.get((*experiment, variant, seed)) for seed in accuracies]
    known = [gain for gain in gains if gain is not None]
    diverged = [row["seed"] for row in rows if row["status"] == "failed"]
    return {
        **experiment._asdict(),
        "dataset_label": row_groups.labels.get(experiment.dataset),
        "variant": variant,
        "n": len(accuracies),
        **_summarise("accuracy_", list(accuracies.values())),
        "num_diverged": len(diverged),
        "failed_seeds": failed,
        "n_without_failed": len(without),
        **_summarise("without_failed_", list(without.values())),
        "lower_group_seeds": list(flags.lower_group),
        "group_gap_points": flags.gap_points,
        "groups_p": flags.groups_p,
        "best_epoch_optimism_points": float(np.mean(known)) if known else None,
        "flags": "; ".join(describe_flags(flags)),
        "status": "; ".join(_describe(rows, flags, chance, diverged)) or "ok",
    }


def _find_chance(rows: list[Row]) -> list[int]:
    counted = counted_rows(rows, ["status", "seed", "remark"])
    return [
        row["seed"]
        for row in counted
        if is_known(row["remark"]) and is_chance_remark(row["remark"])
    ]


def _describe(
    rows: list[Row], flags: SeedFlags, chance: Sequence[int], diverged: Sequence[int]
) -> list[str]:
    parts = []
    if not len(accuracies_by_seed(rows)):
        parts.append(str(first_known(rows, "reason") or "no result yet"))
    elif diverged:
        parts.append(f"diverged, without an accuracy: seed {', '.join(map(str, diverged))}")
    if chance:
        parts.append(f"at chance level: seed {', '.join(map(str, chance))}")
    return parts + describe_flags(flags)


def _summarise(prefix: str, values: list[float]) -> dict[str, float]:
    if not values:
        return {}
    array = np.array(values)
    figures = {f"{prefix}{name}_percent": float(make(array)) for name, make in STATISTICS.items()}
    if len(values) > 1:
        figures[f"{prefix}std_points"] = float(array.std(ddof=1))
    return figures
