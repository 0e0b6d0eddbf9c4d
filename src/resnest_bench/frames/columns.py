"""What each column of the tidy tables means, with its unit: `docs/columns.md` is written from it."""

from typing import get_args

from resnest_bench.frames.rows import CELL_COLUMNS, EPOCH_COLUMNS, RUN_COLUMNS, SAMPLE_COLUMNS
from resnest_bench.records.metrics import METRICS
from resnest_bench.records.observations import EpochObservation
from resnest_bench.specs.latency import Layout, Mode, Precision

TABLES = {
    "runs": (
        "`runs.csv`, `runs.parquet`: a row for each training, fine-tuning and latency that the study "
        "asks for, whatever became of it.",
        RUN_COLUMNS,
    ),
    "latency_cells": (
        "`latency_cells.csv`: a row for each latency job and setting (batch size, precision, layout, mode).",
        CELL_COLUMNS,
    ),
    "epochs": ("`epochs.csv`: a row for each epoch of a training or fine-tuning.", EPOCH_COLUMNS),
    "samples": (
        "Samples of latencies (`resnest_bench.frames.rows.samples_frame`): a row for each timed call.",
        SAMPLE_COLUMNS,
    ),
}
TEXTS = {
    "kind": "train, finetune or latency",
    "dataset": "Name of the data set in the config",
    "dataset_label": "Its label",
    "recipe": "Name of the recipe; of a latency the name of its protocol",
    "variant": "Name of the network in the config",
    "seed": "Seed of a training; of a latency its round",
    "status": "ok, stale (made by another config, code or data), failed, missing or invalid",
    "reason": "Why the status isn't ok",
    "device_kind": "cpu or cuda",
    "device_name": "Name of the GPU, or of the CPU with its logical cores",
    "num_cpu_threads": "Threads of torch",
    "torch": "Version of torch",
    "num_test": "Images that it was tested on",
    "num_train": "Images that it was trained on",
    "data_fingerprint": "SHA-256 of the prepared data",
    "git_commit": "Commit of the code that made it",
    "git_dirty": "Whether files had been edited since that commit",
    "code_digest": "Digest of the code that a result depends on",
    "started_at": "Start, UTC",
    "finished_at": "End, UTC",
    "micro_batch_size": "Images that went through the network at once, where a whole batch didn't fit",
    "remark": "What a reader must know of the result although it counts",
    "leakage_note": "Copies of test images among the training images",
    "data_note": "What else was found in the data: images left out, and the like",
    "to_do": "Whether the next run makes it (again)",
    "record": "File that holds it",
    "reference_before_ms": "Median time of the reference network before the job, ms",
    "reference_after_ms": "The same after the job, ms",
    "reference_model": "Which network that is",
    "reference_batch_size": "Its batch size",
    "batch_size": "Images in one call",
    "precision": " / ".join(get_args(Precision)),
    "layout": " / ".join(get_args(Layout)),
    "mode": " / ".join(get_args(Mode)),
    "available": "Whether it was measured",
    "unavailable_reason": "Why it was not",
    "does_not_fit": "Whether memory was too small for it",
    "primary": "Whether its median is the variant's latency in tables",
    "n": "Timed calls",
    "mean_ms": "Mean time of a call, ms",
    "p50_ms": "Median time of a call, ms",
    "p90_ms": "90th percentile, ms",
    "p99_ms": "99th percentile, ms",
    "iqr_ms": "Interquartile range, ms",
    "noisy": "Whether the interquartile range is above a tenth of the median",
    "ms_per_image": "Median time of a call over the batch size, ms",
    "throughput_images_per_second": "Batch size over the median time, images/s",
    "device_p50_ms": "Median time on the GPU's own clock, ms",
    "first_call_ms": "Time of the very first call, ms",
    "peak_memory_bytes": "Most memory of the GPU in use, bytes",
    "output_error": "Largest difference between this mode's outputs and eager's",
    "peak_rss_bytes": "Most memory of the process in use, bytes",
    "reference_drift": "Change of the reference network's time over the job, as a share",
    "sample": "Number of the call, from 0",
    "wall_ms": "Time of the call by the wall clock, ms",
    "device_ms": "Time of the call on the GPU's own clock, ms",
    "epoch": "Number of the epoch, from 1",
    "train_seconds": "Time of the epoch's training, s",
    "evaluation_seconds": "Time of the test after the epoch, s",
    "images_per_second": "Training images a second",
    "validation_accuracy": "Accuracy on the images held out of the training, as a fraction",
    "test_accuracy": "Accuracy on the test images, as a fraction",
}


def describe_column(name: str) -> str:
    """A phrase with the unit. Raises KeyError for a column that no table has."""
    if name in TEXTS:
        return TEXTS[name]
    if name in METRICS:
        metric = METRICS[name]
        unit = {"fraction": "as a fraction", "ratio": "as a ratio"}.get(metric.unit)
        return f"{metric.label}, {unit or 'in ' + metric.unit}"
    text = EpochObservation.model_fields[name].description
    if text is None:
        raise KeyError(name)
    return text


def columns_page() -> str:
    """The page `docs/columns.md`."""
    parts = [
        "# Columns of the tables",
        "",
        "The tidy tables of a study; files are in `results/<study>/tables/`. Values are not rounded; what does not "
        "apply is empty. `make generated` writes this page.",
    ]
    for title, (text, columns) in TABLES.items():
        rows = [f"| `{name}` | {describe_column(name)} |" for name in columns]
        parts += ["", f"## {title}", "", text, "", "| column | what it is |", "|---|---|", *rows]
    return "\n".join(parts) + "\n"
