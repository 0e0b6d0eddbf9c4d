"""One point a variant, device and setting: any two axes with their intervals, and the front."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtr

from resnest_bench.specs import StudySpec
from resnest_bench.tables.axes import Axis, metric_axis
from resnest_bench.tables.cells import DEVICE, device_texts, training_status
from resnest_bench.tables.formats import row_dicts
from resnest_bench.tables.intervals import IMAGES, ROUNDS, SEEDS, wilson_interval
from resnest_bench.tables.pairs import holm
from resnest_bench.tables.panel_fronts import FRONT_COLUMNS, PANEL, front_probabilities_of
from resnest_bench.tables.power import ALPHA
from resnest_bench.tables.selection import select
from resnest_bench.tables.statistics import ROUNDING, half_widths, pareto_front

SETTING = ["precision", "layout", "mode"]
COLUMNS = [
    "variant", "family", "setting", "num_params", *PANEL, "x", "x_low", "x_high", "x_about", "x_n",
    "y", "y_low", "y_high", "y_about", "y_n", "memory_mib", "noisy", "stale", "front", *FRONT_COLUMNS,
    "status",
]  # fmt: skip


MARKS = ["x_noisy", "x_stale", "y_noisy", "y_stale"]


@dataclass(frozen=True)
class Experiments:
    """Which trainings or fine-tunings and which latencies a chart is about; None for none."""

    training: tuple[str, str, str] | None  # kind, dataset, recipe
    latency: tuple[str, str] | None  # dataset, protocol

    def runs(self, frame: pd.DataFrame, kinds: Sequence[str] = ()) -> pd.DataFrame:
        """Rows of `frame` (runs or cells) that belong here, or those of some kinds of them."""
        wanted = [self.training, self.latency and ("latency", *self.latency)]
        keep = pd.Series(False, index=frame.index)
        for place in filter(None, wanted):
            if not kinds or place[0] in kinds:
                kind, dataset, recipe = place
                keep |= (
                    (frame["kind"] == kind)
                    & (frame["dataset"] == dataset)
                    & (frame["recipe"] == recipe)
                )
        return frame[keep]


def experiments_of(study: StudySpec) -> tuple[list[tuple[str, str, str]], list[tuple[str, str]]]:
    """(kind, dataset, recipe) of all trainings and (dataset, protocol) of all latencies.

    The ones that the study's trade-off table is about come first.
    """
    jobs = study.jobs()
    trained = list(
        dict.fromkeys((j.kind, j.dataset, j.recipe) for j in jobs if j.kind != "latency")
    )
    timed = list(dict.fromkeys((j.dataset, j.recipe) for j in jobs if j.kind == "latency"))
    if study.tables.tradeoff:
        chosen = select(study, study.tables.tradeoff)
        trained.sort(key=lambda e: e != ("train", chosen.dataset, chosen.recipe))
        timed.sort(key=lambda e: e != (chosen.latency_dataset, chosen.protocol))
    return trained, timed


def headline_points(
    study: StudySpec, runs: pd.DataFrame, cells: pd.DataFrame
) -> tuple[pd.DataFrame, Axis, Axis]:
    """`points_frame` of test accuracy against p50 for the rows of the trade-off table, and its axes.

    The front is among these rows.
    """
    trained, timed = experiments_of(study)
    chosen = Experiments(trained[0] if trained else None, timed[0] if timed else None)
    x, y = metric_axis("latency_p50_ms"), metric_axis("test_accuracy")
    if study.tables.tradeoff:
        names = select(study, study.tables.tradeoff).variants
        runs, cells = (frame[frame["variant"].isin(names)] for frame in (runs, cells))
    return points_frame(study, runs, cells, chosen, x, y), x, y


def points_frame(
    study: StudySpec, runs: pd.DataFrame, cells: pd.DataFrame, chosen: Experiments, x: Axis, y: Axis
) -> pd.DataFrame:
    """One row for each variant of the experiments, and for each device and setting it was timed in.

    `x` and `y` are means over seeds (trainings) or rounds (latencies) in the axis' unit, with the
    ends of a 95 % interval, what that is about, and their n. It is Student's of the mean (NaN where
    all are alike); of a test accuracy of one seed the binomial one; else NaN below two. A variant
    that lacks a value has a row with NaN and its reason in `status`. `front` is over the rows of one
    device and setting, and so is what `front_probabilities_of` adds.
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
    rows["device"] = rows["device"].fillna(rows["trained_on"]).fillna("")
    rows["measured_in"] = rows["measured_in"].fillna("")
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
    rows[FRONT_COLUMNS] = front_probabilities_of(rows, x, y, *values)
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


def _fresh(rows: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """The ok rows of each group; only where there is none, its stale ones (as `cells.shown`)."""
    usable = rows[rows["status"].isin(["ok", "stale"])]
    ok = usable["status"].eq("ok")
    any_ok = ok.groupby([usable[key] for key in keys]).transform("any")
    return usable[ok | ~any_ok]


_Side = tuple[pd.DataFrame, list[str], Axis]


def _side(axis: Axis, runs: pd.DataFrame, cells: pd.DataFrame) -> _Side:
    """Rows of one axis, and what they are told apart by: variant; of a time also device and setting."""
    if axis.source == "training":
        rows = _fresh(runs[runs["kind"] != "latency"], ["variant"])
        return rows, ["variant"], axis
    if axis.source == "latency":
        rows = _fresh(runs[runs["kind"] == "latency"], ["variant"])
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
    rows = _fresh(rows, ["variant"])
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

    Columns '', '_low', '_high', '_about' and '_n'.
    """
    known = rows.dropna(subset=[axis.column])
    grouped = known.assign(value=known[axis.column].astype(float) * axis.factor).groupby(
        keys, sort=False
    )
    found = grouped["value"].agg(["mean", "std", "count"])
    half = half_widths(found["mean"], found["std"], found["count"])
    marks = known.assign(
        _stale=known["status"].eq("stale"), _noisy=known.get("noisy", False)
    ).groupby(keys, sort=False)[["_stale", "_noisy"]]
    summary = {"": found["mean"], "_low": found["mean"] - half, "_high": found["mean"] + half}
    about = half.notna().map({True: SEEDS if axis.source == "training" else ROUNDS, False: ""})
    frame = pd.DataFrame({**summary, "_about": about, "_n": found["count"], **marks.any()})
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
    return pd.DataFrame(
        {"num_params": by_variant["num_params"].first(), "memory_mib": memory, "trained_on": devices}
    ).rename_axis("variant").reset_index()  # fmt: skip


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


@dataclass(frozen=True)
class Choice:
    """The best variant within a budget, and those that the seeds can't tell from it."""

    row: Mapping[str, Any]
    not_told_apart: list[str]


def best_within(
    points: pd.DataFrame,
    x: Axis,
    y: Axis,
    x_limit: float | None,
    memory_limit_mib: float | None,
    trained: pd.DataFrame,
) -> Choice | None:
    """The row with the best mean y whose x and memory keep the limits; None where none does.

    A limit of None is no limit; a variant whose memory is unknown keeps no memory limit. `trained`
    holds the rows of `runs` of the trainings: where y is the test accuracy, `not_told_apart` names
    the other candidates that are not shown to be worse: by the paired t-test of each against the best,
    at 5 % for all of them together (Holm). So too those with fewer than two seeds in common with it,
    or with the very same difference in each: there nothing tells the spread.
    """
    fits = points.dropna(subset=["x", "y"])
    if x_limit is not None:
        fits = fits[fits["x"] >= x_limit] if x.better == "higher" else fits[fits["x"] <= x_limit]
    if memory_limit_mib is not None:
        fits = fits[fits["memory_mib"] <= memory_limit_mib]
    if not len(fits):
        return None
    place: Any = fits["y"].idxmin() if y.better == "lower" else fits["y"].idxmax()
    best = fits.loc[place]
    others = fits.loc[fits["variant"] != best["variant"], "variant"].unique()
    alike = []
    if y.column == "test_accuracy" and len(others):
        alike = _not_told_apart(trained, best["variant"], others)
    return Choice(best.to_dict(), alike)


def _not_told_apart(trained: pd.DataFrame, best: str, others: Sequence[str]) -> list[str]:
    """`intervals.seed_p_value` of `best` minus each of `others` at once, with Holm's correction."""
    fresh = _fresh(trained, ["variant"])
    accuracy = fresh.pivot_table(index="variant", columns="seed", values="test_accuracy")
    gaps = -accuracy.loc[list(others)].sub(accuracy.loc[best], axis="columns")
    n, mean = gaps.notna().sum(axis="columns"), gaps.mean(axis="columns")
    std = gaps.std(axis="columns", ddof=1)
    seen = n.ge(2) & std.gt(ROUNDING * mean.abs())
    t = mean.abs() / (std / np.sqrt(n)).where(seen)
    p_values = holm(2 * stdtr((n - 1).clip(lower=1), -t).to_numpy())
    # A NaN is no p-value: such a candidate isn't told apart either.
    alike: list[str] = gaps.index[~((p_values <= ALPHA) & (mean > 0))].tolist()
    return alike
