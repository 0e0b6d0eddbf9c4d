"""Write a study of many synthetic records: what the tables and the dashboard are timed on.

    python benchmarks/make_records.py --records 10000 --out /tmp/results --tables

Nothing here was measured, and every record says so in its dataset's label and its device's name.
The same arguments give the same bytes, as long as the package's code is the same.
"""

import argparse
import json
from itertools import cycle, islice, product
from pathlib import Path
from typing import Any

import numpy as np

from resnest_bench import records
from resnest_bench.digests import code_digest, json_digest
from resnest_bench.paths import Job, StudyPaths
from resnest_bench.report.tables import write_tables
from resnest_bench.specs import StudySpec, dump_study, study_from_config

LABEL = "synthetic: no measurement"
DEVICE = "synthetic"
DATASET, RECIPE, PROTOCOL = "synthetic", "synthetic20", "synthetic"
NUM_EPOCHS = 20
NUM_TEST = 10_000
NUM_SAMPLES = 100
BATCH_SIZES = (1, 8, 64, 256)
LAYOUTS = ("channels_last", "contiguous")
# With --gaps: of so many jobs one has no record, or a failed one.
MISSING_EVERY, FAILED_EVERY = 97, 89


def make_study(num_records: int, num_seeds: int = 4, num_rounds: int = 1) -> StudySpec:
    """A study of at most `num_records` jobs: each variant has `num_seeds` + `num_rounds` of them."""
    num_variants = max(1, num_records // (num_seeds + num_rounds))
    return study_from_config(
        {
            "study": f"synthetic-{num_records}",
            "seeds": list(range(num_seeds)),
            "variants": _variants(num_variants),
            "datasets": {DATASET: {"source": "digits"}},
            "recipes": {RECIPE: {"epochs": NUM_EPOCHS, "learning_rate": 0.1}},
            "protocols": {PROTOCOL: {"batch_sizes": BATCH_SIZES, "layouts": LAYOUTS}},
            "train": [{"dataset": DATASET, "recipe": RECIPE}],
            "latency": [{"dataset": DATASET, "protocol": PROTOCOL, "rounds": num_rounds}],
            "tables": {"tradeoff": {}},
        },
        "make_records.py",
    )


def _variants(count: int) -> list[dict[str, Any]]:
    """`count` different ResNeSt; their names are numbered, since settings may recur."""
    settings = product((0, 1, 2, 4), (1, 2), (16, 32, 40, 64), range(1, 4), range(1, 7))
    return [
        {
            "name": f"net-{number:05d}-{radix}s{cardinality}x{width}d",
            "family": "resnest",
            "layers": [2, 2, late, middle],
            "radix": radix,
            "cardinality": cardinality,
            "width": width,
            "stem": "small",
        }
        for number, (radix, cardinality, width, late, middle) in enumerate(
            islice(cycle(settings), count)
        )
    ]


def make_record(study: StudySpec, job: Job, number: int) -> dict[str, Any]:
    """The finished record of one job as JSON values. `number` is its variant's, from 0."""
    rng = np.random.default_rng([number, job.seed, job.kind == "latency"])
    # In millions of parameters: a larger network is slower and, up to a point, more accurate.
    size = 0.5 + 40 * (number * 0.618034 % 1) ** 2
    make = _latency if job.kind == "latency" else _training
    return {
        "schema_version": records.SCHEMA_VERSION,
        "job": dict(vars(job)),
        "status": "ok",
        "failure": None,
        "spec": study.job_spec(job),
        "code_digest": code_digest(job.kind),
        "dataset": {
            "name": job.dataset,
            "label": LABEL,
            "fingerprint": json_digest(LABEL),
            "num_train": 50_000,
            "num_validation": 0,
            "num_test": NUM_TEST,
            "classes": list("0123456789"),
        },
        "train": None,
        "latency": None,
        **make(size, rng),
        "environment": _environment(),
        "started_at": "2026-01-01T00:00:00+00:00",
        "finished_at": "2026-01-01T00:10:00+00:00",
    }


def _environment() -> dict[str, Any]:
    return {
        "git_commit": None,
        "git_dirty": None,
        "python": "3.11.7",
        "versions": {"torch": "2.11.0", "torchvision": "0.26.0"},
        "os": "synthetic",
        "device_kind": "cpu",
        "device_name": DEVICE,
        "device_index": None,
        "cuda": None,
        "cudnn": None,
        "driver": None,
        "cpu_model": DEVICE,
        "num_cpu_threads": 2,
        "allocator": None,
        "precision_flags": {},
    }


def _training(size: float, rng: np.random.Generator) -> dict[str, Any]:
    expected = 0.75 + 0.04 * np.log(size) - 0.008 * np.log(size) ** 2 + rng.normal(0, 0.004)
    correct = rng.random(NUM_TEST) < expected
    seconds = 10 + 4 * size
    return {
        "train": {
            "num_params": int(size * 1e6),
            "num_trainable_params": int(size * 1e6),
            "epochs": _epochs(float(correct.mean()), seconds, rng),
            "num_test": NUM_TEST,
            "test_correct": records.pack_bits(correct),
            "wall_seconds": NUM_EPOCHS * 1.1 * seconds,
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
    }


def _epochs(accuracy: float, seconds: float, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Curves that rise steeply, then level off at `accuracy` (a fraction)."""
    progress = 1 - np.exp(-np.arange(1, NUM_EPOCHS + 1) / 4)
    progress /= progress[-1]
    reached = (0.1 + (accuracy - 0.1) * progress).tolist()
    losses = (2.3 - 1.5 * progress + rng.normal(0, 0.01, NUM_EPOCHS)).tolist()
    reached[-1] = accuracy
    return [
        {
            "epoch": k + 1,
            "learning_rate": 0.05 * (1 + np.cos(np.pi * k / NUM_EPOCHS)),
            "train_loss": losses[k],
            "train_accuracy": 0.98 * reached[k],
            "validation_accuracy": None,
            "test_accuracy": reached[k],
            "test_loss": losses[k] + 0.1,
            "train_seconds": seconds,
            "evaluation_seconds": 0.1 * seconds,
            "images_per_second": 50_000 / seconds,
        }
        for k in range(NUM_EPOCHS)
    ]


def _latency(size: float, rng: np.random.Generator) -> dict[str, Any]:
    base_ms = (1 + 0.4 * size) * rng.normal(1, 0.02)
    cells = [_cell(batch, layout, base_ms, rng) for layout in LAYOUTS for batch in BATCH_SIZES]
    state = dict.fromkeys(
        (
            "sm_clock_mhz",
            "memory_clock_mhz",
            "temperature_c",
            "power_w",
            "throttle_reasons",
            "num_other_processes",
        )
    ) | {"cpu_load_1min": 1.0}
    return {
        "latency": {
            "image_size": 32,
            "num_classes": 10,
            "num_params": int(size * 1e6),
            "num_macs": int(size * 3e7),
            "num_activations": int(size * 2e5),
            "uncounted_operators": {"aten::relu": 16},
            "build_ms": 10 * base_ms,
            "cold_start_ms": 30 * base_ms,
            "first_call_ms": 9 * base_ms,
            "cells": cells,
            "unavailable": [],
            "paper": {"batch_size": 256, "num_batches": 10, "total_ms": 1000 * base_ms},
            "reference": {
                "model": "resnet18",
                "batch_size": 8,
                "before_ms": _samples(8, 20, rng),
                "after_ms": _samples(8, 20, rng),
            },
            "peak_rss_bytes": 300_000_000 + int(size * 8e6),
            "state_before": state,
            "state_after": state,
        }
    }


def _cell(batch: int, layout: str, base_ms: float, rng: np.random.Generator) -> dict[str, Any]:
    median_ms = base_ms * (1 + 0.4 * (batch - 1)) * (1 if layout == LAYOUTS[0] else 1.15)
    return {
        "batch_size": batch,
        "precision": "fp32",
        "layout": layout,
        "mode": "eager",
        "first_call_ms": 3 * median_ms,
        "num_warmup": 5,
        "samples_ms": _samples(median_ms, NUM_SAMPLES, rng),
        "device_samples_ms": None,
        "peak_memory_bytes": None,
    }


def _samples(median_ms: float, count: int, rng: np.random.Generator) -> list[float]:
    """Around the median, with the long right tail that latencies have."""
    return [float(value) for value in median_ms * rng.lognormal(0, 0.04, count)]


def failed(record: dict[str, Any]) -> dict[str, Any]:
    """The record of the same job, had it stopped."""
    failure = {"reason": f"{LABEL}, and no failure either", "epoch": None, "step": None}
    return {**record, "status": "failed", "failure": failure, "train": None, "latency": None}


def write_study(study: StudySpec, paths: StudyPaths, gaps: bool = False) -> int:
    """Write study.json and the records; return the number of records.

    Plain writes: `records.write` waits for the disk each time. With `gaps`, some records are left
    out and some say that their job failed.
    """
    paths.root.mkdir(parents=True, exist_ok=True)
    paths.study.write_text(dump_study(study), encoding="utf-8")
    numbers = {name: number for number, name in enumerate(study.variant_names)}
    count = 0
    for index, job in enumerate(study.jobs(), start=1):
        if gaps and index % MISSING_EVERY == 0:
            continue
        record = make_record(study, job, numbers[job.variant])
        if gaps and index % FAILED_EVERY == 0:
            record = failed(record)
        path = paths.record(job)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        count += 1
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=10_000, help="jobs in all, at most")
    parser.add_argument("--seeds", type=int, default=4, help="trainings of a variant")
    parser.add_argument("--rounds", type=int, default=1, help="latency measurements of a variant")
    parser.add_argument("--out", type=Path, required=True, help="the results folder")
    parser.add_argument("--gaps", action="store_true", help="leave some out, let some fail")
    parser.add_argument("--tables", action="store_true", help="make the tables too")
    given = parser.parse_args()
    study = make_study(given.records, given.seeds, given.rounds)
    paths = study.paths(given.out)
    print(f"{write_study(study, paths, given.gaps)} synthetic records in {paths.root}")
    if given.tables:
        write_tables(study, paths)
        print(f"tables in {paths.tables}")


if __name__ == "__main__":
    main()
