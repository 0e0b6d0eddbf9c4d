"""Rows of imported records: what the file says, and that the rest is unknown."""

from typing import Any

from resnest_bench.chance import describe_chance
from resnest_bench.records import Record
from resnest_bench.records.imports import UNKNOWN, ImportedCell, ImportedResults
from resnest_bench.records.latencies import images_per_second, primary_cell, summarise_cell

UNKNOWN_DEVICE = "unknown device"
MEAN_REMARK = "the latency is the mean that the file states, not a median"


def describe_source(record: Record) -> dict[str, Any]:
    """The columns of the origin, apart from the caveats about the data. What is left out is unknown."""
    imported, data = record.imported, record.dataset
    if imported is None:
        return {}
    return {
        **_describe_device(imported),
        "num_test": data.num_test if data else imported.num_test,
        "data_fingerprint": data and data.fingerprint,
        "imported_from": _one_line(", ".join(source.file for source in imported.sources)),
        "remark": "; ".join(filter(None, [describe_chance(record), _describe_means(record)])),
    }


def _describe_device(imported: ImportedResults) -> dict[str, Any]:
    """The device of an evaluation is known; of other results only what the file says of it."""
    if imported.evaluation is None:
        name = _one_line(imported.device or UNKNOWN_DEVICE)
        return {"device_kind": UNKNOWN, "device_name": name}
    seen = imported.evaluation.environment
    return {
        "device_kind": seen.device_kind,
        "device_name": _one_line(seen.device_name),
        "num_cpu_threads": seen.num_cpu_threads,
        "torch": seen.versions.get("torch"),
        "git_commit": seen.git_commit,
        "git_dirty": seen.git_dirty,
        "code_digest": imported.evaluation.code_digest,
        "finished_at": imported.evaluation.evaluated_at,
    }


def _describe_means(record: Record) -> str:
    cells = record.imported.cells if record.imported else []
    return MEAN_REMARK if any(cell.is_mean for cell in cells) else ""


def imported_cell_rows(imported: ImportedResults) -> list[dict[str, Any]]:
    """Rows of the frame of cells. Without samples their number and what the file doesn't state are gaps."""
    first = primary_cell(imported)
    return [{**_cell_row(cell), "primary": cell is first} for cell in imported.cells]


def _cell_row(cell: ImportedCell) -> dict[str, Any]:
    summary = summarise_cell(cell)
    return {
        "batch_size": cell.batch_size,
        **{name: _one_line(getattr(cell, name)) for name in ("precision", "layout", "mode")},
        "available": True,
        "does_not_fit": False,
        "n": summary["n"] or None,
        **{f"{name}_ms": summary[name] for name in ("mean", "p50", "p90", "p99", "iqr")},
        "noisy": summary["noisy"],
        "ms_per_image": summary["p50"] / cell.batch_size,
        "throughput_images_per_second": images_per_second(cell),
    }


def _one_line(text: str) -> str:
    return " ".join(text.split())
