"""Frames whose columns and types don't depend on which rows there are, or on what they lack."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd


def make_frame(
    rows: Iterable[Mapping[str, Any]] | pd.DataFrame, types: Mapping[str, str]
) -> pd.DataFrame:
    """`rows` with exactly the columns of `types` (name to dtype), in that order.

    What a row lacks is a gap; what `types` doesn't name is left out. Without a row the frame is empty and
    has the same columns and types.
    """
    given = rows if isinstance(rows, pd.DataFrame) else list(rows)
    return pd.DataFrame(given, columns=list(types)).astype(dict(types))
