"""A training of two processes: one dies or gets a signal, and another number of processes goes on."""

import signal

import psutil
import pytest

from support.faults_study import TRAIN, read_records
from support.jobs import wait_for

ONE_SEED = (*TRAIN, "--seeds", "0")
TWO = "on_two_cpus"


def find_helper(child):
    (found,) = psutil.Process(child.pid).children()
    return found


def check_alike(record, whole):
    """Rounding differs in float32, and each step of a small network amplifies it.

    tests/processes/test_several_gpus.py has double precision, where mistakes can be told from rounding.
    """
    tolerances = (1e-4, 1e-2, 2e-2)
    epochs = zip(record["train"]["epochs"], whole["train"]["epochs"], tolerances, strict=True)
    for seen, expected, tolerance in epochs:
        assert seen["train_loss"] == pytest.approx(expected["train_loss"], rel=tolerance)


@pytest.mark.slow
def test_one_process_two_of_which_one_is_killed_and_one_again(jobs, whole, study, tmp_path):
    started, again = tmp_path / "started", tmp_path / "again"
    child = jobs.start(*ONE_SEED, folder=study, inject=f"in_step {started} 3")
    child.send_when(started, signal.SIGTERM)
    assert child.wait() == 143, child.text

    child = jobs.start(*ONE_SEED, folder=study, inject=f"{TWO} {again} 9")
    wait_for(again)
    find_helper(child).kill()
    assert child.wait() == 1, child.text
    assert "process 1 of the 2 that share this training ended (SIGKILL)" in child.text
    assert "the same command resumes" in child.text
    assert "resuming after epoch 0, step" in child.text
    assert child.group_is_gone

    text = jobs.run(*ONE_SEED, folder=study)
    assert "resuming after epoch" in text
    record = read_records(study)[0]
    assert record["train"]["execution"]["num_processes"] == 1
    check_alike(record, whole.records[0])


@pytest.mark.slow
def test_a_signal_to_a_helper_stops_all_with_their_state_saved(jobs, whole, study, tmp_path):
    started = tmp_path / "started"
    child = jobs.start(*ONE_SEED, folder=study, inject=f"{TWO} {started} 8")
    wait_for(started)
    find_helper(child).terminate()
    assert child.wait() == 143, child.text
    assert "stopped after epoch 1, step" in child.text
    assert child.group_is_gone

    text = jobs.run(*ONE_SEED, folder=study, inject=TWO)
    assert "resuming after epoch 1, step" in text
    record = read_records(study)[0]
    assert record["train"]["execution"]["num_processes"] == 2
    check_alike(record, whole.records[0])
