"""Rows of the frame of latency cells: one per setting of a record."""

from typing import Any

from resnest_bench.frames.imported import imported_cell_rows
from resnest_bench.records import Record
from resnest_bench.records.ceilings import find_ceilings
from resnest_bench.records.imports import ImportedCell
from resnest_bench.records.latencies import (
    cell_setting,
    images_per_second,
    primary_cell,
    summarise_samples,
)
from resnest_bench.records.metrics import reference_drift
from resnest_bench.records.observations import LatencyCell, UnavailableCell
from resnest_bench.status.outcomes import Outcome


def one_line(text: str) -> str:
    """Replace line ends of any kind: Vega's expressions can't contain a name with a U+2028."""
    return " ".join(text.split())


def name_axes(cell: LatencyCell | UnavailableCell | ImportedCell) -> dict[str, Any]:
    return {
        "batch_size": cell.batch_size,
        "precision": one_line(cell.precision),
        "layout": one_line(cell.layout),
        "mode": one_line(cell.mode),
    }


def list_cell_rows(outcome: Outcome) -> list[dict[str, Any]]:
    """One row per setting: measured, not available, or only the reason why there is no record."""
    if not outcome.usable:
        return [{"available": False, "unavailable_reason": outcome.reason}]
    if outcome.record and outcome.record.imported:
        return imported_cell_rows(outcome.record.imported)
    latency = outcome.record.latency if outcome.record else None
    assert latency is not None, "a usable record of a latency job has one"
    shared = {
        "reference_drift": reference_drift(latency),
        "peak_rss_bytes": latency.peak_rss_bytes,
        "num_operators": latency.num_operators,
    }
    primary = primary_cell(latency)
    measured = [
        {
            **_cell_row(cell),
            **_consumption(outcome.record, cell),
            "primary": cell is primary,
            **vars(find_ceilings(latency.ceilings, cell.precision, cell.mode)),
            **shared,
        }
        for cell in latency.cells
    ]
    gaps = [{**_gap_row(cell), **shared} for cell in latency.unavailable]
    return measured + gaps


def _consumption(record: Record | None, cell: LatencyCell) -> dict[str, Any]:
    """Memory and energy of a cell; empty where the protocol doesn't ask for them."""
    consumed = record and record.consumption
    if not consumed:
        return {}
    found = consumed.find(*cell_setting(cell), cell.batch_size)
    return {
        "resident_bytes": found and found.resident_bytes,
        "added_bytes": found and found.added_bytes,
        "energy_joules_per_image": found and found.joules_per_image,
        "consumption_gap": one_line(consumed.explain(*cell_setting(cell), cell.batch_size)) or None,
    }


def _gap_row(cell: UnavailableCell) -> dict[str, Any]:
    return {
        **name_axes(cell),
        "available": False,
        "unavailable_reason": cell.reason,
        "does_not_fit": cell.does_not_fit,
    }


def _cell_row(cell: LatencyCell) -> dict[str, Any]:
    summary = summarise_samples(cell.samples_ms)
    on_device = summarise_samples(cell.device_samples_ms or ())
    return {
        **name_axes(cell),
        "available": True,
        "does_not_fit": False,
        "n": summary["n"],
        **{f"{name}_ms": summary[name] for name in ("mean", "p50", "p90", "p99", "iqr")},
        "noisy": summary["noisy"],
        "ms_per_image": summary["p50"] / cell.batch_size,
        "throughput_images_per_second": images_per_second(cell),
        "device_p50_ms": on_device["p50"],
        "first_call_ms": cell.first_call_ms,
        "peak_memory_bytes": cell.peak_memory_bytes,
        "output_error": cell.output_error,
    }
