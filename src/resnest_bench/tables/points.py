"""One point a variant, device and setting: any two axes with their intervals, and the front."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtr

from resnest_bench.formats import row_dicts
from resnest_bench.frames.fresh import keep_counted
from resnest_bench.specs import StudySpec
from resnest_bench.stats.intervals import IMAGES, ROUNDS, SEEDS, wilson_interval
from resnest_bench.stats.multiplicity import holm
from resnest_bench.stats.pareto import pareto_front
from resnest_bench.stats.power import ALPHA
from resnest_bench.stats.summary import MIN_FOR_INTERVAL, ROUNDING, confidence_limits
from resnest_bench.tables.axes import Axis, metric_axis
from resnest_bench.tables.fronts import FRONT_COLUMNS, PANEL, estimate_front_probabilities
from resnest_bench.tables.selection import Experiments, main_experiments, select
from resnest_bench.tables.values import DEVICE, device_texts, training_status

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
    """`points_frame` of test accuracy against p50 for the rows of the trade-off table, and its axes.

    The front is among these rows. A study that times nothing has its parameters in place of p50, and
    one whose table has no row, since it fine-tunes alone, all its variants.
    """
    chosen = main_experiments(study)
    x = metric_axis("latency_p50_ms" if chosen.latency else "num_params")
    y = metric_axis("test_accuracy")
    names = select(study, study.tables.tradeoff).variants if study.tables.tradeoff else ()
    if names:
        runs, cells = (frame[frame["variant"].isin(names)] for frame in (runs, cells))
    return points_frame(study, runs, cells, chosen, x, y), x, y


def points_frame(
    study: StudySpec, runs: pd.DataFrame, cells: pd.DataFrame, chosen: Experiments, x: Axis, y: Axis
) -> pd.DataFrame:
    """One row for each variant of the experiments, and for each device and setting it was timed in.

    `x` and `y` are means over seeds (trainings) or rounds (latencies) in the axis' unit, with the
    ends of a 95 % interval, what that is about, and their n. It is that of `confidence_limits` within the
    axis' bounds (NaN below three values and where all are alike); of a test accuracy of one seed the
    binomial one. `_min` and `_max` are the smallest and the largest value: of two, both. A variant that
    lacks a value has a row with NaN and its reason in `status`. `front` is over the rows of one
    device and setting, and so is what `estimate_front_probabilities` adds.
    """
    runs, cells = chosen.runs(runs), chosen.runs(cells)
    names = list(dict.fromkeys(runs["variant"]))
    if not names:
        return pd.DataFrame(columns=COLUMNS)
    sides = [_side(axis, runs, cells) for axis in (x, y)]
    rows = _joined_sides(names, *(_summaries(*side) for side in sides))
    rows = rows.merge(_facts(runs), how="left", on="variant").reindex(
        columns=[*COLUMNS, *MARKS, "trained_on"]
    )
    # Without a latency all of them are gaps, which pandas takes for numbers.
    places = rows[["device", "measured_in", "trained_on"]].astype("str")
    rows["device"] = places["device"].fillna(places["trained_on"]).fillna("")
    rows["measured_in"] = places["measured_in"].fillna("")
    rows["noisy"] = rows["x_noisy"].eq(True) | rows["y_noisy"].eq(True)
    rows["stale"] = rows["x_stale"].eq(True) | rows["y_stale"].eq(True)
    specs = {v.name: v for v in study.variants}
    rows["family"] = [specs[name].architecture for name in rows["variant"]]
    rows["setting"] = [getattr(specs[name], "setting", None) for name in rows["variant"]]
    problems = _statuses(runs)
    rows["status"] = [problems.get(name, "ok") for name in rows["variant"]]
    for name, axis in (("y", y), ("x", x)):
        absent = rows[name].isna() & rows["status"].eq("ok")
        rows.loc[absent, "status"] = f"the study asks for no {axis.label.lower()} of it"
    rows["front"] = _fronts(rows, x, y)
    values = [_values(*side) for side in sides]
    rows[FRONT_COLUMNS] = estimate_front_probabilities(rows, x, y, *values)
    return rows[COLUMNS]


def _joined_sides(names: list[str], x: pd.DataFrame, y: pd.DataFrame) -> pd.DataFrame:
    """A row a variant, and for each device and setting that both sides know, or one of them."""
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
    """Rows of one axis, and what distinguishes them: variant; of a time also device and setting."""
    if axis.source == "training":
        rows = keep_counted(runs[runs["kind"] != "latency"], ["variant"])
        return rows, ["variant"], axis
    if axis.source == "latency":
        rows = keep_counted(runs[runs["kind"] == "latency"], ["variant"])
        primary = cells[cells["primary"].eq(True)]
        texts = _setting_texts(primary).groupby([primary["variant"], primary["seed"]]).first()
        keys = pd.MultiIndex.from_frame(rows[["variant", "seed"]])
        rows = rows.assign(
            device=device_texts(rows),
            measured_in=texts.reindex(keys).to_numpy() if len(texts) else "",
            noisy=_noisy_rounds(primary).reindex(keys).eq(True).to_numpy(),
        )
        return rows, ["variant", *PANEL], axis
    rows = cells[cells["available"].eq(True) & (cells["batch_size"] == axis.batch_size)]
    rows = keep_counted(rows, ["variant"])
    rows = rows.assign(device=device_texts(rows), measured_in=_setting_texts(rows))
    return rows, ["variant", *PANEL], axis


def _values(rows: pd.DataFrame, keys: list[str], axis: Axis) -> pd.DataFrame:
    """A row for each of `keys` and a column a seed or round, in the axis' unit."""
    known = rows.dropna(subset=[axis.column])
    values = known.assign(value=known[axis.column].astype(float) * axis.factor)
    return values.pivot_table(index=keys, columns="seed", values="value", sort=False)


def _setting_texts(cells: pd.DataFrame) -> pd.Series:
    return cells["precision"] + ", " + cells["layout"] + ", " + cells["mode"]


def _noisy_rounds(primary: pd.DataFrame) -> pd.Series:
    return primary["noisy"].groupby([primary["variant"], primary["seed"]]).any()


def _summaries(rows: pd.DataFrame, keys: list[str], axis: Axis) -> pd.DataFrame:
    """`statistics.summarise` of a column for all groups at once.

    Columns '', '_low', '_high', '_about', '_n', '_min' and '_max'.
    """
    known = rows.dropna(subset=[axis.column])
    grouped = known.assign(value=known[axis.column].astype(float) * axis.factor).groupby(
        keys, sort=False
    )
    found = grouped["value"].agg(["mean", "std", "count", "min", "max"])
    mean, std, count = (found[c].to_numpy(dtype=float) for c in ("mean", "std", "count"))
    low, high = confidence_limits(mean, std, count, axis.bounds)
    marks = known.assign(
        _stale=known["status"].eq("stale"), _noisy=known.get("noisy", False)
    ).groupby(keys, sort=False)[["_stale", "_noisy"]]
    about = np.where(np.isnan(low), "", SEEDS if axis.source == "training" else ROUNDS)
    frame = pd.DataFrame(
        {
            "": found["mean"],
            "_low": low,
            "_high": high,
            "_about": about,
            "_n": found["count"],
            "_min": found["min"],
            "_max": found["max"],
            **marks.any(),
        },
        index=found.index,
    )
    if axis.column == "test_accuracy":
        _add_binomial(frame, grouped["num_test"].first(), axis.factor)
    return frame.reset_index()


def _add_binomial(frame: pd.DataFrame, num_test: pd.Series, factor: float) -> None:
    """Of one seed alone the interval of its network on new test images: better than no bar."""
    single = num_test[frame["_n"].eq(1) & num_test.gt(0).eq(True)].astype(int)
    for size, rows in single.groupby(single):
        correct = (frame.loc[rows.index, ""] / factor * size).round()
        found = wilson_interval(correct.to_numpy(), int(size))
        frame.loc[rows.index, "_low"] = factor * found.low
        frame.loc[rows.index, "_high"] = factor * found.high
        frame.loc[rows.index, "_about"] = IMAGES


def _facts(runs: pd.DataFrame) -> pd.DataFrame:
    """Parameters, memory in MiB and the device of the training, by variant."""
    by_variant = runs.groupby("variant", sort=False)
    memory = by_variant["peak_memory_bytes"].max().astype(float)
    memory = memory.fillna(by_variant["peak_rss_bytes"].max().astype(float)) / 2**20
    trained = runs[(runs["kind"] != "latency") & runs["device_kind"].notna()]
    places = trained[["variant", *DEVICE]].drop_duplicates()
    devices = device_texts(places).groupby(places["variant"]).agg(" and ".join)
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
    """What is wrong with a variant, for those with which something is."""
    remarked = runs["remark"].fillna("") != ""
    bad = runs.loc[(runs["status"] != "ok") | remarked, "variant"].unique()
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in bad}
    columns = ["variant", "kind", "seed", "status", "reason", "remark"]
    for row in row_dicts(runs.loc[runs["variant"].isin(bad), columns]):
        rows[row["variant"]].append(row)
    return {name: _status(found) for name, found in rows.items()}


def _status(rows: list[dict[str, Any]]) -> str:
    trained = [row for row in rows if row["kind"] != "latency"]
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
    turned = rows.assign(
        x=rows["x"] if x.better == "lower" else -rows["x"],
        y=rows["y"] if y.better == "higher" else -rows["y"],
    )
    fronts = [pareto_front(group, "x", "y") for _, group in turned.groupby(PANEL, sort=False)]
    front: pd.Series = pd.concat(fronts).reindex(rows.index)
    return front


# What "not significantly below the best" rests on, for whoever shows such a list.
TIED_TEXT = (
    "paired t-tests on the seeds in common, nominal 5 % with Holm's correction; the best was picked by "
    "the same seeds, which is not corrected for"
)


@dataclass(frozen=True)
class Choice:
    """The best variant within a budget, and those that aren't significantly below it.

    `unsure` names the variants whose mean keeps the limit of x while their interval reaches beyond it.
    """

    row: Mapping[str, Any]
    tied: list[str]
    unsure: list[str] = field(default_factory=list)


def best_within(
    points: pd.DataFrame,
    x: Axis,
    y: Axis,
    x_limit: float | None,
    memory_limit_mib: float | None,
    trained: pd.DataFrame,
    whole_interval: bool = False,
) -> Choice | None:
    """The row with the best mean y whose x and memory keep the limits; None where none does.

    A limit of None is no limit; a variant whose memory is unknown keeps no memory limit. The mean of x
    has to keep its limit; with `whole_interval` the interval's far end too, which one repeat alone does
    not have. `trained`
    holds the rows of `runs` of the trainings: where y is the test accuracy, `tied` names
    the other candidates that are not significantly below the best: by the paired t-test of each, with
    Holm's correction over the candidates, at a nominal 5 %. So too those with fewer than three seeds in
    common with it, or with the very same difference in each: there nothing tells the spread.

    The best was picked by these same seeds, which the correction does not know of. So the list leaves
    out a network that is as good as the best more often than in 5 % of all studies.
    """
    fits = points.dropna(subset=["x", "y"])
    unsure: list[str] = []
    if x_limit is not None:
        fits = fits[_within(fits["x"], x, x_limit)]
        ends = fits["x_low" if x.better == "higher" else "x_high"]
        sure = _within(ends, x, x_limit)
        unsure = list(dict.fromkeys(fits.loc[ends.notna() & ~sure, "variant"]))
        fits = fits[sure] if whole_interval else fits
    if memory_limit_mib is not None:
        fits = fits[fits["memory_mib"] <= memory_limit_mib]
    if not len(fits):
        return None
    place: Any = fits["y"].idxmin() if y.better == "lower" else fits["y"].idxmax()
    best = fits.loc[place]
    others = fits.loc[fits["variant"] != best["variant"], "variant"].unique()
    alike = []
    if y.column == "test_accuracy" and len(others):
        alike = _find_tied(trained, best["variant"], others)
    return Choice(best.to_dict(), alike, unsure)


def _within(values: pd.Series, x: Axis, limit: float) -> pd.Series:
    """Whether each value keeps the limit; NaN keeps none."""
    return values >= limit if x.better == "higher" else values <= limit


def _find_tied(trained: pd.DataFrame, best: str, others: Sequence[str]) -> list[str]:
    """`intervals.seed_p_value` of `best` minus each of `others` at once, with Holm's correction."""
    fresh = keep_counted(trained, ["variant"])
    accuracy = fresh.pivot_table(index="variant", columns="seed", values="test_accuracy")
    gaps = -accuracy.loc[list(others)].sub(accuracy.loc[best], axis="columns")
    n, mean = gaps.notna().sum(axis="columns"), gaps.mean(axis="columns")
    std = gaps.std(axis="columns", ddof=1)
    seen = n.ge(MIN_FOR_INTERVAL) & std.gt(ROUNDING * mean.abs())
    t = mean.abs() / (std / np.sqrt(n)).where(seen)
    p_values = holm(2 * stdtr((n - 1).clip(lower=1), -t).to_numpy())
    # A NaN is no p-value: such a candidate isn't significant either.
    alike: list[str] = gaps.index[~((p_values <= ALPHA) & (mean > 0))].tolist()
    return alike
