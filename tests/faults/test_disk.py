"""A disk that is full, read-only, or another one than that of temporary files; a clock that is set back."""

import ast
import os
import shutil
import signal
import time

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from resnest_bench import files, records
from resnest_bench.digests import PACKAGE
from resnest_bench.errors import UserError
from resnest_bench.models.weights import save_weights
from resnest_bench.training.checkpoints import Checkpoint, Progress, TrainedState
from support.faults_study import DATA, TABLES, TRAIN, read_records, write_config
from support.jobs import hidden_files, remount, small_disk


@pytest.fixture
def disk(tmp_path):
    """A disk of 100 kB."""
    with small_disk(tmp_path / "disk", "size=100k") as folder:
        yield folder


def files_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_record_on_a_full_disk(disk):
    path = disk / "records" / "seed-0.json"
    files.write_text(path, "old")
    with pytest.raises(UserError, match=r"cannot write .*seed-0.json: No space left on device"):
        files.write_text(path, "n" * 200_000)
    assert path.read_text() == "old"
    assert files_in(disk) == ["records/seed-0.json"]


def test_a_checkpoint_on_a_full_disk(disk):
    """A state of 150 kB, after one of 15 kB: the old one can still be resumed from."""
    small, large = nn.Linear(60, 60), nn.Linear(190, 190)
    checkpoint = Checkpoint(disk / "checkpoints" / "key" / "seed-0")
    checkpoint.save(
        TrainedState(small, torch.optim.SGD(small.parameters())), Progress(wall_seconds=1.0)
    )
    with pytest.raises(UserError, match="resumes from the checkpoint before"):
        checkpoint.save(
            TrainedState(large, torch.optim.SGD(large.parameters())), Progress(wall_seconds=2.0)
        )
    assert files_in(disk) == ["checkpoints/key/seed-0/state.safetensors"]
    again = nn.Linear(60, 60)
    loaded = checkpoint.load(TrainedState(again, torch.optim.SGD(again.parameters())))
    assert loaded.wall_seconds == 1.0
    assert torch.equal(again.weight, small.weight)


def test_weights_on_a_full_disk(disk):
    small, large = nn.Linear(60, 60), nn.Linear(190, 190)
    save_weights(disk / "w.safetensors", small)
    with pytest.raises(UserError, match="No space left on device"):
        save_weights(disk / "w.safetensors", large)
    assert files_in(disk) == ["w.safetensors"]
    assert torch.equal(load_file(disk / "w.safetensors")["weight"], small.weight)


def failed(child, text):
    assert child.wait() == 1, child.text
    assert text in child.text
    assert "Traceback" not in child.text


def test_a_training_on_a_full_disk_goes_on_when_there_is_space(jobs, whole, study):
    """The checkpoint of the first epoch, about 220 kB, finds no place."""
    with small_disk(study / "results", "size=100k") as results:
        log = results / "logs" / "train.log"
        failed(jobs.start(*TRAIN, "--log", str(log), folder=study), "No space left on device")
        assert hidden_files(results) == []
        assert not list(results.rglob("records/**/seed-*.json"))
        remount(results, "size=10m")
        jobs.run(*TRAIN, folder=study)
        assert read_records(study) == whole.records


def test_data_on_a_full_disk_is_prepared_when_there_is_space(jobs, whole, tmp_path):
    """285 images of 3 kB."""
    with small_disk(tmp_path / "data", "size=100k") as data:
        write_config(tmp_path / "study", data)
        failed(jobs.start(*DATA, folder=tmp_path / "study"), "No space left on device")
        assert not [f for f in files_in(data) if not f.endswith(".lock")]
        remount(data, "size=10m")
        jobs.run(*DATA, folder=tmp_path / "study")
        (meta,) = data.rglob("meta.json")
        (reference,) = whole.data.rglob("meta.json")
        assert meta.read_bytes() == reference.read_bytes()


def test_results_that_are_read_only(jobs, study):
    """Said before anything is computed, and nothing is changed."""
    with small_disk(study / "results", "size=1m") as results:
        (results / "kept.txt").write_text("kept")
        remount(results, "ro")
        for command in (TRAIN, TABLES):
            failed(jobs.start(*command, folder=study), "Read-only file system")
        assert files_in(results) == ["kept.txt"]


def test_no_rename_goes_across_file_systems(jobs, study, tmp_path, monkeypatch):
    """Results and data are each on a disk of their own, and so is TMPDIR: a rename there would fail."""
    seen = tmp_path / "renames.txt"
    with (
        small_disk(study / "results", "size=20m") as results,
        small_disk(tmp_path / "data", "size=20m") as data,
    ):
        assert len({os.stat(f).st_dev for f in (results, data, "/tmp", tmp_path)}) >= 3
        write_config(study, data)
        for command in (DATA, TRAIN, TABLES):
            jobs.run(*command, folder=study, inject=f"renames_to {seen}")
    moves = [line.split(" ", 2) for line in seen.read_text().splitlines()]
    assert all(source == target for source, target, _ in moves)
    names = " ".join(name for *_, name in moves)
    for part in ("low-", "state.safetensors", "finished.json", "seed-1.json", "runs.csv"):
        assert part in names


def test_the_clock_is_set_back_during_a_training(jobs, whole, study):
    marker = study / "marker"
    child = jobs.start(*TRAIN, folder=study, inject=f"slow_clock_set_back {marker} 8")
    child.send_when(marker, signal.SIGTERM)
    assert child.wait() == 143, child.text
    jobs.run(*TRAIN, folder=study, inject="clock_set_back")
    assert read_records(study) == whole.records
    for path in (study / "results").rglob("records/**/seed-*.json"):
        record = records.read(path)
        assert record.started_at > record.finished_at, "the clock did go backwards"
        for epoch in record.train.epochs:
            assert 0 < epoch.train_seconds < 600
            assert 0 < epoch.evaluation_seconds < 600


@pytest.mark.parametrize("years", [-20, 20])
def test_files_from_the_past_and_the_future_are_read_anew(jobs, whole, study, years):
    """A changed record is seen whatever its time is: no time is ever compared for being later."""
    shutil.copytree(whole.folder / "results", study / "results")
    jobs.run(*TABLES, folder=study)
    path = study / "results/faults/records/train/low/r/A/seed-0.json"
    path.write_text("{")
    then = time.time() + years * 365 * 86400
    os.utime(path, (then, then))
    jobs.run(*TABLES, folder=study)
    runs = (study / "results/faults/tables/runs.csv").read_text()
    assert "is not JSON" in runs
    # Finished before, whatever the time of the file says.
    assert "finished before" in jobs.run(*TRAIN, folder=study)
    assert read_records(study) == whole.records


def test_durations_come_from_clocks_that_are_never_set():
    """The wall clock is asked for dates alone: in these files, and for nothing that is subtracted."""
    asking = set()
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                called = (node.value.id, node.attr)
                if called in {
                    ("time", "time"),
                    ("time", "time_ns"),
                    ("datetime", "now"),
                    ("datetime", "utcnow"),
                    ("date", "today"),
                }:
                    asking.add(str(file.relative_to(PACKAGE)))
    # One tells how long ago a running job was heard of: a text on a page or a line, and no result.
    # Two write when something was imported, or measured on another device.
    assert asking == {
        "measure/identity.py",
        "live/from_files.py",
        "imports/runs.py",
        "bundle/measuring.py",
    }


def damage(state, how):
    content = state.read_bytes()
    if how == "cut short":
        state.write_bytes(content[: len(content) // 2])
    elif how == "one byte short":
        state.write_bytes(content[:-1])
    else:
        with safe_open(state, framework="pt") as file:
            metadata = dict(file.metadata())
        metadata["key"] = "0123456789abcdef/seed-0"
        save_file(load_file(state), state, metadata)


@pytest.mark.parametrize("how", ["cut short", "one byte short", "of another spec"])
def test_a_checkpoint_that_is_not_this_trainings_own(jobs, whole, study, how):
    marker = study / "marker"
    child = jobs.start(*TRAIN, folder=study, inject=f"in_step {marker} 8")
    child.send_when(marker, signal.SIGTERM)
    assert child.wait() == 143
    (state,) = study.rglob("state.safetensors")
    damage(state, how)
    text = jobs.run(*TRAIN, folder=study)
    assert f"checkpoint {state.relative_to(study)} can't be used" in text
    assert "starting from epoch 1" in text
    if how == "of another spec":
        assert "it belongs to '0123456789abcdef/seed-0'" in text
    assert read_records(study) == whole.records
