"""When a job's command asks for a fork, and what it does with the answers. The forks: tests/processes."""

import json
import os
import signal
import socket
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from resnest_bench.cli import warm_client
from resnest_bench.cli.run_snakemake import warm_starts
from resnest_bench.cli.warm_client import (
    COLD_VARIABLE,
    RUN_VARIABLE,
    can_fork,
    connect,
    describe_start,
    find_run,
    follow_fork,
    job_variables,
    run_as_fork,
)

pytestmark = pytest.mark.skipif(not can_fork(), reason="jobs are never forked here")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run whose process started this one, and a command of it."""
    # The path of a socket has at most 107 characters, and pytest's folders are longer.
    with tempfile.TemporaryDirectory(prefix="warm-") as name:
        yield start_run(Path(name), tmp_path, monkeypatch)


def start_run(folder, tmp_path, monkeypatch):
    script = tmp_path / "resnest-bench"
    script.touch()
    monkeypatch.setattr(sys, "argv", [str(script), "train"])
    monkeypatch.setenv(RUN_VARIABLE, f"{os.getppid()}:{folder}")
    monkeypatch.delenv(COLD_VARIABLE, raising=False)
    return folder


def test_a_command_of_a_run_finds_it(run):
    assert find_run() == (os.getppid(), run)


def test_without_a_run_a_command_starts_by_itself(run, monkeypatch):
    for value in ("", "1", "x:/tmp", f"{os.getppid()}:"):
        monkeypatch.setenv(RUN_VARIABLE, value)
        assert find_run() is None
    monkeypatch.delenv(RUN_VARIABLE)
    assert find_run() is None
    assert run_as_fork() is None


def test_a_folder_of_others_is_not_trusted(run):
    run.chmod(0o750)
    assert find_run() is None


def test_the_folder_may_be_gone(run):
    run.rmdir()
    assert find_run() is None


def test_a_run_that_did_not_start_this_process_is_another_one(run, monkeypatch):
    monkeypatch.setenv(RUN_VARIABLE, f"{os.getpid()}:{run}")
    assert find_run() is None


def test_cold_starts_can_be_asked_for(run, monkeypatch):
    monkeypatch.setenv(COLD_VARIABLE, "1")
    assert find_run() is None


def test_another_program_is_never_started_as_a_parent(run, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["pytest", "train"])
    assert find_run() is None


@pytest.mark.parametrize("argv", [["resnest-bench"], ["resnest-bench", "tables"]])
def test_other_commands_start_by_themselves(run, monkeypatch, argv):
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.setattr(warm_client, "find_run", lambda: pytest.fail("it looked for a run"))
    assert run_as_fork() is None


def test_whatever_a_fork_inherits_is_compared(monkeypatch):
    before = describe_start("train")
    assert json.loads(json.dumps(before))
    monkeypatch.setenv("SHLVL", "99")
    assert describe_start("train") == before
    monkeypatch.setenv("MKL_NUM_THREADS", "3")
    assert describe_start("train") != before
    monkeypatch.undo()
    # Not SIGHUP: a test run under nohup ignores it already.
    handler = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        assert describe_start("train") != before
    finally:
        signal.signal(signal.SIGUSR1, handler)


def test_trainings_wait_passively_and_offline_unless_told_otherwise(monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    offline = {"HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    assert job_variables("train") == job_variables("finetune") == offline
    assert job_variables("latency") == {}
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert job_variables("train")["OMP_WAIT_POLICY"] == "ACTIVE"


def answer(link, *messages, fork=None):
    """Stand for the parent: read a request, send `messages`, and close. Returns what was asked."""
    head, streams, _, _ = socket.recv_fds(link, 8, 3)
    with link.makefile("rb") as file:
        asked = json.loads(file.read(int.from_bytes(head, "big")))
    assert len(streams) == 3
    for stream in streams:
        os.close(stream)
    for message in messages:
        if message == warm_client.ANSWER_STARTED:
            socket.send_fds(link, [message], [fork])
        else:
            link.sendall(message)
    link.close()
    return asked


@pytest.fixture
def streams(monkeypatch):
    """Standard streams with the settings of a terminal's, where pytest has its own."""
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, open(os.devnull, "r+"))  # noqa: SIM115


def follow(*messages, fork=None):
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=answer, args=(theirs, *messages), kwargs={"fork": fork})
    thread.start()
    with ours:
        code = follow_fork(ours)
    thread.join()
    return code


def test_the_exit_code_is_that_of_the_fork(streams):
    fork = os.pidfd_open(os.getppid())
    assert follow(b"+", b"143\n", fork=fork) == 143
    assert follow(b"+", b"-9\n", fork=fork) == -9
    os.close(fork)


def test_without_a_fork_the_command_starts_by_itself(streams):
    assert follow() is None


def test_a_fork_whose_parent_is_gone_is_stopped(streams, capfd):
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pause()
    fork = os.pidfd_open(child)
    assert follow(b"+", fork=fork) == 1
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM
    os.close(fork)


def test_a_stale_socket_is_replaced(run, monkeypatch):
    started = []

    def start_parent(found, kind, name):
        started.append(name)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(run / f"{name}.socket"))
        listener.listen()
        monkeypatch.setattr(warm_client, "listener", listener, raising=False)
        return True

    monkeypatch.setattr(warm_client, "_start_parent", start_parent)
    with connect(find_run(), "train"):
        pass
    warm_client.listener.close()  # killed: its socket's file stays
    with connect(find_run(), "train"):
        pass
    with connect(find_run(), "train"):
        pass
    assert len(started) == 2
    warm_client.listener.close()


def test_a_parent_that_can_not_start_is_tried_once(run, monkeypatch):
    tries = []
    monkeypatch.setattr(warm_client, "_start_parent", lambda *args: bool(tries.append(args)))
    assert connect(find_run(), "latency") is None
    assert connect(find_run(), "latency") is None
    assert len(tries) == 1


def test_a_run_has_a_private_folder_until_it_ends(monkeypatch):
    monkeypatch.delenv(COLD_VARIABLE, raising=False)
    monkeypatch.delenv("SNAKEMAKE_PROFILE", raising=False)
    with warm_starts(["--cores", "2"]) as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        assert os.environ[RUN_VARIABLE] == f"{os.getpid()}:{folder}"
    assert not folder.exists()
    assert RUN_VARIABLE not in os.environ


@pytest.mark.parametrize(
    "options", [["--executor", "slurm"], ["--profile=p"], ["--sdm", "conda"], ["-e", "slurm"]]
)
def test_jobs_elsewhere_start_by_themselves(options):
    with warm_starts(options) as folder:
        assert folder is None
        assert RUN_VARIABLE not in os.environ


def test_a_run_may_ask_for_cold_starts(monkeypatch):
    monkeypatch.setenv(COLD_VARIABLE, "1")
    with warm_starts([]) as folder:
        assert folder is None
