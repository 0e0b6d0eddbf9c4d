"""Tables behind the latency charts: means over rounds, settings, and names of what isn't drawn.

Latency jobs come in rounds: processes of their own that measure the same thing. A frame's `seed` is
the round.
"""

import textwrap
from collections.abc import Iterable
from typing import cast

import pandas as pd

from resnest_bench.charts.style import distinct_text, on_devices
from resnest_bench.frames.fresh import is_counted
from resnest_bench.records.metrics import NOISY_IQR_SHARE
from resnest_bench.words import list_names

SETTING = ["precision", "layout", "mode"]
JOB_AXES = ["dataset", "recipe", "device_name"]
# What differs in one of these is another measurement: no mean is taken over it.
AXES = [*JOB_AXES, *SETTING]
NOISY = f"noisy (IQR over {100 * NOISY_IQR_SHARE:.0f} % of the median)"
MAX_MARKS = 4000
MAX_NAMED = 3
MAX_REASON = 80


def distinct(frame: pd.DataFrame, column: str) -> list:
    """Known values of a column, in their order."""
    return frame[column].dropna().unique().tolist()


def with_setting(frame: pd.DataFrame, axes: Iterable[str] = AXES) -> pd.DataFrame:
    """`frame` with `setting`: the values of those axes in which its rows differ, '' for none."""
    differing = [axis for axis in axes if len(distinct(frame, axis)) > 1]
    rows = frame[differing].to_numpy(dtype=object)
    texts = [", ".join(str(v) for v in row if pd.notna(v)) for row in rows]
    return frame.assign(setting=pd.Series(texts, index=frame.index, dtype="str"))


def latency_jobs(runs: pd.DataFrame) -> pd.DataFrame:
    """The latency jobs among `runs`, with `row`: the variant, and its setting if there are several."""
    if not len(runs):
        return runs
    jobs = with_setting(runs[runs["kind"] == "latency"], JOB_AXES)
    plain = jobs["setting"] == ""
    return jobs.assign(
        row=jobs["variant"].where(plain, jobs["variant"] + " (" + jobs["setting"] + ")")
    )


def place_text(frame: pd.DataFrame) -> str:
    """What all rows have in common of precision, layout and mode, and their device."""
    values = [distinct(frame, axis) for axis in SETTING if axis in frame]
    return ", ".join([*(known[0] for known in values if len(known) == 1), on_devices(frame)])


def data_title(text: str, frame: pd.DataFrame) -> str:
    """'TEXT: DATA'."""
    return f"{text}: {distinct_text(frame, 'dataset_label')}"


def counted(frame: pd.DataFrame) -> pd.Series:
    """Whether a row's values count, among the rounds of its variant."""
    return is_counted(frame, ["dataset", "recipe", "variant"])


def why_not(frame: pd.DataFrame, field: str, positive: bool = True) -> pd.Series:
    """Why a row's `field` is not drawn, '' where it is. `positive`: zero has no place on the axis.

    `frame` is of cells or of runs: the reason is the cell's own, or else the job's.
    """
    value = frame[field].astype("float64")
    why = pd.Series("", index=frame.index, dtype=object)
    why[value.isna()] = "not recorded"
    if positive:
        why[value <= 0] = "not above 0"
    why[~counted(frame)] = "stale, unlike another round"
    unusable = ~frame["status"].isin(["ok", "stale"])
    why = why.mask(unusable, frame["reason"].where(frame["reason"].ne(""), frame["status"]))
    if "available" in frame:
        missing = ~frame["available"].fillna(False).astype(bool)
        reason = frame["unavailable_reason"].fillna("").replace("", "no reason recorded")
        why = why.mask(missing, reason)
    return why


def over_rounds(rows: pd.DataFrame, keys: list[str], field: str) -> pd.DataFrame:
    """Mean, low and high of `field` over the `rounds`, for each of `keys`; of cells `noisy_rounds`."""
    named = {"mean": (field, "mean"), "low": (field, "min"), "high": (field, "max")}
    if "noisy" in rows:
        named["noisy_rounds"] = ("noisy", "sum")
    return rows.groupby(keys, sort=False).agg(**named, rounds=(field, "count")).reset_index()


def first_rows(table: pd.DataFrame, marks_per_row: int) -> tuple[pd.DataFrame, str]:
    """As many rows as give 4,000 marks at most, and a text that says so where some are left out."""
    limit = MAX_MARKS // marks_per_row
    if len(table) <= limit:
        return table, ""
    return table.head(limit), f"Only the first {limit:,} of {len(table):,} points are drawn"


def marks_text(points: pd.DataFrame, mark: str) -> str:
    """Explains means, ranges and open marks of `over_rounds`, as far as there are any."""
    low, high = points["rounds"].min(), points["rounds"].max()
    texts = []
    if high > 1:
        count = high if low == high else f"{low} to {high}"
        texts.append(f"{mark}: mean of {count} rounds. Line: lowest to highest")
    if "noisy_rounds" in points and points["noisy_rounds"].gt(0).any():
        texts.append(f"Open: {NOISY}")
    return ". ".join(texts)


def rounds_text(rows: pd.DataFrame) -> str:
    """Which row of a variant is which round; '' where there is one round."""
    rounds = sorted(set(rows["seed"]))
    return f"Rows of a variant: rounds {_joined(rounds)} from the top" if len(rounds) > 1 else ""


def stale_text(frame: pd.DataFrame) -> str:
    """Names the variants of stale rows; '' without any."""
    names = dict.fromkeys(frame.loc[frame["status"] == "stale", "variant"])
    return f"Stale: {', '.join(names)}" if names else ""


def not_drawn(frame: pd.DataFrame, why: pd.Series) -> str:
    """Names the rows of `frame` that have a reason in `why`: variants, rounds, setting, batch sizes.

    Only the first few, and how many more there are. A variant whose rounds are all missing is named
    without them.
    """
    gaps = frame.assign(why=why)[why != ""]
    rounds = frame.groupby("variant")["seed"].nunique()
    groups: dict[tuple[str, str], list[str]] = {}
    for key, rows in gaps.groupby(["variant", "setting", "why"], sort=False):
        name, setting, reason = cast("tuple[str, str, str]", key)
        some = rows["seed"].nunique() < rounds[name]
        place = [
            setting,
            _numbers(rows, "batch_size", "batch"),
            _numbers(rows, "seed", "round") if some else "",
        ]
        groups.setdefault((", ".join(filter(None, place)), reason), []).append(name)
    texts = [
        f"{_names(names, len(rounds))}{place and f' ({place})'}: "
        + textwrap.shorten(reason, MAX_REASON, placeholder=" …")
        for (place, reason), names in groups.items()
    ]
    return f"Not drawn: {list_names(texts, MAX_NAMED, '; ')}" if texts else ""


def _names(names: list[str], num_variants: int) -> str:
    return (
        f"all {num_variants} variants"
        if 1 < num_variants == len(names)
        else list_names(names, MAX_NAMED)
    )


def _numbers(rows: pd.DataFrame, column: str, text: str) -> str:
    known = sorted(set(rows[column].dropna())) if column in rows else []
    return f"{text} {_joined(known)}" if known else ""


def _joined(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))
