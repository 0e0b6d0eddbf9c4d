"""Tables behind the latency charts: means over rounds, settings, and names of whatever isn't drawn.

Latency jobs run in rounds: separate processes that repeat the same measurement. The `seed` of a frame
is the round.
"""

import textwrap
from collections.abc import Iterable
from typing import cast

import pandas as pd

from resnest_bench.charts.style import join_distinct, on_devices
from resnest_bench.frames.fresh import is_counted
from resnest_bench.records.imports import UNKNOWN
from resnest_bench.records.latencies import NOISY_IQR_SHARE
from resnest_bench.words import list_names

SETTING = ["precision", "layout", "mode"]
JOB_AXES = ["dataset", "recipe", "device_name"]
# No mean is taken over values that differ in one of these.
AXES = [*JOB_AXES, *SETTING]
NOISY = f"noisy (IQR over {100 * NOISY_IQR_SHARE:.0f} % of the median)"
MAX_MARKS = 4000
MAX_NAMED = 3
MAX_REASON = 80


def distinct(frame: pd.DataFrame, column: str) -> list:
    """The known values of a column, in their order."""
    return frame[column].dropna().unique().tolist()


def with_setting(frame: pd.DataFrame, axes: Iterable[str] = AXES) -> pd.DataFrame:
    """Add `setting`: the values of the axes in which the rows differ, '' for none."""
    differing = [axis for axis in axes if len(distinct(frame, axis)) > 1]
    rows = frame[differing].to_numpy(dtype=object)
    texts = [", ".join(str(v) for v in row if pd.notna(v)) for row in rows]
    return frame.assign(setting=pd.Series(texts, index=frame.index, dtype="str"))


def latency_jobs(runs: pd.DataFrame) -> pd.DataFrame:
    """The latency jobs among `runs`, with `row`: the variant, with its setting if there are several."""
    if not len(runs):
        return runs
    jobs = with_setting(runs[runs["kind"] == "latency"], JOB_AXES)
    plain = jobs["setting"] == ""
    return jobs.assign(
        row=jobs["variant"].where(plain, jobs["variant"] + " (" + jobs["setting"] + ")")
    )


def describe_setting(frame: pd.DataFrame) -> str:
    """The precision, layout and mode that all rows share, and their device."""
    values = [distinct(frame, axis) for axis in SETTING if axis in frame]
    shared = [each[0] for each in values if len(each) == 1 and each[0] != UNKNOWN]
    return ", ".join([*shared, on_devices(frame)])


def data_title(text: str, frame: pd.DataFrame) -> str:
    """'TEXT: DATA'."""
    return f"{text}: {join_distinct(frame, 'dataset_label')}"


def counted(frame: pd.DataFrame) -> pd.Series:
    """Whether the values of each row count, among the rounds of its variant."""
    return is_counted(frame, ["dataset", "recipe", "variant"])


def explain_gaps(frame: pd.DataFrame, field: str, positive: bool = True) -> pd.Series:
    """Why the `field` of each row is not drawn; '' if it is. With `positive` it must be above 0.

    `frame` holds cells or runs. The reason is that of the cell or else that of the job.
    """
    value = frame[field].astype("float64")
    why = pd.Series("", index=frame.index, dtype=object)
    why[value.isna()] = "not recorded"
    if positive:
        why[value <= 0] = "not above 0"
    why[~counted(frame)] = "stale, while another round is not"
    unusable = ~frame["status"].isin(["ok", "stale"])
    why = why.mask(unusable, frame["reason"].where(frame["reason"].ne(""), frame["status"]))
    if "available" in frame:
        missing = ~frame["available"].fillna(False).astype(bool)
        reason = frame["unavailable_reason"].fillna("").replace("", "no reason recorded")
        why = why.mask(missing, reason)
    return why


def over_rounds(rows: pd.DataFrame, keys: list[str], field: str) -> pd.DataFrame:
    """Mean, low and high of `field` over the `rounds`, per `keys`; for cells also `noisy_rounds`."""
    named = {"mean": (field, "mean"), "low": (field, "min"), "high": (field, "max")}
    if "noisy" in rows:
        named["noisy_rounds"] = ("noisy", "sum")
    return rows.groupby(keys, sort=False).agg(**named, rounds=(field, "count")).reset_index()


def first_rows(table: pd.DataFrame, marks_per_row: int) -> tuple[pd.DataFrame, str]:
    """The first rows with at most 4,000 marks, and a text that says whether rows are left out."""
    limit = MAX_MARKS // marks_per_row
    if len(table) <= limit:
        return table, ""
    return table.head(limit), f"Only the first {limit:,} of {len(table):,} points are drawn"


def describe_marks(points: pd.DataFrame, mark: str) -> str:
    """Explain the means, ranges and open marks of `over_rounds`, if there are any."""
    low, high = points["rounds"].min(), points["rounds"].max()
    texts = []
    if high > 1:
        count = high if low == high else f"{low} to {high}"
        texts.append(f"{mark}: mean of {count} rounds. Line: lowest to highest")
    if "noisy_rounds" in points and points["noisy_rounds"].gt(0).any():
        texts.append(f"Open: {NOISY}")
    return ". ".join(texts)


def describe_rounds(rows: pd.DataFrame) -> str:
    """Say which row of a variant is which round; '' for a single round."""
    rounds = sorted(set(rows["seed"]))
    return f"Rows of a variant: rounds {_joined(rounds)} from the top" if len(rounds) > 1 else ""


def name_stale(frame: pd.DataFrame) -> str:
    """Name the variants of stale rows; '' without any."""
    names = dict.fromkeys(frame.loc[frame["status"] == "stale", "variant"])
    return f"Stale: {', '.join(names)}" if names else ""


def describe_gaps(frame: pd.DataFrame, why: pd.Series) -> str:
    """Name the first few rows of `frame` with a reason in `why`, and the number of further ones.

    The rows are named by variant, round, setting and batch size; a variant without any round only by
    its name.
    """
    gaps = frame.assign(why=why)[why != ""]
    rounds = frame.groupby("variant")["seed"].nunique()
    groups: dict[tuple[str, str], list[str]] = {}
    for key, rows in gaps.groupby(["variant", "setting", "why"], sort=False):
        name, setting, reason = cast("tuple[str, str, str]", key)
        some = rows["seed"].nunique() < rounds[name]
        details = [
            setting,
            _numbers(rows, "batch_size", "batch"),
            _numbers(rows, "seed", "round") if some else "",
        ]
        groups.setdefault((", ".join(filter(None, details)), reason), []).append(name)
    texts = [
        f"{_names(names, len(rounds))}{detail and f' ({detail})'}: "
        + textwrap.shorten(reason, MAX_REASON, placeholder=" …")
        for (detail, reason), names in groups.items()
    ]
    return f"Not drawn: {list_names(texts, MAX_NAMED, '; ')}" if texts else ""


def _names(names: list[str], num_variants: int) -> str:
    return (
        f"all {num_variants} variants"
        if 1 < num_variants == len(names)
        else list_names(names, MAX_NAMED)
    )


def _numbers(rows: pd.DataFrame, column: str, text: str) -> str:
    values = sorted(set(rows[column].dropna())) if column in rows else []
    return f"{text} {_joined(values)}" if values else ""


def _joined(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))
