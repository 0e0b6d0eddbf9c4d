"""From a table of labels to a record: the YAML's words, the plan, the arrays and one training."""

import csv

import numpy as np
import pytest
import torch

from resnest_bench.cli.inputs import prepare_datasets
from resnest_bench.cli.plan import check_study
from resnest_bench.frames.data_notes import describe_data
from resnest_bench.planning.classes import describe_classes
from resnest_bench.specs import load_study
from resnest_bench.training.jobs import run_job

CONFIG = """
study: own
seeds: [0]
variants:
  - {name: A, family: resnest, layers: [1], radix: 0, width: 16, stem: small}
datasets:
  cells: {source: table, path: labels.csv, image_size: 16, channels: 5, validation: hold_out}
recipes:
  quick: {epochs: 1, batch_size: 8, learning_rate: 0.05, validation_fraction: 0.1, layout: contiguous, mode: eager}
train:
  - {dataset: cells, recipe: quick}
"""
COUNTS = {("train", "a"): 8, ("train", "b"): 4, ("test", "a"): 9, ("test", "b"): 3, ("val", "a"): 2}


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = []
    for (part, label), num in COUNTS.items():
        for _ in range(num):
            values = np.random.default_rng(len(rows)).integers(0, 4096, (16, 16, 5))
            np.save(tmp_path / f"{len(rows)}.npy", values.astype(np.uint16))
            rows.append((f"{len(rows)}.npy", label, part))
    with open("labels.csv", "w", newline="") as file:
        csv.writer(file).writerows([("image", "label", "split"), *rows])
    (tmp_path / "study.yaml").write_text(CONFIG)
    return load_study(tmp_path / "study.yaml")


def test_a_table_becomes_a_record(study, tmp_path):
    results = tmp_path / "results"
    check_study(study, results)
    assert describe_classes(study)
    (said, _) = prepare_datasets(study, [])
    assert "14 + 12 images in 2 classes" in said
    (record,) = run_job(study, "train", "cells", "quick", "A", torch.device("cpu"), results)
    seen = record.dataset
    assert (seen.num_train, seen.num_validation, seen.num_test) == (12, 2, 12)
    assert seen.train_images_per_class == [10, 4]
    assert seen.reading.num_given_validation == 2
    assert seen.reading.white_value == 4095
    assert record.train.epochs[0].validation_accuracy in (0.0, 0.5, 1.0)
    notes = describe_data(seen)
    assert "the data's own 2" in notes["data_note"]
    assert "always answering a is right in 75 %" in notes["imbalance_note"]
