"""What was trained before is not trained again: a renamed training is found by what it is."""

import shutil

import pytest
import torch

from resnest_bench import records
from resnest_bench.paths import Job, StudyPaths
from resnest_bench.records.predictions import read_predictions
from resnest_bench.training import jobs as jobs_module
from resnest_bench.training.jobs import run_job

CPU = torch.device("cpu")


@pytest.fixture
def trained(make_study, config, tmp_path):
    """The config, and the records of its variant A under results/unit."""
    study = make_study(config)
    return config, run_job(study, "train", "low", "r", "A", CPU, tmp_path)


@pytest.fixture
def no_training(monkeypatch):
    monkeypatch.setattr(jobs_module, "_train", lambda *_: pytest.fail("trained again"))


def rename_variant(config):
    config["variants"][0]["name"] = "Z"
    config["finetune"] = []
    return "unit", "low", "r", "Z"


def rename_recipe(config):
    config["recipes"]["s"] = config["recipes"].pop("r")
    config["train"][0]["recipe"] = "s"
    config["finetune"] = []
    return "unit", "low", "s", "A"


def rename_dataset(config):
    config["datasets"]["lower"] = config["datasets"].pop("low")
    config["train"][0]["dataset"] = "lower"
    config["finetune"] = []
    return "unit", "lower", "r", "A"


def rename_study(config):
    config["study"] = "another"
    return "another", "low", "r", "A"


@pytest.mark.parametrize("rename", [rename_variant, rename_recipe, rename_dataset, rename_study])
def test_a_renamed_training_keeps_its_record(trained, make_study, tmp_path, no_training, rename):
    config, before = trained
    (tmp_path / "unit/study.json").write_text("{}")
    name, dataset, recipe, variant = rename(config)
    study = make_study(config)
    after = run_job(study, "train", dataset, recipe, variant, CPU, tmp_path)
    assert [r.train for r in after] == [r.train for r in before]
    for record in after:
        job = Job("train", dataset, recipe, variant, record.job.seed)
        assert record.job.job == job
        assert record.spec == study.job_spec(job)
        paths = StudyPaths(tmp_path / name)
        assert records.read(paths.record(job), job) == record
        assert read_predictions(paths.predictions(job), record) is not None


class TrainedError(Exception):
    """Instead of a training."""


@pytest.mark.parametrize("change", [("variants", 0, "dropout"), ("recipes", "r", "momentum")])
def test_another_spec_is_trained(trained, make_study, tmp_path, monkeypatch, change):
    config, _ = trained
    rename_variant(config)
    part, key, field = change
    config[part][key][field] = 0.1

    def train(*_):
        raise TrainedError

    monkeypatch.setattr(jobs_module, "_train", train)
    with pytest.raises(TrainedError):
        run_job(make_study(config), "train", "low", "r", "Z", CPU, tmp_path, seeds=[0])


def test_weights_come_along_and_damaged_ones_are_trained_anew(trained, make_study, tmp_path):
    config, before = trained
    rename_study(config)
    (tmp_path / "unit/study.json").write_text("{}")
    study = make_study(config)
    job = Job("train", "low", "r", "A", 0)
    (record,) = run_job(study, "train", "low", "r", "A", CPU, tmp_path, seeds=[0])
    copied = study.paths(tmp_path).weights(job)
    assert copied.read_bytes() == make_study(config).paths(tmp_path).weights(job).read_bytes()
    assert record.train.final_weights_sha256 == before[0].train.final_weights_sha256
    old = tmp_path / "unit" / copied.relative_to(tmp_path / "another")
    old.write_bytes(b"damaged")
    config["study"] = "third"
    (tmp_path / "another").rename(tmp_path / "gone")
    (again,) = run_job(make_study(config), "train", "low", "r", "A", CPU, tmp_path, seeds=[0])
    assert again.started_at >= before[-1].finished_at


def test_a_record_that_is_current_is_kept(make_study, config, tmp_path, monkeypatch):
    study = make_study(config)
    first = run_job(study, "train", "low", "r", "A", CPU, tmp_path)
    paths = study.paths(tmp_path)
    shutil.rmtree(paths.root / "checkpoints")
    monkeypatch.setattr(jobs_module, "_train", lambda *_: pytest.fail("trained again"))
    assert run_job(study, "train", "low", "r", "A", CPU, tmp_path) == first


def test_only_the_record_that_is_broken_is_made_anew(make_study, config, tmp_path):
    study = make_study(config)
    first = run_job(study, "train", "low", "r", "B", CPU, tmp_path)
    paths = study.paths(tmp_path)
    shutil.rmtree(paths.root / "checkpoints")
    broken = Job("train", "low", "r", "B", 0)
    paths.record(broken).write_text("{")
    second = run_job(study, "train", "low", "r", "B", CPU, tmp_path)
    assert second[1] == first[1]
    assert second[0].train.test_correct == first[0].train.test_correct
