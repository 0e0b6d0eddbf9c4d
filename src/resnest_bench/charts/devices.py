"""Several devices on one plane: points of the first are filled, all others are open."""

from typing import Any

import altair as alt
import pandas as pd


def _devices(points: pd.DataFrame) -> list[str]:
    return list(points.loc[points["device"] != "", "device"].unique())


def devices_text(points: pd.DataFrame) -> str:
    """Which device is filled and which are open, where points of several share a plane."""
    first, *others = [*_devices(points), ""]
    others = [name for name in others if name]
    return f"Filled: {first}. Open: {' and '.join(others)}" if others else ""


def open_elsewhere(points: pd.DataFrame, fill: alt.Fill) -> Any:
    """`fill`, but none for points of another device than the first: the two can't be compared."""
    others = _devices(points)[1:]
    if not others:
        return fill
    return (
        alt.when(alt.FieldOneOfPredicate("device", others))
        .then(alt.value("transparent"))
        .otherwise(fill)
    )
