"""A trial that can't be trained is a failed record; any other training is an error."""

import pytest
import torch

from resnest_bench import files, records
from resnest_bench.errors import UserError
from resnest_bench.paths import Job
from resnest_bench.search.deciding import decide_round
from resnest_bench.specs import dump_study, study_with_trials
from resnest_bench.training import jobs as jobs_module
from resnest_bench.training.jobs import run_job

CPU = torch.device("cpu")
TRIAL = Job("train", "low", "tuned-trials", "A-tuned-t000", 1000)


@pytest.fixture
def trials(make_study, config, tmp_path):
    """A study with the first trial of its search."""
    pytest.importorskip("optuna")
    config["recipes"]["r"] |= {"validation_fraction": 0.2, "epochs": 1, "warmup_epochs": 0}
    config["search"] = {
        "dataset": "low",
        "recipe": "r",
        "families": [{"variant": "A"}],
        "space": {"recipe.learning_rate": [0.1]},
        "budget": {"trainings": 1},
        "trials_per_round": 1,
    }
    study = make_study(config)
    paths = study.paths(tmp_path)
    files.write_text(paths.study, dump_study(study))
    one = decide_round(study, paths, 0, {}, lambda *_: None)
    files.write_text(paths.search_round(0), one.model_dump_json())
    return study_with_trials(study, paths)


def run(study, folder):
    return run_job(study, "train", "low", TRIAL.recipe, TRIAL.variant, CPU, folder, [TRIAL.seed])


def test_a_trial_is_trained_with_its_settings_and_keeps_no_weights(trials, tmp_path):
    (record,) = run(trials, tmp_path)
    assert record.status == "ok"
    assert record.spec["recipe"]["learning_rate"] == 0.1
    assert record.train.epochs[-1].validation_accuracy is not None
    assert not trials.paths(tmp_path).weights(TRIAL).exists()


def test_memory_that_runs_out_makes_a_failed_record(trials, tmp_path, monkeypatch):
    def build(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(jobs_module, "build_initial", build)
    run(trials, tmp_path)
    record = records.read(trials.paths(tmp_path).record(TRIAL), TRIAL)
    assert record.status == "failed"
    assert record.failure.reason.startswith("memory ran out: CUDA out of memory")


def test_a_network_that_breaks_makes_a_failed_record(trials, tmp_path, monkeypatch):
    def build(*_):
        raise RuntimeError("kernel larger than the input")

    monkeypatch.setattr(jobs_module, "build_initial", build)
    (record,) = run(trials, tmp_path)
    assert record.failure.reason == "kernel larger than the input"


def test_a_full_disk_is_no_fault_of_the_trial(trials, tmp_path, monkeypatch):
    def write(*_):
        raise UserError("the disk is full")

    monkeypatch.setattr(jobs_module, "_train", write)
    with pytest.raises(UserError, match="disk is full"):
        run(trials, tmp_path)
    assert not trials.paths(tmp_path).record(TRIAL).exists()
