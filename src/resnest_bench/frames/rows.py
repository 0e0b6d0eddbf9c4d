"""Tidy frames from records: one row per job, per latency cell, per epoch or per sample."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from resnest_bench.chance import describe_chance
from resnest_bench.frames.cell_rows import list_cell_rows, name_axes, one_line
from resnest_bench.frames.data_notes import NOTE_COLUMNS, describe_data
from resnest_bench.frames.imported import describe_source
from resnest_bench.frames.predictions import load_predictions
from resnest_bench.frames.typed import make_frame
from resnest_bench.paths import Job, StudyPaths
from resnest_bench.records import Record
from resnest_bench.records.imports import ImportedCell
from resnest_bench.records.metrics import (
    METRICS,
)
from resnest_bench.records.observations import EpochObservation, LatencyCell
from resnest_bench.records.predictions import Predictions
from resnest_bench.specs import StudySpec
from resnest_bench.status.outcomes import Outcome, outcomes

JOB_COLUMNS = ["kind", "dataset", "dataset_label", "recipe", "variant", "seed", "status", "reason"]
ORIGIN_COLUMNS = [
    "device_kind",
    "device_name",
    "num_cpu_threads",
    "torch",
    "num_test",
    "num_train",
    "data_fingerprint",
    "git_commit",
    "git_dirty",
    "code_digest",
    "started_at",
    "finished_at",
    "micro_batch_size",
    "imported_from",
    "remark",
    *NOTE_COLUMNS,
    "to_do",
    "record",
]
# Median times of the reference network of a latency job, and which network it is.
REFERENCE_COLUMNS = [
    "reference_before_ms",
    "reference_after_ms",
    "reference_model",
    "reference_batch_size",
]
# Energy per image of the same network.
ENERGY_COLUMNS = ["reference_before_joules", "reference_after_joules"]
RUN_COLUMNS = [*JOB_COLUMNS, *METRICS, *REFERENCE_COLUMNS, *ENERGY_COLUMNS, *ORIGIN_COLUMNS]
# What is known of the device's ceilings in the cell's precision and mode, and the operators of a call.
CEILING_COLUMNS = ["flops_per_second", "bytes_per_second", "operator_ms", "num_operators"]
CELL_COLUMNS = [
    *JOB_COLUMNS,
    "batch_size",
    "precision",
    "layout",
    "mode",
    "available",
    "unavailable_reason",
    "does_not_fit",
    "primary",
    "n",
    "mean_ms",
    "p50_ms",
    "p90_ms",
    "p99_ms",
    "iqr_ms",
    "noisy",
    "ms_per_image",
    "throughput_images_per_second",
    "device_p50_ms",
    "first_call_ms",
    "peak_memory_bytes",
    "output_error",
    "peak_rss_bytes",
    "resident_bytes",
    "added_bytes",
    "energy_joules_per_image",
    "cost_per_million_images",
    "consumption_gap",
    "reference_drift",
    *CEILING_COLUMNS,
    "device_kind",
    "device_name",
    "num_cpu_threads",
    "torch",
]
EPOCH_FIELDS = list(EpochObservation.model_fields)
EPOCH_COLUMNS = [*JOB_COLUMNS, *EPOCH_FIELDS, "device_kind", "device_name"]
SAMPLE_COLUMNS = [
    *JOB_COLUMNS,
    "batch_size",
    "precision",
    "layout",
    "mode",
    "sample",
    "wall_ms",
    "device_ms",
    "device_kind",
    "device_name",
]

# Nullable types: with a missing count the other counts stay integers.
INTEGERS = {
    "seed",
    "num_cpu_threads",
    "num_test",
    "num_train",
    "batch_size",
    "n",
    "sample",
    "epoch",
    "reference_batch_size",
    "micro_batch_size",
    "peak_memory_bytes",
    "peak_rss_bytes",
    "added_bytes",
    "num_operators",
    *(m.name for m in METRICS.values() if m.is_count),
}
BOOLEANS = {"git_dirty", "to_do", "available", "does_not_fit", "primary", "noisy"}
FLOATS = {
    *(m.name for m in METRICS.values() if not m.is_count),
    *EPOCH_FIELDS,
    "mean_ms",
    "p50_ms",
    "p90_ms",
    "p99_ms",
    "iqr_ms",
    "ms_per_image",
    "device_p50_ms",
    "wall_ms",
    "device_ms",
    "output_error",
    "reference_before_ms",
    "reference_after_ms",
    *ENERGY_COLUMNS,
    *CEILING_COLUMNS,
} - INTEGERS


def collect(
    study: StudySpec, paths: StudyPaths, fingerprints: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """One row per job of `study`, in its order, finished or not.

    The columns are: `status` (ok, stale, failed, missing or invalid) with its `reason`; every metric
    in its unit, unrounded, NaN where it doesn't apply; and the origin: device, software, data, code
    and times. `fingerprints` maps a dataset's name to the current SHA-256 of its data. Never raises
    for a bad record.
    """
    return build_runs(outcomes(study, paths, fingerprints))


def cells_frame(study: StudySpec, paths: StudyPaths) -> pd.DataFrame:
    """One row per variant and latency cell; a cell that was not measured has its reason."""
    return build_cells(outcomes(study, paths))


def epochs_frame(study: StudySpec, paths: StudyPaths) -> pd.DataFrame:
    """One row per epoch of each training or fine-tuning, with all fields of EpochObservation."""
    return build_epochs(outcomes(study, paths))


def samples_frame(study: StudySpec, paths: StudyPaths) -> pd.DataFrame:
    """One row per raw latency sample, in ms by the wall clock and, on a GPU, by the device's clock."""
    return build_samples(outcomes(study, paths))


def build_runs(job_outcomes: list[Outcome]) -> pd.DataFrame:
    """The frame of runs for these outcomes."""
    labels = _labels(job_outcomes)
    rows = [_run_row(outcome, labels) for outcome in job_outcomes]
    return make_frame(rows, column_types(RUN_COLUMNS))


def _run_row(outcome: Outcome, labels: Mapping[str, str]) -> dict[str, Any]:
    predictions, problem = load_predictions(outcome)
    origin = _origin(outcome.record)
    if problem:
        origin["remark"] = "; ".join(filter(None, [origin["remark"], problem]))
    return {
        **_job_row(outcome, labels),
        **_metric_values(outcome, predictions),
        **_reference(outcome),
        **origin,
        "to_do": outcome.to_do,
        "record": str(outcome.path),
    }


def build_cells(job_outcomes: list[Outcome]) -> pd.DataFrame:
    """The frame of latency cells for these outcomes."""
    labels = _labels(job_outcomes)
    rows = [
        {**_job_row(o, labels), **cell, **_origin(o.record)}
        for o in job_outcomes
        if o.job.kind == "latency"
        for cell in list_cell_rows(o)
    ]
    return make_frame(rows, column_types(CELL_COLUMNS))


def build_epochs(job_outcomes: list[Outcome]) -> pd.DataFrame:
    """The frame of epochs for these outcomes."""
    labels = _labels(job_outcomes)
    rows = [
        {**_job_row(o, labels), **epoch.model_dump(), **_origin(o.record)}
        for o in job_outcomes
        if o.record and o.record.train
        for epoch in o.record.train.epochs
    ]
    return make_frame(rows, column_types(EPOCH_COLUMNS))


def build_samples(job_outcomes: list[Outcome]) -> pd.DataFrame:
    """The frame of latency samples for these outcomes."""
    labels = _labels(job_outcomes)
    # One frame per cell: there can be a million samples, and one dict each would take a minute.
    cells = [
        pd.DataFrame(_sample_columns(cell)).assign(
            **_job_row(o, labels), **name_axes(cell), **_origin(o.record)
        )
        for o in job_outcomes
        if o.usable and o.record and (timed := o.record.latency or o.record.imported)
        for cell in timed.cells
        if cell.samples_ms
    ]
    samples = pd.concat(cells, ignore_index=True) if cells else pd.DataFrame()
    return make_frame(samples, column_types(SAMPLE_COLUMNS))


def column_types(columns: Iterable[str]) -> dict[str, str]:
    """Column to dtype, for `make_frame`."""
    return {column: _column_type(column) for column in columns}


def _column_type(column: str) -> str:
    if column in INTEGERS:
        return "Int64"
    if column in BOOLEANS:
        return "boolean"
    return "float64" if column in FLOATS else "str"


def _labels(job_outcomes: Iterable[Outcome]) -> dict[str, str]:
    """Labels by the dataset's name, from any record of it: missing records get the same label."""
    return {
        o.job.dataset: one_line(o.record.dataset_label)
        for o in job_outcomes
        if o.record and o.record.dataset_label
    }


def _job_row(outcome: Outcome, labels: Mapping[str, str]) -> dict[str, Any]:
    job: Job = outcome.job
    return {
        "kind": job.kind,
        "dataset": job.dataset,
        "dataset_label": labels.get(job.dataset, job.dataset),
        "recipe": job.recipe,
        "variant": job.variant,
        "seed": job.seed,
        "status": outcome.status,
        "reason": one_line(outcome.reason),
    }


def _metric_values(outcome: Outcome, predictions: Predictions | None) -> dict[str, float | None]:
    # The last epoch of a failed job is not a result.
    if not outcome.usable or outcome.record is None:
        return {}
    return {
        metric.name: metric.value(outcome.record, predictions)
        for metric in METRICS.values()
        if outcome.job.kind in metric.kinds
    }


def _reference(outcome: Outcome) -> dict[str, Any]:
    if not outcome.usable or outcome.record is None or outcome.record.latency is None:
        return {}
    reference = outcome.record.latency.reference
    if not reference.before_ms or not reference.after_ms:
        return {}
    medians = map(float, map(np.median, (reference.before_ms, reference.after_ms)))
    network = one_line(reference.model), reference.batch_size
    consumed = outcome.record.consumption
    energy = {name: consumed and getattr(consumed, name) for name in ENERGY_COLUMNS}
    return {**dict(zip(REFERENCE_COLUMNS, (*medians, *network), strict=True)), **energy}


def _origin(record: Record | None) -> dict[str, Any]:
    if record is None:
        return {}
    environment, data = record.environment, record.dataset
    if record.imported or environment is None:
        return {**describe_source(record), **describe_data(data)}
    return {
        "device_kind": environment.device_kind,
        "device_name": one_line(environment.device_name),
        "num_cpu_threads": environment.num_cpu_threads,
        "torch": environment.versions.get("torch"),
        "num_test": data and data.num_test,
        "num_train": data and data.num_train,
        "data_fingerprint": data and data.fingerprint,
        "git_commit": environment.git_commit,
        "git_dirty": environment.git_dirty,
        "code_digest": record.code_digest,
        "started_at": record.started_at,
        "finished_at": record.finished_at,
        "micro_batch_size": _micro_batch_size(record),
        "imported_from": record.elsewhere and one_line(record.elsewhere.file),
        "remark": find_remark(record),
        **describe_data(data),
    }


def _micro_batch_size(record: Record) -> int | None:
    execution = record.train and record.train.execution
    return execution.micro_batch_size if execution else None


def find_remark(record: Record) -> str:
    """A caveat about values that count: memory ran out, or accuracy is at chance; '' without one."""
    if record.latency and record.latency.paper_does_not_fit:
        return "the paper's batch size does not fit into memory"
    return "; ".join(filter(None, [describe_chance(record), _describe_micro_batches(record)]))


def _describe_micro_batches(record: Record) -> str:
    execution = record.train.execution if record.train else None
    size = execution.micro_batch_size if execution else None
    if execution is None or size is None:
        return ""
    # A later seed starts with the size that an earlier seed ended with.
    later = [s for s in execution.shortages if (s.epoch, s.step) != (1, 1)]
    since = f" from epoch {later[0].epoch}, step {later[0].step}" if later else ""
    return f"batch norm used micro-batches of {size} images{since}, since whole batches do not fit into memory"


def _sample_columns(cell: LatencyCell | ImportedCell) -> dict[str, Any]:
    count = len(cell.samples_ms)
    # A record may hold fewer device samples than wall-clock samples.
    on_device = cell.device_samples_ms if isinstance(cell, LatencyCell) else None
    device = [*(on_device or ()), *([float("nan")] * count)]
    return {"sample": range(count), "wall_ms": cell.samples_ms, "device_ms": device[:count]}
