"""Frames whose columns and types don't depend on their rows or on missing values."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd


def make_frame(
    rows: Iterable[Mapping[str, Any]] | pd.DataFrame, types: Mapping[str, str]
) -> pd.DataFrame:
    """Make a frame with exactly the columns of `types` (name to dtype), in that order.

    Missing values are gaps, and columns that `types` doesn't name are left out. Without a row the frame is
    empty and has the same columns and types.
    """
    given = rows if isinstance(rows, pd.DataFrame) else list(rows)
    return pd.DataFrame(given, columns=list(types)).astype(dict(types))
