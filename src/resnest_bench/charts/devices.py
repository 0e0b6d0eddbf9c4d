"""Several devices in one chart: points of the first are filled, all others are open."""

from typing import Any

import altair as alt
import pandas as pd


def _devices(points: pd.DataFrame) -> list[str]:
    return list(points.loc[points["device"] != "", "device"].unique())


def describe_devices(points: pd.DataFrame) -> str:
    """Say which device is filled and which are open; empty for a single device."""
    first, *others = [*_devices(points), ""]
    others = [name for name in others if name]
    return f"Filled: {first}. Open: {' and '.join(others)}" if others else ""


def open_elsewhere(points: pd.DataFrame, fill: alt.Fill) -> Any:
    """Use `fill` only for points of the first device: other devices can't be compared with it."""
    others = _devices(points)[1:]
    if not others:
        return fill
    return (
        alt.when(alt.FieldOneOfPredicate("device", others))
        .then(alt.value("transparent"))
        .otherwise(fill)
    )
