"""SIGTERM and SIGINT: the state of that very step is kept, nothing is left behind, the exit code says so."""

import json
import signal
import subprocess
import sys

import pytest
from safetensors import safe_open

from support.faults_study import DATA, LATENCY, NUM_STEPS, TRAIN, read_records, write_config
from support.jobs import hidden_files, wait_for

SIGNALS = [signal.SIGTERM, signal.SIGINT]
BOTH = pytest.mark.parametrize("number", SIGNALS)


def stopped(child, marker, number):
    """Send the signal when the child is at `marker`; it must end as a stopped process does."""
    child.send_when(marker, number)
    assert child.wait() == 128 + number, child.text
    assert f"stopped by {signal.Signals(number).name}" in child.text
    assert "Traceback" not in child.text
    assert child.group_is_gone


def saved_progress(folder):
    (state,) = folder.rglob("state.safetensors")
    with safe_open(state, framework="pt") as file:
        return json.loads(file.metadata()["progress"])


@BOTH
def test_in_mid_epoch(jobs, whole, study, number):
    """It comes in step 3 of epoch 2: after that step all is kept, and no other is done."""
    marker = study / "marker"
    child = jobs.start(*TRAIN, folder=study, inject=f"in_step {marker} {NUM_STEPS + 3}")
    stopped(child, marker, number)
    progress = saved_progress(study)
    assert len(progress["epochs"]) == 1
    assert progress["partial"]["num_steps"] == 3
    assert hidden_files(study) == []
    assert "resuming after epoch 1, step 3 of the next" in jobs.run(*TRAIN, folder=study)
    assert read_records(study) == whole.records


@BOTH
def test_in_an_evaluation(jobs, whole, study, number):
    """Of the first epoch, whose steps are all done: none of them is done again."""
    marker = study / "marker"
    child = jobs.start(*TRAIN, folder=study, inject=f"in_evaluation {marker} 1")
    stopped(child, marker, number)
    progress = saved_progress(study)
    assert progress["epochs"] == []
    assert progress["partial"]["num_steps"] == NUM_STEPS
    assert hidden_files(study) == []
    jobs.run(*TRAIN, folder=study)
    assert read_records(study) == whole.records


def test_twice_in_one_epoch_and_again_in_the_next(jobs, whole, study):
    """What was kept in mid-epoch is kept on."""
    for index, step in enumerate((2, 2, NUM_STEPS)):
        marker = study / f"marker-{index}"
        child = jobs.start(*TRAIN, folder=study, inject=f"in_step {marker} {step}")
        stopped(child, marker, signal.SIGTERM)
    progress = saved_progress(study)
    assert (len(progress["epochs"]), progress["partial"]["num_steps"]) == (1, 4)
    assert progress["num_resumes"] == 2
    jobs.run(*TRAIN, folder=study)
    assert read_records(study) == whole.records


def test_twice_in_a_row_as_a_terminal_and_a_scheduler_send_it(jobs, whole, study):
    marker = study / "marker"
    child = jobs.start(*TRAIN, folder=study, inject=f"in_step {marker} 4")
    wait_for(marker)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
        child.kill(number)
    assert child.wait() == 130, child.text
    assert saved_progress(study)["partial"]["num_steps"] == 4
    assert hidden_files(study) == []


@BOTH
def test_in_a_latency(jobs, study, number):
    marker = study / "marker"
    child = jobs.start(*LATENCY, folder=study, inject=f"in_latency {marker} 6")
    stopped(child, marker, number)
    assert not list(study.rglob("seed-0.json"))
    assert hidden_files(study) == []


@BOTH
def test_in_the_preparation_of_data(jobs, whole, tmp_path, number):
    write_config(tmp_path / "study", tmp_path / "data")
    marker = tmp_path / "marker"
    child = jobs.start(*DATA, folder=tmp_path / "study", inject=f"in_data {marker} 100")
    stopped(child, marker, number)
    assert not list(tmp_path.rglob("meta.json"))
    assert hidden_files(tmp_path) == []
    jobs.run(*DATA, folder=tmp_path / "study")
    (meta,) = tmp_path.rglob("meta.json")
    (reference,) = whole.data.rglob("meta.json")
    assert meta.read_text() == reference.read_text()


def test_an_ignored_signal_stays_ignored():
    """Under nohup a lost terminal stops nothing."""
    code = (
        "import os, signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "from resnest_bench.stopping import listening\n"
        "with listening(): os.kill(os.getpid(), signal.SIGHUP); print('goes on')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "goes on\n")
