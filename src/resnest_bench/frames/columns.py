"""What each column of the tidy tables means, with its unit; `docs/columns.md` is generated from it."""

from collections.abc import Mapping
from typing import get_args

from resnest_bench.frames.rows import CELL_COLUMNS, EPOCH_COLUMNS, RUN_COLUMNS, SAMPLE_COLUMNS
from resnest_bench.records.metrics import METRICS
from resnest_bench.records.observations import EpochObservation
from resnest_bench.specs.latency import Layout, Mode, Precision

TABLES = {
    "runs": (
        "`runs.csv`, `runs.parquet`: one row per training, fine-tuning and latency job of the study, "
        "finished or not.",
        RUN_COLUMNS,
    ),
    "latency_cells": (
        "`latency_cells.csv`: one row per latency job and setting (batch size, precision, layout, mode).",
        CELL_COLUMNS,
    ),
    "epochs": ("`epochs.csv`: one row per epoch of a training or fine-tuning.", EPOCH_COLUMNS),
    "samples": (
        "Latency samples (`resnest_bench.frames.rows.samples_frame`): one row per timed call.",
        SAMPLE_COLUMNS,
    ),
}
UNITS = {
    "fraction": "as a fraction",
    "ratio": "as a ratio",
    "kappa": "at most 1",
    "score": "0 to 2",
}
TEXTS = {
    "kind": "train, finetune, latency or deploy",
    "dataset": "Name of the dataset in the config",
    "dataset_label": "Label of the dataset",
    "recipe": "Name of the recipe; for a latency job, of its protocol",
    "variant": "Name of the network in the config",
    "seed": "Seed of a training; for a latency job, its round",
    "status": "ok, stale (made by another config, code or data), failed, missing or invalid",
    "reason": "Why the status is not ok",
    "device_kind": "cpu, cuda, or unknown (imported results)",
    "device_name": "Name of the GPU, or of the CPU with its logical cores; of imported results as stated",
    "num_cpu_threads": "Number of torch's CPU threads",
    "torch": "Version of torch",
    "num_test": "Number of test images",
    "num_train": "Number of training images",
    "data_fingerprint": "SHA-256 of the prepared data",
    "git_commit": "Git commit of the code",
    "git_dirty": "Whether the code had uncommitted changes",
    "code_digest": "Digest of the code that the result depends on",
    "started_at": "Start time, UTC",
    "finished_at": "End time, UTC",
    "micro_batch_size": "Images per forward pass, if a whole batch did not fit into memory",
    "imported_from": "File that the result was imported from; empty for results of this program",
    "remark": "A caveat about a result that counts",
    "leakage_note": "Test images that are also training images",
    "imbalance_note": "Classes of very different size among the test images",
    "data_note": "Other findings about the data, such as images left out",
    "to_do": "Whether the next run of the workflow runs the job (again)",
    "record": "File of the record",
    "reference_before_ms": "Median time of the reference network before the job, ms",
    "reference_after_ms": "Median time of the reference network after the job, ms",
    "reference_model": "Name of the reference network",
    "reference_batch_size": "Batch size of the reference network",
    "batch_size": "Images per call",
    "precision": " / ".join(get_args(Precision)),
    "layout": " / ".join(get_args(Layout)),
    "mode": " / ".join(get_args(Mode)),
    "available": "Whether it was measured",
    "unavailable_reason": "Why it was not measured",
    "does_not_fit": "Whether it did not fit into memory",
    "primary": "Whether its median is the variant's latency in tables",
    "n": "Number of timed calls",
    "mean_ms": "Mean time of a call, ms",
    "p50_ms": "Median time of a call, ms",
    "p90_ms": "90th percentile of the times, ms",
    "p99_ms": "99th percentile of the times, ms",
    "iqr_ms": "Interquartile range of the times, ms",
    "noisy": "Whether the interquartile range exceeds 10 % of the median",
    "ms_per_image": "Median time of a call divided by the batch size, ms",
    "throughput_images_per_second": "Batch size divided by the median time of a call, images/s",
    "device_p50_ms": "Median time of a call by the GPU's clock, ms",
    "first_call_ms": "Time of the first call, ms",
    "peak_memory_bytes": "Peak GPU memory, bytes",
    "output_error": "Largest difference between the outputs in this mode and in eager mode",
    "peak_rss_bytes": "Peak resident memory of the process, bytes",
    "added_bytes": "The same minus that of the process before it loaded the network, bytes",
    "consumption_gap": "Why there is no memory or energy, where the protocol asks for it",
    "reference_before_joules": "Energy per image of the reference network before the cells, J",
    "reference_after_joules": "Energy per image of the reference network after the cells, J",
    "resident_bytes": "Peak resident memory of a process that runs this cell alone, on a CPU, bytes",
    "energy_joules_per_image": "Energy per image of all counters of the device, J",
    "cost_per_million_images": "Cost of a million images at `tables.price_per_hour`, in its currency",
    "reference_drift": "Relative change of the reference network's time over the job",
    "flops_per_second": "Peak arithmetic of the device in this precision, operations/s; empty in older records",
    "bytes_per_second": "Memory bandwidth of the device, read plus written, bytes/s",
    "operator_ms": "Overhead of an operator in this mode's runtime, ms",
    "num_operators": "Operators started in one call",
    "sample": "Number of the call, from 0",
    "wall_ms": "Wall-clock time of the call, ms",
    "device_ms": "Time of the call by the GPU's clock, ms",
    "epoch": "Number of the epoch, from 1",
    "train_seconds": "Training time without evaluations, s",
    "evaluation_seconds": "Time of the evaluation after the epoch, s",
    "images_per_second": "Training throughput, images/s",
    "validation_accuracy": "Accuracy on the held-out training images, as a fraction",
    "test_accuracy": "Accuracy on the test images, as a fraction",
}


def describe_column(name: str) -> str:
    """Describe a column in a phrase with its unit. Raises KeyError for a column that no table has."""
    if name in TEXTS:
        return TEXTS[name]
    if name in METRICS:
        metric = METRICS[name]
        return f"{metric.label}, {UNITS.get(metric.unit) or 'in ' + metric.unit}"
    text = EpochObservation.model_fields[name].description
    if text is None:
        raise KeyError(name)
    return text


def columns_page(more: Mapping[str, tuple[str, Mapping[str, str]]] | None = None) -> str:
    """Return the page `docs/columns.md`.

    `more` has further tables by title: an introduction, and what each of their columns means.
    """
    parts = [
        "# Columns of the tables",
        "",
        "These are the tidy tables of a study, in `results/<study>/tables/`.",
        "Values are not rounded; a value that does not apply is empty.",
        "`make generated` writes this page.",
    ]
    for title, (text, columns) in TABLES.items():
        rows = [f"| `{name}` | {describe_column(name)} |" for name in columns]
        parts += ["", f"## {title}", "", text, "", "| column | meaning |", "|---|---|", *rows]
    for title, (text, meanings) in (more or {}).items():
        rows = [f"| `{name}` | {meaning} |" for name, meaning in meanings.items()]
        parts += ["", f"## {title}", "", text, "", "| column | meaning |", "|---|---|", *rows]
    return "\n".join(parts) + "\n"
