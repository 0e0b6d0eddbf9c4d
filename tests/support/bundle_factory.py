"""A bundle of tiny networks, made without torch's exporter, and results of it without a clock.

`make_bundle` itself is called; only what it exports is made by hand: one matrix product for each network.
"""

import copy
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper

from resnest_bench.bundle import make, runner
from resnest_bench.bundle.measuring import make_images
from resnest_bench.bundle.networks import Exported
from resnest_bench.data import prepare
from resnest_bench.deploy.problems import ExportError
from resnest_bench.paths import DataPaths
from resnest_bench.specs import StudySpec, load_study
from support.records_factory import CONFIG

PROTOCOL = {
    "batch_sizes": [1, 3],
    "min_samples": 5,
    "min_seconds": 0.0,
    "warmup_calls": 1,
    "warmup_seconds": 0.0,
    "paper_batch_size": None,
    "reference_model": "test_resnet",
    "reference_batch_size": 2,
    "reference_samples": 3,
}
CHANGES: dict[str, Any] = {
    "study": "toy",
    "protocols": {"fast": PROTOCOL},
    "latency": [{"dataset": "low", "protocol": "fast", "rounds": 2}],
    "train": [{"dataset": "low", "recipe": "quick", "variants": ["A", "B"]}],
    "finetune": [],
    "tables": {"tradeoff": {}},
}


def write_config(folder: Path) -> Path:
    """The config of the study `toy` with the variants A, B and T."""
    config = folder / "config" / "toy" / "config.yaml"
    config.parent.mkdir(parents=True)
    made = {**CONFIG, **CHANGES, "data_dir": str(folder / "data")}
    config.write_text(yaml.safe_dump(made, sort_keys=False))
    return config


def prepare_data(study: StudySpec) -> None:
    downloads = DataPaths(Path(study.data_dir)).downloads
    prepare(study.dataset("low"), "low", study.prepared("low"), downloads)


def make_network(image: dict[str, int], num_classes: int, seed: int) -> tuple[bytes, list[float]]:
    """An ONNX file of one matrix product with a free batch size, and the logits of the first image."""
    size = image["channels"] * image["size"] ** 2
    weights = np.random.default_rng(seed).normal(size=(size, num_classes)).astype(np.float32)
    shape = ["batch", image["channels"], image["size"], image["size"]]
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["images"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
        ],
        "toy",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", num_classes])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    logits = make_images(1, image).reshape(1, -1).astype(np.float64) @ weights
    return model.SerializeToString(), logits[0].tolist()


def export_by_hand(variant: Any, num_classes: int, image: dict[str, int], weights: Any) -> Exported:
    """In place of `export_network`: T is a network that ONNX has no operator for."""
    if variant.name == "T":
        raise ExportError("can't be exported to ONNX: operator aten.odd is not supported")
    content, logits = make_network(image, num_classes, ord(variant.name))
    facts = {
        "num_params": 100,
        "num_macs": 100,
        "num_activations": num_classes,
        "uncounted_operators": {},
        "size_args": {},
        "logits": logits,
        "num_operators": 2,
    }
    return Exported(content, facts)


def export_probe(operators: int = 0) -> tuple[str, bytes, dict[str, Any]]:
    image = {"channels": 1, "size": 4}
    name = f"probe-{'operators' if operators else 'matmul'}.onnx"
    facts = {"shape": [1, 1, 4, 4], "flops": 64, "operators": operators}
    return name, make_network(image, 2, 0)[0], facts


def make_tiny_bundle(folder: Path, monkeypatch: Any) -> tuple[Path, Path]:
    """A study's config and the unpacked bundle of its networks A and B."""
    monkeypatch.setattr(make, "export_network", export_by_hand)
    monkeypatch.setattr(make, "export_reference", lambda _, image: make_network(image, 10, 1)[0])
    monkeypatch.setattr(make, "export_probes", lambda: [export_probe(), export_probe(3)])
    monkeypatch.setattr(make, "COPY_BYTES", 4096)
    config = write_config(folder)
    study = load_study(config)
    prepare_data(study)
    archive = folder / "toy-bundle.tar.gz"
    made = make.make_bundle(study, study.paths(folder / "results"), archive)
    assert made.networks == ("A", "B")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return config, folder / "toy-bundle"


# Milliseconds of a call on the device: A is the slower one.
DEVICE_MS = {"A": 8.0, "B": 2.0}


def make_results(bundle: Path, name: str = "Toy", **device: Any) -> dict[str, Any]:
    """The results file of a device, whose times are chosen: 1 % more in the second round."""
    manifest = runner.read_manifest(bundle)
    jobs = []
    for number in range(2):
        for network in manifest["networks"]:
            p50 = DEVICE_MS[network["variant"]] * (1 + number / 100)
            jobs.append(
                {
                    **{key: network[key] for key in ("variant", "digest", "sha256")},
                    "round": number,
                    "started_at": "2026-01-01T00:00:00+00:00",
                    "finished_at": "2026-01-01T00:00:09+00:00",
                    "build_ms": 5.0,
                    "first_call_ms": 9.0,
                    "cold_start_ms": 15.0,
                    "cells": [
                        {
                            "batch_size": batch,
                            "first_call_ms": 20.0,
                            "num_warmup": 1,
                            "samples_ms": [p50 * batch * f for f in (0.98, 0.99, 1, 1.01, 1.02)],
                            "output_error": 1e-7,
                        }
                        for batch in (1, 3)
                    ],
                    "unavailable": [],
                    "reference_before_ms": [3.0 + number / 100] * 3,
                    "reference_after_ms": [3.01 + number / 100] * 3,
                    "peak_rss_bytes": 50_000_000,
                    "state_before": {"temperature_c": 41.0, "cpu_load_1min": 0.1},
                    "state_after": {"temperature_c": 48.5, "cpu_load_1min": 1.0},
                }
            )
    return copy.deepcopy(
        {
            "kind": runner.KIND,
            "format": runner.FORMAT,
            "bundle_sha256": runner.digest(manifest),
            "bundle": manifest,
            "device": {
                "name": name,
                "cpu_model": "Toycore 1",
                "threads": 2,
                "os": "Linux-toy",
                "python": "3.9.2",
                "versions": {"numpy": "2.0.2", "onnxruntime": "1.19.2"},
                "facts": {"board": "Toy board", "governor": "performance"},
                **device,
            },
            "started_at": "2026-01-01T00:00:00+00:00",
            "ceilings": {
                "flops_per_second": 1e9,
                "bytes_per_second": 1e9,
                "operator_ms": 0.01,
            },
            "jobs": jobs,
        }
    )
