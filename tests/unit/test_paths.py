from pathlib import Path

import pytest

from resnest_bench.paths import Job, StudyPaths, check_name


@pytest.mark.parametrize("name", ["ResNeSt-14-2s1x64d", "b0", "a.b", "x+y_z", "0s"])
def test_ordinary_names_pass(name):
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "a/b", "..", "a..b", ".hidden", "a b", "-a", "a.", "a\n", "ä", "x" * 101, "a\\b"]
)
def test_a_name_that_is_no_folder_is_refused(name):
    with pytest.raises(ValueError, match="a name is made of letters"):
        check_name(name)


def test_a_record_stands_where_its_identity_says():
    paths = StudyPaths(Path("results/demo"))
    job = Job("train", "cifar10", "paper20", "ResNet-18", 3)
    expected = Path("results/demo/records/train/cifar10/paper20/ResNet-18/seed-3.json")
    assert paths.record(job) == expected


def test_jobs_that_differ_in_one_part_have_different_records():
    paths = StudyPaths(Path("r"))
    base = {"kind": "train", "dataset": "d", "recipe": "r", "variant": "v", "seed": 0}
    changes = [
        {},
        {"kind": "finetune"},
        {"dataset": "e"},
        {"recipe": "s"},
        {"variant": "w"},
        {"seed": 1},
    ]
    places = {paths.record(Job(**{**base, **change})) for change in changes}
    assert len(places) == len(changes)


def test_a_job_of_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match=r"kind .*train, latency, finetune"):
        Job("test", "d", "r", "v", 0)
