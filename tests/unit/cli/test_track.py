"""A study in experiment trackers, read back by what each of them offers. Nothing asks a server."""

import sys

import pytest

from resnest_bench import records
from resnest_bench.cli.track import TRACKERS, list_runs, track_study
from resnest_bench.errors import UserError
from resnest_bench.paths import Job
from resnest_bench.results import StudyResults
from support.predicted_study import predicted_study, write_predicted
from support.records_factory import make_failed_record

FIRST = "train/low/quick/A/seed-0"
MEAN = "train/low/quick/A/all-seeds"


@pytest.fixture
def results(study, paths):
    return StudyResults(study, paths)


@pytest.fixture(autouse=True)
def at_home(tmp_path, monkeypatch):
    """Trackers keep settings in the home folder, and files where one stands."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def test_a_run_for_each_training_and_one_for_each_mean(results):
    runs = {run.name: run for run in list_runs(results)}
    trained = [job for job in results.spec.jobs() if job.kind != "latency"]
    assert sum(not name.endswith("all-seeds") for name in runs) == len(trained)
    first = runs[FIRST]
    assert first.summary["test_accuracy"] == pytest.approx(0.60)
    assert sorted(first.steps) == [1, 2]
    assert first.steps[2]["test_accuracy"] == pytest.approx(0.60)
    assert first.config["recipe.learning_rate"] == 0.05
    assert first.config["recipe.optimizer.name"] == "sgd"
    assert first.config["variant.radix"] == 0
    mean = runs[MEAN]
    assert mean.group == first.group
    assert mean.summary["test_accuracy_percent_mean"] == pytest.approx(61)
    assert mean.summary["test_accuracy_percent_low"] < 61
    assert mean.summary["num_seeds"] == 3


def test_the_mean_is_that_of_the_headline_metric(tmp_path):
    study = predicted_study(headline_metric="balanced_accuracy")
    paths = study.paths(tmp_path / "predicted")
    write_predicted(study, paths)
    mean = {run.name: run for run in list_runs(StudyResults(study, paths))}[MEAN].summary
    table = StudyResults(study, paths).accuracies().set_index("variant")
    assert mean["balanced_accuracy_percent_mean"] == table.loc["A", "mean_percent"]
    assert not any(name.startswith("test_accuracy_percent") for name in mean)


def test_what_failed_or_is_missing_is_no_run(study, paths):
    failed, missing = (Job("train", "low", "quick", "A", seed) for seed in (0, 1))
    broken = make_failed_record(failed, study.job_spec(failed), "diverged")
    records.write(paths.record(failed), broken)
    paths.record(missing).unlink()
    names = {run.name for run in list_runs(StudyResults(study, paths))}
    assert FIRST not in names
    assert "train/low/quick/A/seed-1" not in names
    assert "train/low/quick/A/seed-2" in names


def test_a_tracker_by_another_name_and_a_study_without_results(study, paths, tmp_path):
    results = StudyResults(study, paths)
    with pytest.raises(UserError, match="tensorboard, wandb, mlflow, trackio, but is 'comet'"):
        track_study(results, "comet")
    empty = StudyResults(study, study.paths(tmp_path / "none"))
    with pytest.raises(UserError, match="no finished training"):
        track_study(empty, "tensorboard")


@pytest.mark.parametrize("name", TRACKERS)
def test_a_tracker_that_is_not_installed(results, monkeypatch, name):
    module = "torch.utils.tensorboard" if name == "tensorboard" else name
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError, match=rf"{name} is not installed .*resnest-bench\[track\]"):
        track_study(results, name)


@pytest.fixture
def few(results, monkeypatch):
    """Two runs, one of each kind: trackers take their time."""
    runs = [run for run in list_runs(results) if run.name in (FIRST, MEAN)]
    monkeypatch.setattr("resnest_bench.cli.track.list_runs", lambda _: runs)
    monkeypatch.setitem(globals(), "list_runs", lambda _: runs)
    return results


def test_tensorboard(few, tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    assert track_study(few, "tensorboard", tmp_path / "runs") == 2
    assert track_study(few, "tensorboard", tmp_path / "runs") == 0
    folder = tmp_path / "runs/synthetic" / FIRST
    events = reader.EventAccumulator(str(folder))
    events.Reload()
    curve = events.Scalars("test_accuracy")
    assert [event.step for event in curve] == [1, 2]
    assert curve[-1].value == pytest.approx(0.60)
    assert events.Scalars("summary/test_accuracy")[0].value == pytest.approx(0.60)


def test_mlflow(few, tmp_path):
    mlflow = pytest.importorskip("mlflow")
    assert track_study(few, "mlflow", tmp_path / "ml") == 2
    assert track_study(few, "mlflow", tmp_path / "ml") == 0
    found = mlflow.search_runs(experiment_names=["synthetic"], output_format="list")
    runs = {run.info.run_name: run.data for run in found}
    assert set(runs) == {FIRST, MEAN}
    assert runs[FIRST].metrics["summary.test_accuracy"] == pytest.approx(0.60)
    assert runs[FIRST].params["recipe.learning_rate"] == "0.05"
    assert runs[MEAN].metrics["summary.test_accuracy_percent_mean"] == pytest.approx(61)


@pytest.mark.slow
def test_wandb_offline(few, tmp_path):
    pytest.importorskip("wandb")
    assert track_study(few, "wandb", tmp_path / "wb", offline=True) == 2
    logged = {file.name for file in (tmp_path / "wb").rglob("*.wandb")}
    assert logged == {f"run-{run.identity}.wandb" for run in list_runs(few)}
