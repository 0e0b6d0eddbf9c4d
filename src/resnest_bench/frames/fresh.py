"""Which values count: fresh ones, and stale ones only if there are no others. One rule for all tables.

Never both: a mean over two specs, or over two versions of the code, describes neither.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import pandas as pd

USABLE = ("ok", "stale")

T = TypeVar("T")


def is_counted(frame: pd.DataFrame, by: Sequence[str]) -> pd.Series:
    """Whether each row counts, among the rows with the same values of `by`; `frame` has a `status`."""
    ok, stale = frame["status"].eq("ok"), frame["status"].eq("stale")
    some_ok = ok.groupby([frame[column] for column in by]).transform("any")
    return ok | (stale & ~some_ok)


def keep_counted(frame: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """Keep the rows that count; without `by` all rows are one group."""
    if by:
        return frame[is_counted(frame, by)]
    ok = frame[frame["status"] == "ok"]
    return ok if len(ok) else frame[frame["status"] == "stale"]


def pick_counted(items: Iterable[T], status: Callable[[T], str]) -> list[T]:
    """Pick the items of one group that count."""
    every = list(items)
    ok = [item for item in every if status(item) == "ok"]
    return ok or [item for item in every if status(item) == "stale"]
