"""The latency of every network of an experiment, the fastest first."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from resnest_bench.formats import is_known, row_dicts
from resnest_bench.frames.typed import make_frame
from resnest_bench.paths import Experiment
from resnest_bench.tables.selection import RowGroups
from resnest_bench.tables.values import CELL_COLUMNS, RUN_COLUMNS, latency_status, latency_values

LATENCY_COLUMNS = {
    "variant": "str",
    **dict.fromkeys(["latency_p50_ms", "latency_low_ms", "latency_high_ms"], "float64"),
    "latency_rounds": "Int64",
    "latency_round_p50_ms": "object",
    "latency_noisy": "boolean",
    "latency_batch_size": "Int64",
    **dict.fromkeys(["latency_setting", "latency_device", "status"], "str"),
    "relative_to_fastest": "float64",
    "in_noise": "boolean",
}


def latencies_table(
    runs: pd.DataFrame,
    cells: pd.DataFrame,
    experiment: Experiment,
    variants: Sequence[str],
    floor_percent: float | None,
) -> pd.DataFrame:
    """One row per variant with a latency in its main setting, the fastest first.

    Values are those of `latency_values`. `relative_to_fastest` is the ratio to the first row's, and
    `in_noise` says whether it is below the noise floor; unknown without `floor_percent`, and for another
    device or setting.
    """
    run_rows, cell_rows = RowGroups(runs, RUN_COLUMNS), RowGroups(cells, CELL_COLUMNS)
    rows: list[dict[str, Any]] = []
    for name in variants:
        own, timed = (group.select(experiment, name) for group in (run_rows, cell_rows))
        values = latency_values(own, timed) if own else {}
        if is_known(values.get("latency_p50_ms")):
            status = "; ".join(latency_status(own, timed)) or "ok"
            rows.append({"variant": name, "status": status, **values})
    table = make_frame(rows, LATENCY_COLUMNS)
    table = table.sort_values("latency_p50_ms", kind="stable", ignore_index=True)
    if not len(table):
        return table
    first = row_dicts(table)[0]
    same = (
        table[["latency_device", "latency_setting", "latency_batch_size"]]
        == [first["latency_device"], first["latency_setting"], first["latency_batch_size"]]
    ).all(axis="columns")
    ratio = (table["latency_p50_ms"] / first["latency_p50_ms"]).where(same)
    table["relative_to_fastest"] = ratio
    if floor_percent is not None and is_known(floor_percent):
        inside = (ratio < 1 + floor_percent / 100).astype("boolean")
        table["in_noise"] = inside.mask(~same)
    return table
