"""Bytes: counted by hand."""

from collections import namedtuple
from pathlib import Path

from resnest_bench.paths import DataPaths
from resnest_bench.planning import storage
from resnest_bench.planning.datasets import DatasetFacts
from resnest_bench.planning.estimate import Estimate, Group, Price
from resnest_bench.planning.storage import (
    Need,
    count_hub_bytes,
    list_downloads,
    list_needs,
    list_shortages,
)
from resnest_bench.planning.texts import describe_disk, describe_downloads
from support.records_factory import CONFIG, make_study

HUB = "resnet10t.c3_in1k"


def hub_study(tmp_path):
    block = {**CONFIG["finetune"][0], "weights": {"T": {"hub": HUB}}}
    datasets = {"low": {"source": "cifar10"}, "high": {"source": "digits", "classes": [3, 4]}}
    return make_study(finetune=[block], datasets=datasets, data_dir=str(tmp_path))


def test_archives_and_weights_that_are_not_here_are_named_with_their_size(tmp_path):
    study = hub_study(tmp_path)
    cifar, hub = list_downloads(study, study.jobs())
    assert (cifar.name, cifar.num_bytes) == ("CIFAR-10", 170_498_071)
    # timm's table says 5.44 million parameters, of four bytes each; its norms have statistics too.
    assert hub.name == HUB
    assert 4 * 5.43e6 < hub.num_bytes < 4 * 5.47e6
    text = describe_downloads([cifar, hub])
    assert "170 MB" in text
    assert "22 MB" in text


def test_what_is_here_is_not_fetched(tmp_path):
    study = hub_study(tmp_path)
    places = DataPaths(tmp_path)
    for file in (places.hub_weights(HUB), places.downloads / "cifar-10-python.tar.gz"):
        file.parent.mkdir(parents=True)
        file.touch()
    assert list_downloads(study, study.jobs()) == []
    assert describe_downloads([]) == ""


def test_a_name_that_nobody_knows_has_no_size():
    assert count_hub_bytes("no_such_network.tag") is None


def test_arrays_kept_weights_and_the_largest_checkpoint_are_written(tmp_path):
    study = make_study(data_dir=str(tmp_path))
    prices = {
        Group("train", "low", "quick", "A"): Price(3, 1, 1.0, 1.0, num_params=1000),
        Group("train", "low", "quick", "T"): Price(3, 1, 1.0, 1.0, num_params=5000),
    }
    facts = {"low": DatasetFacts(1, 1, 8, 2, (8, 8), prepare_seconds=1.0, prepare_bytes=777)}
    needs = list_needs(study, tmp_path, study.jobs(), Estimate(prices, facts))
    # Of all three seeds. A checkpoint has momenta too.
    assert {need.what: need.num_bytes for need in needs} == {
        "prepared images": 777,
        "kept weights": 3 * 4 * (1000 + 5000),
        "checkpoints": 2 * 4 * 5000,
    }


def test_what_does_not_fit_brings_a_warning(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(storage.shutil, "disk_usage", lambda place: usage(0, 0, 1_000_000))
    fits = [Need("kept weights", tmp_path / "not/there", 900_000)]
    more = [*fits, Need("checkpoints", tmp_path, 200_000)]
    assert list_shortages(fits) == []
    ((place, total, free),) = list_shortages(more)
    assert (Path(place), total, free) == (tmp_path, 1_100_000, 1_000_000)
    assert any("Warning" in line for line in describe_disk(more))
    assert not any("Warning" in line for line in describe_disk(fits))
