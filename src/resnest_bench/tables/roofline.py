"""What a latency is bound by: the device's arithmetic, its memory, or the overhead of its operators."""

from typing import Any, cast

import pandas as pd

from resnest_bench.formats import format_significant, is_known, row_dicts
from resnest_bench.frames.fresh import keep_counted
from resnest_bench.frames.typed import make_frame
from resnest_bench.records.ceilings import CellCeilings, Work, lower_bounds
from resnest_bench.tables.values import CELL_AXES, name_devices

KEY = ["dataset", "recipe", "device", *CELL_AXES[1:]]
CEILINGS = ["flops_per_second", "bytes_per_second", "operator_ms"]
COUNTS = ["num_params", "num_macs", "num_activations"]
# Below this share the largest of the three explains little of a latency.
MIN_SHARE = 1 / 3
ARITHMETIC, MEMORY, OVERHEAD, NONE = "arithmetic", "memory", "overhead", "none of the three"
BOUNDS = {"arithmetic_ms": ARITHMETIC, "memory_ms": MEMORY, "overhead_ms": OVERHEAD}
ROOFLINE_TEXTS = {
    "dataset": "Name of the dataset, for the size of its images",
    "protocol": "Name of the latency protocol",
    "device": "The device",
    "precision": "Precision of the cell",
    "layout": "Memory layout of the cell",
    "mode": "Mode of the cell",
    "batch_size": "Images per call",
    "variant": "Name of the network in the config",
    "p50_ms": "Latency: mean over rounds of the median time of a call, ms",
    "arithmetic_ms": "Operations of the call at the device's peak arithmetic, ms",
    "memory_ms": "Weights and activations moved once at the device's memory bandwidth, ms",
    "overhead_ms": "Operators of the call times the overhead of one, ms",
    "bound_by": "The largest of these three, if it is a third of the latency or more; memory only if the call "
    "was not faster",
    "share": "That one divided by the latency: the share of the ceiling that is reached",
    "gflops_per_second": "Operations of the call divided by the latency, 1e9/s",
    "operations_per_byte": "Operations divided by the bytes moved: the arithmetic intensity",
    "num_activations": "Activations of one image, elements",
    "num_macs": "Multiply-accumulates of one image",
    "num_operators": "Operators started in one call",
    "ceiling_gflops_per_second": "Peak arithmetic of the device, 1e9/s: the best of all its jobs",
    "ceiling_gbytes_per_second": "Memory bandwidth of the device, 1e9 bytes/s",
    "ceiling_operator_us": "Overhead of an operator, us",
}
TYPES = {
    **dict.fromkeys(ROOFLINE_TEXTS, "float64"),
    **dict.fromkeys(
        ["dataset", "protocol", "device", *CELL_AXES[1:], "variant", "bound_by"], "str"
    ),
    **dict.fromkeys(["batch_size", "num_activations", "num_macs", "num_operators"], "Int64"),
}
ROOFLINE_METHOD = (
    "Arithmetic: twice the multiply-accumulates at the peak that a large matrix product or convolution reached. "
    "Memory: weights and activations, moved once, at the bandwidth of a large copy; where that takes longer than the "
    "whole call, the data stays in a cache, and memory is no bound. Overhead: the operators of a call times the time of one on "
    "a few numbers. The largest of the three bounds the latency; if it is less than a third, none of them does, and "
    "time goes to operators that reach no ceiling, like depthwise convolutions"
)


def roofline_table(runs: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """One row per device, setting, batch size and variant with known ceilings. Columns: ROOFLINE_TEXTS.

    A device's ceilings are the best of all jobs of the experiment: what was disturbed is no ceiling.
    """
    timed = cells[cells["available"].eq(True) & cells["flops_per_second"].notna()]
    if not len(timed):
        return make_frame([], TYPES)
    key = ["kind", "dataset", "recipe", "variant", "seed"]
    counted = keep_counted(timed, ["dataset", "recipe", "variant"])
    counted = counted.merge(runs[[*key, *COUNTS]], on=key, how="left")
    counted = counted.assign(device=name_devices(counted).astype("str"))
    by_device = counted.groupby(KEY, sort=False, dropna=False)
    counted["flops_per_second"] = by_device["flops_per_second"].transform("max")
    counted["bytes_per_second"] = by_device["bytes_per_second"].transform("max")
    counted["operator_ms"] = by_device["operator_ms"].transform("min")
    groups = counted.groupby([*KEY, "batch_size", "variant"], sort=False, dropna=False)
    columns = ["p50_ms", *CEILINGS, *COUNTS, "num_operators"]
    means = groups[columns].mean().reset_index()
    return make_frame([_make_row(row) for row in row_dicts(means)], TYPES)


def _make_row(row: dict[str, Any]) -> dict[str, Any]:
    work = Work(
        batch_size=int(row["batch_size"]),
        num_params=int(row["num_params"]),
        num_macs=int(row["num_macs"]),
        num_activations=_known(row["num_activations"]),
        num_operators=_known(row["num_operators"]),
    )
    ceilings = CellCeilings(*(row[name] if is_known(row[name]) else None for name in CEILINGS))
    bounds = vars(lower_bounds(work, ceilings, row["precision"]))
    known = {name: ms for name, ms in bounds.items() if ms is not None}
    if known.get("memory_ms", 0.0) > row["p50_ms"]:
        # The call was faster than main memory: what it needs stays in a cache.
        del known["memory_ms"]
    largest = max(known, key=lambda name: known[name])
    share, moved = known[largest] / row["p50_ms"], work.moved_bytes(row["precision"])
    return {
        **row,
        "protocol": row["recipe"],
        **bounds,
        "bound_by": BOUNDS[largest] if share >= MIN_SHARE else NONE,
        "share": share,
        "gflops_per_second": work.flops / row["p50_ms"] / 1e6,
        "operations_per_byte": work.flops / moved if moved else None,
        "ceiling_gflops_per_second": row["flops_per_second"] / 1e9,
        "ceiling_gbytes_per_second": row["bytes_per_second"] / 1e9,
        "ceiling_operator_us": 1e3 * row["operator_ms"] if is_known(row["operator_ms"]) else None,
    }


def _known(value: Any) -> int | None:
    return int(value) if is_known(value) and value else None


def describe_bounds(table: pd.DataFrame) -> list[str]:
    """One sentence per device, setting and batch size: which networks are bound by what."""
    sentences = []
    by = ["device", *CELL_AXES[1:], "batch_size"]
    for key, rows in table.groupby(by, sort=False):
        device, precision, _, mode, batch = cast("tuple[str, ...]", key)
        parts = [
            f"{_join(group)} by {bound}" if bound != NONE else f"{_join(group)} by {NONE}"
            for bound, group in rows.groupby("bound_by", sort=False)
        ]
        sentences.append(f"{device}, {precision}, {mode}, batch {batch}: {'; '.join(parts)}")
    return sentences


def _join(rows: pd.DataFrame) -> str:
    named = [
        f"{row['variant']} ({format_significant(100 * row['share'], 2)} %)"
        for row in row_dicts(rows.head(6))
    ]
    more = f" and {len(rows) - 6} more" if len(rows) > 6 else ""
    return ", ".join(named) + more
