"""Valid records without any training: `from support.records_factory import make_train_record`.

Values are chosen by the test or simple enough to be recomputed by hand. A record fits the study
(its spec, the code's digest), so that `collect` calls it ok; override fields to make it stale.
"""

import functools
from pathlib import Path
from typing import Any

import numpy as np

from resnest_bench import records
from resnest_bench.digests import code_digest
from resnest_bench.paths import Job, StudyPaths, predictions_file
from resnest_bench.records import Record
from resnest_bench.records.predictions import write_predictions
from resnest_bench.specs import StudySpec, dump_study, study_from_config

FINGERPRINT = "f" * 64
CPU = {"device_kind": "cpu", "device_name": "Testium 3000 (2 logical cores)", "device_index": None}
GPU = {"device_kind": "cuda", "device_name": "NVIDIA Testla", "device_index": 0}

CONFIG: dict[str, Any] = {
    "study": "synthetic",
    "seeds": [0, 1, 2],
    "variants": [
        {"name": "A", "family": "resnest", "layers": [1], "radix": 0, "width": 16, "stem": "small"},
        {"name": "B", "family": "resnest", "layers": [1], "radix": 2, "width": 16, "stem": "small"},
        {"name": "T", "family": "timm", "model": "resnet10t"},
    ],
    "datasets": {
        "low": {"source": "digits", "classes": [0, 1, 2]},
        "high": {"source": "digits", "classes": [3, 4, 5]},
    },
    "recipes": {
        "quick": {"epochs": 2, "batch_size": 128, "learning_rate": 0.05},
        "tune": {"epochs": 2, "batch_size": 128, "learning_rate": 0.01, "init": "pretrained"},
        "fresh": {"epochs": 2, "batch_size": 128, "learning_rate": 0.01},
    },
    "protocols": {"fast": {"batch_sizes": [1, 8]}},
    "train": [{"dataset": "low", "recipe": "quick"}],
    "latency": [{"dataset": "low", "protocol": "fast", "rounds": 1}],
    "finetune": [
        {
            "dataset": "high",
            "recipes": ["tune", "fresh"],
            "weights": {"A": {"train": "low/quick"}, "B": {"train": "low/quick"}},
        }
    ],
    "tables": {"ablation": {"variants": ["A", "B"]}, "tradeoff": {}},
}


def make_study(**changes: Any) -> StudySpec:
    """The study of CONFIG, with top-level keys replaced."""
    return study_from_config({**CONFIG, "data_dir": "/nonexistent", **changes}, "test")


def _record(job: Job, spec: dict, num_test: int, device: dict, **observed: Any) -> Record:
    fields = {
        "job": vars(job),
        "status": "ok",
        "failure": None,
        "spec": spec,
        "code_digest": code_digest(job.kind),
        "dataset": {
            "name": job.dataset,
            "label": f"Synthetic {job.dataset}",
            "fingerprint": FINGERPRINT,
            "num_train": 4 * num_test,
            "num_validation": 0,
            "num_test": num_test,
            "classes": ["a", "b", "c"],
        },
        "train": None,
        "latency": None,
        "environment": {
            "git_commit": "c0ffee",
            "git_dirty": False,
            "python": "3.11.7",
            "versions": {"torch": "2.11.0"},
            "os": "Linux",
            **CPU,
            "cuda": None,
            "cudnn": None,
            "driver": None,
            "cpu_model": "Testium 3000",
            "num_cpu_threads": 2,
            "precision_flags": {},
            **device,
        },
        "started_at": "2026-01-01T00:00:00+00:00",
        "finished_at": "2026-01-01T00:00:09+00:00",
    }
    return Record.model_validate({**fields, **observed})


def make_epochs(accuracy: float, count: int) -> list[dict[str, Any]]:
    """Epochs that rise linearly to `accuracy`: epoch k of n has k / n of it."""
    return [
        {
            "epoch": k,
            "learning_rate": 0.1,
            "train_loss": 2.0 / k,
            "train_accuracy": 0.9 * k / count,
            "validation_accuracy": None,
            "test_accuracy": accuracy if k == count else accuracy * k / count,
            "test_loss": 1.5 / k,
            "train_seconds": 2.0,
            "evaluation_seconds": 0.5,
            "images_per_second": 100.0 * k,
        }
        for k in range(1, count + 1)
    ]


def make_train_record(
    job: Job,
    spec: dict,
    accuracy: float = 0.5,
    num_test: int = 100,
    num_epochs: int = 2,
    num_params: int = 1000,
    device: dict = CPU,
    **fields: Any,
) -> Record:
    """A finished training or fine-tuning; `accuracy` is rounded to a count of `num_test` images."""
    num_correct = round(accuracy * num_test)
    correct = np.arange(num_test) < num_correct
    train = {
        "num_params": num_params,
        "num_trainable_params": num_params,
        "epochs": make_epochs(num_correct / num_test, num_epochs),
        "num_test": num_test,
        "test_correct": records.pack_bits(correct),
        "wall_seconds": 2.5 * num_epochs,
        "num_resumes": 0,
        "initial_weights": None,
        "final_weights_sha256": None,
        "execution": {
            "layout": "channels_last",
            "mode": "eager",
            "probe": [],
            "seeds_at_once": 1,
        },
    }
    return _record(job, spec, num_test, device, **{"train": train, **fields})


def random_predictions(
    labels: np.ndarray, accuracy: float, num_classes: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Predicted classes (N,) and logarithms of probabilities (N, K): about `accuracy` of them right."""
    draw = np.random.default_rng(seed)
    logits = draw.normal(size=(len(labels), num_classes))
    right = draw.random(len(labels)) < accuracy
    logits[np.flatnonzero(right), labels[right]] += 10
    wrong = np.flatnonzero(~right)
    logits[wrong, (labels[wrong] + draw.integers(1, num_classes, len(wrong))) % num_classes] += 10
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return logs.argmax(axis=1), logs


def with_predictions(record: Record, path: Path, accuracy: float, labels: np.ndarray) -> Record:
    """The record of a training with a file of predictions next to `path`, and what agrees with it."""
    assert record.dataset
    assert record.train
    classes = len(record.dataset.classes)
    predicted, logs = random_predictions(labels, accuracy, classes, record.job.seed + 100)
    correct = predicted == labels
    epochs = record.train.epochs
    last = epochs[-1].model_copy(update={"test_accuracy": float(correct.mean())})
    train = {
        "epochs": [*epochs[:-1], last],
        "num_test": len(labels),
        "test_correct": records.pack_bits(correct),
        "predictions": write_predictions(predictions_file(path), labels, predicted, logs),
    }
    return record.model_copy(
        update={
            "train": record.train.model_copy(update=train),
            "dataset": record.dataset.model_copy(update={"num_test": len(labels)}),
        }
    )


def with_counts(record: Record, actual: list[int], predicted: list[int]) -> Record:
    """The record of a training, with the test images and its predictions by class."""
    assert record.dataset
    assert record.train
    return record.model_copy(
        update={
            "dataset": record.dataset.model_copy(update={"test_images_per_class": actual}),
            "train": record.train.model_copy(update={"test_predictions_per_class": predicted}),
        }
    )


def make_cell(
    batch_size: int, samples_ms: list[float], precision: str = "fp32", **fields: Any
) -> dict:
    return {
        "batch_size": batch_size,
        "precision": precision,
        "layout": "channels_last",
        "mode": "eager",
        "first_call_ms": 50.0,
        "num_warmup": 5,
        "samples_ms": samples_ms,
        "device_samples_ms": None,
        "peak_memory_bytes": None,
        **fields,
    }


def make_latency_record(
    job: Job,
    spec: dict,
    p50_ms: float = 2.0,
    cells: list[dict] | None = None,
    unavailable: tuple = (),
    num_params: int = 1000,
    num_test: int = 100,
    device: dict = CPU,
    **fields: Any,
) -> Record:
    """A latency with batches 1 and 8; five samples around `p50_ms` a cell, 4 x slower at batch 8."""
    spread = (0.98, 0.99, 1.0, 1.01, 1.5)
    usual = [make_cell(b, [f * t for t in spread]) for b, f in ((1, p50_ms), (8, 4 * p50_ms))]
    latency = {
        "image_size": 32,
        "num_classes": 3,
        "num_params": num_params,
        "num_macs": 5_000_000,
        "num_activations": 40_000,
        "uncounted_operators": {"aten::relu": 3},
        "num_operators": 20,
        "ceilings": [
            {
                "runtime": "torch",
                "precision": "fp32",
                "flops_per_second": 2e10,
                "bytes_per_second": 4e9,
                "operator_ms": 0.01,
            }
        ],
        "build_ms": 10.0,
        "cold_start_ms": 80.0,
        "first_call_ms": 60.0,
        "cells": usual if cells is None else cells,
        "unavailable": list(unavailable),
        "paper": {"batch_size": 256, "num_batches": 10, "total_ms": 1280.0},
        "reference": {
            "model": "resnet18",
            "batch_size": 8,
            "before_ms": [9.0, 10.0, 12.0],
            "after_ms": [10.0, 11.0, 20.0],
        },
        "peak_rss_bytes": 300_000_000,
        "state_before": {},
        "state_after": {},
    }
    return _record(job, spec, num_test, device, **{"latency": latency, **fields})


def make_failed_record(job: Job, spec: dict, reason: str, epoch: int | None = None) -> Record:
    failure = {"reason": reason, "epoch": epoch, "step": None}
    return _record(job, spec, 100, CPU, status="failed", failure=failure)


def make_record(study: StudySpec, job: Job, **fields: Any) -> Record:
    """The right kind of record for `job`, fitting `study`."""
    make = make_latency_record if job.kind == "latency" else make_train_record
    return make(job, study.job_spec(job), **fields)


def default_accuracy(study: StudySpec, job: Job) -> float:
    """Differs by variant, recipe and seed: A 0.60, B 0.70, T 0.80, 0.01 a seed, fresh 0.2 less."""
    base = 0.6 + 0.1 * study.variant_names.index(job.variant)
    return base + 0.01 * job.seed - (0.2 if job.recipe == "fresh" else 0)


@functools.cache
def _whole_study(study_json: str) -> dict[Path, str]:
    """Relative path to text of every file: made once, since pydantic and fsync take their time."""
    study, paths = StudySpec.model_validate_json(study_json), StudyPaths(Path())
    texts = {paths.study: dump_study(study)}
    for job in study.jobs():
        if job.kind == "latency":
            p50_ms = 2.0 * (1 + study.variant_names.index(job.variant))
            record = make_record(study, job, p50_ms=p50_ms)
        else:
            record = make_record(study, job, accuracy=default_accuracy(study, job))
        texts[paths.record(job)] = record.model_dump_json(indent=1)
    return texts


def write_study(study: StudySpec, paths: StudyPaths) -> None:
    """study.json and a record for every job of the study; latencies 2, 4, 6 ms by variant."""
    for path, text in _whole_study(dump_study(study)).items():
        target = paths.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
