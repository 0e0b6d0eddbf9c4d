"""What `plan` says of the classes of a study's data, before and after they are prepared."""

import csv

import numpy as np
import pytest
import torch
from PIL import Image

from resnest_bench.cli.plan import check_study
from resnest_bench.data import prepare
from resnest_bench.errors import UserError
from resnest_bench.planning.classes import describe_classes
from resnest_bench.planning.clock import Clock
from resnest_bench.planning.datasets import find_side, inspect_dataset
from support.records_factory import CONFIG, make_study

COUNTS = {("train", "cat"): 9, ("train", "dog"): 3, ("test", "cat"): 4, ("test", "dog"): 1}


@pytest.fixture
def table(tmp_path):
    rows = []
    for (part, name), num in COUNTS.items():
        for _ in range(num):
            pixels = np.random.default_rng(len(rows)).integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"{len(rows)}.png")
            rows.append((f"{len(rows)}.png", name, part))
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "label", "split"), *rows])
    return tmp_path / "labels.csv"


def make_table_study(tmp_path, **dataset):
    datasets = {**CONFIG["datasets"], "low": dataset}
    return make_study(datasets=datasets, data_dir=str(tmp_path / "data"))


def test_imbalance_and_copies_are_said(table, tmp_path):
    study = make_table_study(tmp_path, source="table", path=str(table), image_size=16)
    (before,) = describe_classes(study)
    assert "train: cat 9, dog 3" in before
    assert "always answering cat is right in 80 %" in before.lower()
    assert "3 in training, 4 in testing" in before
    # A look prepares nothing, and writes no report.
    assert not (tmp_path / "data").exists()
    facts = inspect_dataset(study, "low", Clock(torch.device("cpu")))
    assert (facts.num_train, facts.num_test, facts.num_classes) == (12, 5, 2)
    prepare(study.dataset("low"), "low", study.prepared("low"), tmp_path / "data" / "downloads")
    (after,) = describe_classes(study)
    assert "0 test images are also training images" in after


def test_what_cannot_be_counted_is_left_to_those_who_read_it(tmp_path):
    missing = make_table_study(tmp_path, source="table", path="none.csv", image_size=16)
    assert describe_classes(missing) == []


def test_the_side_of_a_file_is_read_from_its_header(tmp_path):
    arrays = {
        f"{key}_{what}": np.zeros((3, 64, 64, 3)[: 4 if what == "images" else 1], np.uint8)
        for key in ("train", "test")
        for what in ("images", "labels")
    }
    arrays |= {f"{key}_labels": np.array([0, 1, 1], np.uint8) for key in ("train", "test")}
    np.savez(tmp_path / "some.npz", **arrays)
    study = make_table_study(tmp_path, source="medmnist", path=str(tmp_path / "some.npz"))
    assert find_side(study, "low") == 64
    facts = inspect_dataset(study, "low", Clock(torch.device("cpu")))
    assert (facts.num_train, facts.image_size, facts.stored_shape) == (3, 64, (64, 64))
    assert "train: 0 1, 1 2" in describe_classes(study)[0]


@pytest.mark.parametrize(("size", "side"), [(None, 28), (32, 32)])
def test_named_sets_have_their_own_side(size, side, tmp_path):
    more = {"image_size": size} if size else {}
    study = make_table_study(tmp_path, source="torchvision", name="mnist", **more)
    assert find_side(study, "low") == side
    facts = inspect_dataset(study, "low", Clock(torch.device("cpu")))
    assert (facts.num_train, facts.num_classes, facts.image_size) == (60_000, 10, side)


def test_a_mistake_in_a_table_stops_the_plan(table, tmp_path):
    study = make_table_study(tmp_path, source="table", path=str(table), image_size=32)
    check_study(study, tmp_path / "results")
    table.write_text(table.read_text().replace(",test", ",tset"))
    with pytest.raises(UserError, match="got 'tset'"):
        check_study(study, tmp_path / "results")
