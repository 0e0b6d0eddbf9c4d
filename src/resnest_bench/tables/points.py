"""One point a variant, device and setting: any two axes with their intervals, and the front."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from resnest_bench.formats import row_dicts
from resnest_bench.frames.fresh import keep_counted
from resnest_bench.frames.predictions import NOT_KEPT
from resnest_bench.paths import TRAINING_KINDS
from resnest_bench.records.metrics import SCORES
from resnest_bench.specs import StudySpec
from resnest_bench.specs.scores import metric_column
from resnest_bench.stats.intervals import IMAGES, ROUNDS, SEEDS, wilson_interval
from resnest_bench.stats.pareto import pareto_front
from resnest_bench.stats.summary import confidence_limits
from resnest_bench.tables.axes import Axis, metric_axis
from resnest_bench.tables.fronts import FRONT_COLUMNS, PANEL, estimate_front_probabilities
from resnest_bench.tables.selection import Experiments, main_experiments, select
from resnest_bench.tables.values import DEVICE, name_devices, name_setting, training_status

SETTING = ["precision", "layout", "mode"]
COLUMNS = [
    "variant",
    "family",
    "setting",
    "num_params",
    *PANEL,
    "x",
    "x_low",
    "x_high",
    "x_about",
    "x_n",
    "x_min",
    "x_max",
    "y",
    "y_low",
    "y_high",
    "y_about",
    "y_n",
    "y_min",
    "y_max",
    "memory_mib",
    "noisy",
    "stale",
    "front",
    *FRONT_COLUMNS,
    "status",
]


MARKS = ["x_noisy", "x_stale", "y_noisy", "y_stale"]


def headline_points(
    study: StudySpec, runs: pd.DataFrame, cells: pd.DataFrame
) -> tuple[pd.DataFrame, Axis, Axis]:
    """`points_frame` of the headline metric against p50 for the rows of the trade-off table, and its axes.

    The front is among these rows. A study without latencies has parameters instead of p50. A study
    whose table has no row, since it only fine-tunes, has all its variants.
    """
    chosen = main_experiments(study)
    x = metric_axis("latency_p50_ms" if chosen.latency else "num_params")
    y = metric_axis(metric_column(study.headline_metric))
    names = select(study, study.tables.tradeoff).variants if study.tables.tradeoff else ()
    if names:
        runs, cells = (frame[frame["variant"].isin(names)] for frame in (runs, cells))
    return points_frame(study, runs, cells, chosen, x, y), x, y


def points_frame(
    study: StudySpec, runs: pd.DataFrame, cells: pd.DataFrame, chosen: Experiments, x: Axis, y: Axis
) -> pd.DataFrame:
    """One row per variant of the experiments, and per device and setting in which it was timed.

    `x` and `y` are means over seeds (trainings) or rounds (latencies) in the unit of the axis, with a
    95 % interval, its population and n. The interval is that of `confidence_limits` within the bounds of
    the axis (NaN below three values and if all are equal). For the test accuracy of one seed it is the
    binomial interval. `_min` and `_max` are the smallest and the largest value. A variant without a value
    has a row with NaN, and the reason in `status`. `front` and the columns of
    `estimate_front_probabilities` compare the rows of one device and setting.
    """
    runs, cells = chosen.runs(runs), chosen.runs(cells)
    names = list(dict.fromkeys(runs["variant"]))
    if not names:
        return pd.DataFrame(columns=COLUMNS)
    sides = [_side(axis, runs, cells) for axis in (x, y)]
    rows = _join_sides(names, *(_summaries(*side) for side in sides))
    rows = rows.merge(_facts(runs), how="left", on="variant").reindex(
        columns=[*COLUMNS, *MARKS, "trained_on"]
    )
    # Without a latency all are missing, and pandas would make numbers of them.
    texts = rows[["device", "measured_in", "trained_on"]].astype("str")
    rows["device"] = texts["device"].fillna(texts["trained_on"]).fillna("")
    rows["measured_in"] = texts["measured_in"].fillna("")
    rows["noisy"] = rows["x_noisy"].eq(True) | rows["y_noisy"].eq(True)
    rows["stale"] = rows["x_stale"].eq(True) | rows["y_stale"].eq(True)
    specs = {v.name: v for v in study.variants}
    rows["family"] = [specs[name].architecture for name in rows["variant"]]
    rows["setting"] = [getattr(specs[name], "setting", None) for name in rows["variant"]]
    problems = _statuses(runs)
    rows["status"] = [problems.get(name, "ok") for name in rows["variant"]]
    for name, axis in (("y", y), ("x", x)):
        absent = rows[name].isna() & rows["status"].eq("ok")
        why = f"the study does not measure its {axis.label.lower()}"
        rows.loc[absent, "status"] = NOT_KEPT if axis.column in SCORES else why
    rows["front"] = _fronts(rows, x, y)
    values = [_values(*side) for side in sides]
    rows[FRONT_COLUMNS] = estimate_front_probabilities(rows, x, y, *values)
    return rows[COLUMNS]


def _join_sides(names: list[str], x: pd.DataFrame, y: pd.DataFrame) -> pd.DataFrame:
    """One row per variant, and per device and setting in which either side has values."""
    rows = pd.DataFrame({"variant": names})
    for name, side in (("x", x), ("y", y)):
        renamed = side.rename(
            columns={c: f"{name}{c}" for c in side.columns if c.startswith("_") or not c}
        )
        shared = ["variant", *(c for c in PANEL if c in rows and c in renamed)]
        rows = rows.merge(renamed, how="left", on=shared)
    return rows


_Side = tuple[pd.DataFrame, list[str], Axis]


def _side(axis: Axis, runs: pd.DataFrame, cells: pd.DataFrame) -> _Side:
    """The rows of one axis and their keys: variant and, for a time, also device and setting."""
    if axis.source == "training":
        rows = keep_counted(runs[runs["kind"].isin(TRAINING_KINDS)], ["variant"])
        return rows, ["variant"], axis
    if axis.source == "latency":
        rows = keep_counted(runs[runs["kind"] == "latency"], ["variant"])
        primary = cells[cells["primary"].eq(True)]
        texts = _setting_texts(primary).groupby([primary["variant"], primary["seed"]]).first()
        keys = pd.MultiIndex.from_frame(rows[["variant", "seed"]])
        rows = rows.assign(
            device=name_devices(rows),
            measured_in=texts.reindex(keys).to_numpy() if len(texts) else "",
            noisy=_noisy_rounds(primary).reindex(keys).eq(True).to_numpy(),
        )
        return rows, ["variant", *PANEL], axis
    rows = cells[cells["available"].eq(True) & (cells["batch_size"] == axis.batch_size)]
    rows = keep_counted(rows, ["variant"])
    rows = rows.assign(device=name_devices(rows), measured_in=_setting_texts(rows))
    return rows, ["variant", *PANEL], axis


def _values(rows: pd.DataFrame, keys: list[str], axis: Axis) -> pd.DataFrame:
    """One row per combination of `keys` and one column per seed or round, in the unit of the axis."""
    complete = rows.dropna(subset=[axis.column])
    values = complete.assign(value=complete[axis.column].astype(float) * axis.factor)
    return values.pivot_table(index=keys, columns="seed", values="value", sort=False)


def _setting_texts(cells: pd.DataFrame) -> pd.Series:
    texts = map(name_setting, cells["precision"], cells["layout"], cells["mode"])
    return pd.Series(list(texts), index=cells.index, dtype="str")


def _noisy_rounds(primary: pd.DataFrame) -> pd.Series:
    return primary["noisy"].groupby([primary["variant"], primary["seed"]]).any()


def _summaries(rows: pd.DataFrame, keys: list[str], axis: Axis) -> pd.DataFrame:
    """`summarise` of a column for all groups at once.

    The columns are '', '_low', '_high', '_about', '_n', '_min' and '_max'.
    """
    complete = rows.dropna(subset=[axis.column])
    grouped = complete.assign(value=complete[axis.column].astype(float) * axis.factor).groupby(
        keys, sort=False
    )
    moments = grouped["value"].agg(["mean", "std", "count", "min", "max"])
    mean, std, count = (moments[c].to_numpy(dtype=float) for c in ("mean", "std", "count"))
    low, high = confidence_limits(mean, std, count, axis.bounds)
    marks = complete.assign(
        _stale=complete["status"].eq("stale"), _noisy=complete.get("noisy", False)
    ).groupby(keys, sort=False)[["_stale", "_noisy"]]
    about = np.where(np.isnan(low), "", SEEDS if axis.source == "training" else ROUNDS)
    frame = pd.DataFrame(
        {
            "": moments["mean"],
            "_low": low,
            "_high": high,
            "_about": about,
            "_n": moments["count"],
            "_min": moments["min"],
            "_max": moments["max"],
            **marks.any(),
        },
        index=moments.index,
    )
    if axis.column == "test_accuracy":
        _add_binomial(frame, grouped["num_test"].first(), axis.factor)
    return frame.reset_index()


def _add_binomial(frame: pd.DataFrame, num_test: pd.Series, factor: float) -> None:
    """For a single seed, use the interval of its network on new test images: better than none."""
    single = num_test[frame["_n"].eq(1) & num_test.gt(0).eq(True)].astype(int)
    for size, rows in single.groupby(single):
        correct = (frame.loc[rows.index, ""] / factor * size).round()
        binomial = wilson_interval(correct.to_numpy(), int(size))
        frame.loc[rows.index, "_low"] = factor * binomial.low
        frame.loc[rows.index, "_high"] = factor * binomial.high
        frame.loc[rows.index, "_about"] = IMAGES


def _facts(runs: pd.DataFrame) -> pd.DataFrame:
    """Parameters, memory in MiB and training device by variant."""
    by_variant = runs.groupby("variant", sort=False)
    memory = by_variant["peak_memory_bytes"].max().astype(float)
    memory = memory.fillna(by_variant["peak_rss_bytes"].max().astype(float)) / 2**20
    trained = runs[(runs["kind"].isin(TRAINING_KINDS)) & runs["device_kind"].notna()]
    used = trained[["variant", *DEVICE]].drop_duplicates()
    devices = name_devices(used).groupby(used["variant"]).agg(" and ".join)
    return (
        pd.DataFrame(
            {
                "num_params": by_variant["num_params"].first(),
                "memory_mib": memory,
                "trained_on": devices,
            }
        )
        .rename_axis("variant")
        .reset_index()
    )


def _statuses(runs: pd.DataFrame) -> Mapping[str, str]:
    """Problems by variant, for the variants that have any."""
    remarked = runs["remark"].fillna("") != ""
    bad = runs.loc[(runs["status"] != "ok") | remarked, "variant"].unique()
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in bad}
    columns = ["variant", "kind", "seed", "status", "reason", "remark"]
    for row in row_dicts(runs.loc[runs["variant"].isin(bad), columns]):
        rows[row["variant"]].append(row)
    return {name: _status(problems) for name, problems in rows.items()}


def _status(rows: list[dict[str, Any]]) -> str:
    trained = [row for row in rows if row["kind"] in TRAINING_KINDS]
    parts = training_status(trained) if trained else []
    parts += [
        f"latency round {row['seed']} {row['status']}: {row['reason']}"
        for row in rows
        if row["kind"] == "latency" and row["status"] != "ok"
    ]
    return "; ".join(parts)


def _fronts(rows: pd.DataFrame, x: Axis, y: Axis) -> pd.Series:
    if x.better is None or y.better is None:
        return pd.Series(False, index=rows.index)
    oriented = rows.assign(
        x=rows["x"] if x.better == "lower" else -rows["x"],
        y=rows["y"] if y.better == "higher" else -rows["y"],
    )
    fronts = [pareto_front(group, "x", "y") for _, group in oriented.groupby(PANEL, sort=False)]
    front: pd.Series = pd.concat(fronts).reindex(rows.index)
    return front


@dataclass(frozen=True)
class Choice:
    """The best variant within a budget, and all `candidates` within it.

    `unsure` names the variants whose mean is within the limit of x but whose interval is not.
    """

    row: Mapping[str, Any]
    candidates: list[str]
    unsure: list[str] = field(default_factory=list)


def choose_best(
    points: pd.DataFrame,
    x: Axis,
    y: Axis,
    x_limit: float | None,
    memory_limit_mib: float | None,
    whole_interval: bool = False,
) -> Choice | None:
    """Choose the variant with the best mean y whose x and memory are within the limits; None without one.

    None stands for no limit. A variant of unknown memory is within no memory limit. The mean of x must
    be within the limit; with `whole_interval` its whole interval, which a single repeat does not have.
    """
    fits = points.dropna(subset=["x", "y"])
    unsure: list[str] = []
    if x_limit is not None:
        fits = fits[_is_within(fits["x"], x, x_limit)]
        ends = fits["x_low" if x.better == "higher" else "x_high"]
        sure = _is_within(ends, x, x_limit)
        unsure = list(dict.fromkeys(fits.loc[ends.notna() & ~sure, "variant"]))
        fits = fits[sure] if whole_interval else fits
    if memory_limit_mib is not None:
        fits = fits[fits["memory_mib"] <= memory_limit_mib]
    if not len(fits):
        return None
    label: Any = fits["y"].idxmin() if y.better == "lower" else fits["y"].idxmax()
    best = fits.loc[label]
    return Choice(best.to_dict(), list(dict.fromkeys(fits["variant"])), unsure)


def _is_within(values: pd.Series, x: Axis, limit: float) -> pd.Series:
    """Whether each value is within the limit; NaN is not."""
    return values >= limit if x.better == "higher" else values <= limit
