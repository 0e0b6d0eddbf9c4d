"""Probabilities of being Pareto-optimal for the rows of a trade-off, as columns and as sentences."""

from typing import cast

import numpy as np
import pandas as pd

from resnest_bench.formats import format_probability
from resnest_bench.records.metrics import METRICS
from resnest_bench.stats.pareto import choose_num_draws, estimate_pareto_front
from resnest_bench.stats.summary import ROUNDING
from resnest_bench.tables.axes import Axis
from resnest_bench.words import list_names

# A front compares values of one device and setting.
PANEL = ["device", "measured_in"]
FRONT_COLUMNS = ["front_probability", "front_y_n", "front_x_n", "front_reason"]
# Below this probability a variant that is not on the front by its mean is not named.
MAY_BE = 0.1
MAX_NAMES, MAX_REASONS = 12, 3
ALONE = "there is no other row to compare it with"
NO_DIRECTION = "on one axis neither direction is better"


def estimate_front_probabilities(
    points: pd.DataFrame, x: Axis, y: Axis, x_values: pd.DataFrame, y_values: pd.DataFrame
) -> pd.DataFrame:
    """FRONT_COLUMNS for the rows of `points_frame`; each device and setting has a front of its own.

    `x_values` and `y_values` have one row per variant (and per device and setting, if it was timed)
    and one column per seed or round. `front_probability` comes from `estimate_pareto_front`. It is for
    new seeds and rounds on the same images, since frames hold no single images. `front_y_n` and
    `front_x_n` are the numbers of seeds or rounds that all compared rows share; NA for an exact count
    such as parameters. A probability of NaN has a `front_reason`.
    """
    columns = {"front_probability": np.nan, "front_y_n": pd.NA, "front_x_n": pd.NA}
    made = pd.DataFrame({**columns, "front_reason": ""}, index=points.index).astype(
        {"front_y_n": "Int64", "front_x_n": "Int64", "front_reason": "str"}
    )
    complete = points.dropna(subset=["x", "y"])
    if x.better is None or y.better is None:
        made.loc[complete.index, "front_reason"] = NO_DIRECTION
        return made
    for key, rows in complete.groupby(PANEL, sort=False):
        panel = cast("tuple[str, str]", key)
        sides = [_select_panel(values, panel, rows["variant"]) for values in (y_values, x_values)]
        made.loc[rows.index] = _estimate_panel(sides, x, y).to_numpy()
    return made


def _select_panel(values: pd.DataFrame, panel: tuple[str, str], names: pd.Series) -> pd.DataFrame:
    if isinstance(values.index, pd.MultiIndex):
        device, setting = (values.index.get_level_values(name) for name in PANEL)
        values = values[(device == panel[0]) & (setting == panel[1])].droplevel([*PANEL])
    return values.reindex(names)


def _estimate_panel(sides: list[pd.DataFrame], x: Axis, y: Axis) -> pd.DataFrame:
    """FRONT_COLUMNS of one panel; `sides` are the values of y and of x, one row per variant."""
    assert x.better is not None
    assert y.better is not None
    axes = (y, x)
    reasons = _explain_gaps(sides, axes)
    made = pd.DataFrame(
        {"probability": np.nan, "y_n": pd.NA, "x_n": pd.NA, "reason": reasons}, index=reasons.index
    )
    compared = reasons.index[reasons.eq("")]
    if len(compared) < 2:
        made.loc[compared, "reason"] = ALONE
        return made
    y_values, x_values = (
        _repeat_exact(side.loc[compared]) if _is_exact(axis) else side.loc[compared]
        for side, axis in zip(sides, axes, strict=True)
    )
    front = estimate_pareto_front(
        y_values,
        x_values,
        x_better=x.better,
        y_better=y.better,
        draws=choose_num_draws(len(compared)),
        repeats=(f"{y.repeats}s", f"{x.repeats}s"),
    )
    made.loc[compared, ["probability", "reason"]] = front[["probability", "reason"]]
    estimated = front.index[front["probability"].notna()]
    for axis, ours, theirs in ((y, "y_n", "n_seeds"), (x, "x_n", "n_rounds")):
        if not _is_exact(axis):
            made.loc[estimated, ours] = front.loc[estimated, theirs]
    return made


def _explain_gaps(sides: list[pd.DataFrame], axes: tuple[Axis, Axis]) -> pd.Series:
    """Why a variant has no probability; empty if it has one."""
    reasons = pd.Series("", index=sides[0].index)
    for side, axis in zip(sides, axes, strict=True):
        if _is_exact(axis):
            continue
        counts, label = side.notna().sum(axis="columns"), axis.label.lower()
        few, equal = counts < 2, _all_equal(side)
        reasons[few] += f"{label} has only one {axis.repeats}; "
        reasons[equal & ~few] += f"{label} is the same in every {axis.repeats}; "
    gaps = reasons.ne("")
    reasons[gaps] += "so its spread is unknown"
    return reasons.str.replace("; so", ", so")


def _is_exact(axis: Axis) -> bool:
    """Whether it is a count that is the same in every seed, and so no estimate."""
    metric = METRICS.get(axis.column)
    return metric is not None and metric.is_count and metric.unit != "bytes"


def _all_equal(values: pd.DataFrame) -> pd.Series:
    spread = values.max(axis="columns") - values.min(axis="columns")
    return spread.le(ROUNDING * values.abs().max(axis="columns"))


def _repeat_exact(values: pd.DataFrame) -> pd.DataFrame:
    """Repeat an exact value: two values are required, and equal ones have no spread."""
    mean = values.mean(axis="columns")
    return pd.DataFrame({0: mean, 1: mean})


def describe_front(points: pd.DataFrame) -> list[str]:
    """Sentences: 'Pareto-optimal (3 of 9): A (0.98), ...', and which others may be.

    Empty without a front. Probabilities are in brackets, those of several panels in their order.
    """
    shown = points.dropna(subset=["x", "y"])
    on = shown[shown["front"].eq(True)]
    if not len(on):
        return []
    count = f"{on['variant'].nunique():,} of {shown['variant'].nunique():,}"
    lines = [f"Pareto-optimal ({count}): {_name_with_probability(on)}."]
    maybe = shown[~shown["front"].eq(True) & shown["front_probability"].ge(MAY_BE)]
    maybe = maybe[~maybe["variant"].isin(on["variant"])]
    if len(maybe):
        lines.append(f"Possibly Pareto-optimal: {_name_with_probability(maybe)}.")
    return lines


def _name_with_probability(rows: pd.DataFrame) -> str:
    names = []
    for variant, group in rows.groupby("variant", sort=False):
        probabilities = group["front_probability"].dropna()
        texts = " / ".join(map(format_probability, probabilities))
        names.append(f"{variant} ({texts})" if texts else f"{variant}")
    return list_names(names, MAX_NAMES)


def describe_front_probabilities(points: pd.DataFrame, x: Axis, y: Axis) -> list[str]:
    """Sentences: what the probabilities of `describe_front` mean, and which variants have none and why."""
    shown = points.dropna(subset=["x", "y"])
    if not shown["front"].eq(True).any():
        return []
    estimated = shown[shown["front_probability"].notna()]
    gaps = shown[shown["front_probability"].isna()]
    lines = [_explain_probability(estimated, x, y)] if len(estimated) else []
    reasons = gaps.groupby("front_reason", sort=False)["variant"].unique()
    for reason, names in reasons.head(MAX_REASONS).items():
        everyone = len(names) == shown["variant"].nunique() > 1
        which = "" if everyone else f" for {list_names(names, MAX_NAMES)}"
        lines.append(f"No probability{which}: {reason}.")
    if len(reasons) > MAX_REASONS:
        lines.append(f"The table has {len(reasons) - MAX_REASONS} more reasons.")
    if len(estimated) and len(gaps):
        lines.append("The others are compared without them.")
    return lines


def _explain_probability(rows: pd.DataFrame, x: Axis, y: Axis) -> str:
    """What the probabilities mean, with the n behind them."""
    counts = [
        f"{axis.label.lower()}: {_format_range(rows[column])} {axis.repeats}s"
        for axis, column in ((y, "front_y_n"), (x, "front_x_n"))
        if rows[column].notna().any()
    ]
    new = " and ".join(dict.fromkeys(f"new {axis.repeats}s" for axis in (y, x)))
    panels = rows[PANEL].drop_duplicates()
    each = ", separately for each device and setting" if len(panels) > 1 else ""
    return (
        f"In brackets: the probability of being Pareto-optimal{each}, for {new} on the same images and "
        f"machine ({'; '.join(counts)})."
    )


def _format_range(counts: pd.Series) -> str:
    low, high = int(counts.min()), int(counts.max())
    return f"{low}" if low == high else f"{low} to {high}"
