"""Which network is the fastest, in words."""

import pandas as pd

from resnest_bench.formats import format_significant, is_known, row_dicts
from resnest_bench.tables.noise import format_floor
from resnest_bench.words import list_names

MAX_NAMES = 8


def describe_fastest(table: pd.DataFrame, floor_percent: float | None) -> str:
    """A sentence on `latencies_table`: the fastest, and which others the noise floor doesn't separate from it."""
    if not len(table):
        return ""
    rows = row_dicts(table)
    first = rows[0]
    low, high = first["latency_low_ms"], first["latency_high_ms"]
    bounds = ""
    if is_known(low):
        bounds = f" [{format_significant(low, 3)}, {format_significant(high, 3)}]"
    text = f"{first['variant']} is the fastest: {format_significant(first['latency_p50_ms'], 3)} ms{bounds}"
    if floor_percent is None or not is_known(floor_percent):
        return f"{text}. The noise floor is unknown, so others may be as fast."
    rivals = [row["variant"] for row in rows[1:] if is_known(row["in_noise"]) and row["in_noise"]]
    floor = f"the noise floor of {format_floor(floor_percent)} %"
    if not rivals:
        return f"{text}. All others are slower by more than {floor}."
    verb = "is" if len(rivals) == 1 else "are"
    return f"{text}. {list_names(rivals, MAX_NAMES)} {verb} within {floor}, so not distinguishable from it."
