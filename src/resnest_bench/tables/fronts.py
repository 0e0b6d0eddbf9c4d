"""How sure a place on the Pareto front is, for the rows of a trade-off, and that in words."""

from typing import cast

import numpy as np
import pandas as pd

from resnest_bench.formats import format_probability
from resnest_bench.records.metrics import METRICS
from resnest_bench.stats.pareto import choose_num_draws, estimate_pareto_front
from resnest_bench.stats.summary import ROUNDING
from resnest_bench.tables.axes import Axis
from resnest_bench.words import list_names

# A front compares what was measured alike.
PANEL = ["device", "measured_in"]
FRONT_COLUMNS = ["front_probability", "front_y_n", "front_x_n", "front_reason"]
# Below this a variant that is off the front by its mean isn't worth naming.
MAY_BE = 0.1
MAX_NAMES, MAX_REASONS = 12, 3
ALONE = "no other row can be compared with it"
NO_DIRECTION = "neither direction of an axis is better"


def estimate_front_probabilities(
    points: pd.DataFrame, x: Axis, y: Axis, x_values: pd.DataFrame, y_values: pd.DataFrame
) -> pd.DataFrame:
    """FRONT_COLUMNS for the rows of `points_frame`: each panel is a front of its own.

    `x_values` and `y_values` have a row a variant (and a device and a setting, where it was timed)
    and a column a seed or a round. `front_probability` is that of `estimate_pareto_front`, for new seeds and
    rounds on the same images: frames hold no single image. `front_y_n` and `front_x_n` count the
    seeds or rounds that all compared rows share; NA of a count, such as parameters, which is exact.
    NaN has its `front_reason`.
    """
    columns = {"front_probability": np.nan, "front_y_n": pd.NA, "front_x_n": pd.NA}
    found = pd.DataFrame({**columns, "front_reason": ""}, index=points.index).astype(
        {"front_y_n": "Int64", "front_x_n": "Int64", "front_reason": "str"}
    )
    whole = points.dropna(subset=["x", "y"])
    if x.better is None or y.better is None:
        found.loc[whole.index, "front_reason"] = NO_DIRECTION
        return found
    for panel, rows in whole.groupby(PANEL, sort=False):
        place = cast("tuple[str, str]", panel)
        sides = [_of_panel(values, place, rows["variant"]) for values in (y_values, x_values)]
        found.loc[rows.index] = _panel(sides, x, y).to_numpy()
    return found


def _of_panel(values: pd.DataFrame, panel: tuple[str, str], names: pd.Series) -> pd.DataFrame:
    if isinstance(values.index, pd.MultiIndex):
        device, setting = (values.index.get_level_values(name) for name in PANEL)
        values = values[(device == panel[0]) & (setting == panel[1])].droplevel([*PANEL])
    return values.reindex(names)


def _panel(sides: list[pd.DataFrame], x: Axis, y: Axis) -> pd.DataFrame:
    """FRONT_COLUMNS of one panel; `sides` are the values of y and of x, a row a variant."""
    assert x.better is not None
    assert y.better is not None
    axes = (y, x)
    reasons = _reasons(sides, axes)
    made = pd.DataFrame(
        {"probability": np.nan, "y_n": pd.NA, "x_n": pd.NA, "reason": reasons}, index=reasons.index
    )
    kept = reasons.index[reasons.eq("")]
    if len(kept) < 2:
        made.loc[kept, "reason"] = ALONE
        return made
    y_kept, x_kept = (
        _doubled(side.loc[kept]) if _is_exact(axis) else side.loc[kept]
        for side, axis in zip(sides, axes, strict=True)
    )
    seen = estimate_pareto_front(
        y_kept,
        x_kept,
        x_better=x.better,
        y_better=y.better,
        draws=choose_num_draws(len(kept)),
        repeats=(f"{y.repeats}s", f"{x.repeats}s"),
    )
    made.loc[kept, ["probability", "reason"]] = seen[["probability", "reason"]]
    known = seen.index[seen["probability"].notna()]
    for axis, ours, theirs in ((y, "y_n", "n_seeds"), (x, "x_n", "n_rounds")):
        if not _is_exact(axis):
            made.loc[known, ours] = seen.loc[known, theirs]
    return made


def _reasons(sides: list[pd.DataFrame], axes: tuple[Axis, Axis]) -> pd.Series:
    """Why a variant can't be drawn; empty where it can."""
    reasons = pd.Series("", index=sides[0].index)
    for side, axis in zip(sides, axes, strict=True):
        if _is_exact(axis):
            continue
        counts, label = side.notna().sum(axis="columns"), axis.label.lower()
        few, flat = counts < 2, _alike(side)
        reasons[few] += f"one {axis.repeats} of {label}; "
        reasons[flat & ~few] += f"every {axis.repeats} has the same {label}; "
    gaps = reasons.ne("")
    reasons[gaps] += "nothing tells the spread"
    return reasons.str.replace("; nothing", ": nothing")


def _is_exact(axis: Axis) -> bool:
    """Whether it is a count of the network itself, the same in every seed: not an estimate."""
    metric = METRICS.get(axis.column)
    return metric is not None and metric.is_count and metric.unit != "bytes"


def _alike(values: pd.DataFrame) -> pd.Series:
    spread = values.max(axis="columns") - values.min(axis="columns")
    return spread.le(ROUNDING * values.abs().max(axis="columns"))


def _doubled(values: pd.DataFrame) -> pd.DataFrame:
    """An exact value twice: two values are asked for, and equal ones have no spread."""
    mean = values.mean(axis="columns")
    return pd.DataFrame({0: mean, 1: mean})


def front_lines(points: pd.DataFrame) -> list[str]:
    """'On the Pareto front (3 of 9): A (0.98), ...', then who else may be on it.

    Empty without a front. In brackets stand the probabilities, of several panels in their order.
    """
    shown = points.dropna(subset=["x", "y"])
    on = shown[shown["front"].eq(True)]
    if not len(on):
        return []
    count = f"{on['variant'].nunique():,} of {shown['variant'].nunique():,}"
    lines = [f"On the Pareto front ({count}): {_named(on)}."]
    maybe = shown[~shown["front"].eq(True) & shown["front_probability"].ge(MAY_BE)]
    maybe = maybe[~maybe["variant"].isin(on["variant"])]
    if len(maybe):
        lines.append(f"May be on it: {_named(maybe)}.")
    return lines


def _named(rows: pd.DataFrame) -> str:
    names = []
    for variant, of_one in rows.groupby("variant", sort=False):
        known = of_one["front_probability"].dropna()
        texts = f" ({' / '.join(map(format_probability, known))})" if len(known) else ""
        names.append(f"{variant}{texts}")
    return list_names(names, MAX_NAMES)


def front_notes(points: pd.DataFrame, x: Axis, y: Axis) -> list[str]:
    """What the probabilities of `front_lines` are about, and who has none and why."""
    shown = points.dropna(subset=["x", "y"])
    if not shown["front"].eq(True).any():
        return []
    known = shown[shown["front_probability"].notna()]
    gaps = shown[shown["front_probability"].isna()]
    lines = [_meaning(known, x, y)] if len(known) else []
    reasons = gaps.groupby("front_reason", sort=False)["variant"].unique()
    for reason, names in reasons.head(MAX_REASONS).items():
        who = (
            ""
            if len(names) == shown["variant"].nunique() > 1
            else f" of {list_names(names, MAX_NAMES)}"
        )
        lines.append(f"No probability{who}: {reason}.")
    if len(reasons) > MAX_REASONS:
        lines.append(f"{len(reasons) - MAX_REASONS} more reasons stand in the table.")
    if len(known) and len(gaps):
        lines.append("The others are compared without these.")
    return lines


def _meaning(known: pd.DataFrame, x: Axis, y: Axis) -> str:
    """What the probabilities are about, with the n that they rest on."""
    counts = [
        f"{axis.label.lower()}: {_range(known[column])} {axis.repeats}s"
        for axis, column in ((y, "front_y_n"), (x, "front_x_n"))
        if known[column].notna().any()
    ]
    new = " and ".join(dict.fromkeys(f"new {axis.repeats}s" for axis in (y, x)))
    panels = known[PANEL].drop_duplicates()
    each = " of each device and setting by itself" if len(panels) > 1 else ""
    return (
        f"In brackets: the probability of lying on the front{each}, for {new} on the same images and "
        f"machine ({'; '.join(counts)})."
    )


def _range(counts: pd.Series) -> str:
    low, high = int(counts.min()), int(counts.max())
    return f"{low}" if low == high else f"{low} to {high}"
