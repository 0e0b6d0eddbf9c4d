"""A run as its user sees it: from the start to the end, stopped, and with what goes wrong."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from resnest_bench.paths import StudyPaths
from resnest_bench.prices import read_prices
from support.waiting import has_file

pytestmark = pytest.mark.slow
REAL = Path(sys.executable).parent / "resnest-bench"


@pytest.fixture
def one_training(fresh):
    """Two trainings and nothing else."""
    fresh.config |= {"latency": [], "finetune": [], "tables": {}, "claims": [], "seeds": [0]}
    fresh.write()
    return fresh


def put_first(workflow, script):
    """An environment in which `resnest-bench` first runs `script`, and then is the real one."""
    file = workflow.folder / "bin" / "resnest-bench"
    file.parent.mkdir()
    file.write_text(f'#!/bin/sh\n{script}\nexec {workflow.warm}/resnest-bench "$@"\n')
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return {**os.environ, "PATH": f"{file.parent}:{workflow.path}"}


def run(workflow, environ, code=0):
    command = [
        "snakemake",
        "--cores",
        "1",
        "--configfile",
        "config.yaml",
        "--snakefile",
        Path(__file__).parents[2] / "workflow/Snakefile",
    ]
    done = subprocess.run(
        command,
        cwd=workflow.folder,
        env={**environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def test_a_user_reads_a_line_for_each_job_and_no_rule_bodies(finished):
    lines = finished.output.stderr.splitlines()
    assert len(lines) < 40
    assert max(map(len, lines)) < 200
    text = finished.output.stderr
    for part in (
        "train A on low (quick): accuracy",
        "latency B on low, round 1: p50",
        "13 of 13 jobs",
        ".snakemake/log/",
    ):
        assert part in text
    assert "rule train:" not in text
    (log,) = (finished.folder / ".snakemake/log").glob("*.log")
    assert "rule train:" in log.read_text()


@pytest.mark.parametrize("option", ["--verbose", "--logger-resnest-bench-style=snakemake"])
def test_snakemakes_own_log_is_an_option(workflow, option):
    done = workflow.run("--force", "figures", option, code=None)
    assert "rule figures:" in done.stderr


def test_a_plan_that_is_killed_stops_no_run(one_training, monkeypatch):
    """Nor does a job that is killed stop another one: a network that crashes a library does both."""
    killed = 'case "$*" in plan*|train*"--variant A") kill -SEGV $$ ;; esac'
    done = run(one_training, put_first(one_training, killed), code=1)
    text = done.stdout + done.stderr
    assert "plan" in text
    assert "signal 11" in text
    assert "FAILED train A on low (quick)" in text
    assert "SIGSEGV" in text
    assert "train B on low (quick): accuracy" in text
    # Below the tables: what failed, why, and the log of it.
    end = done.stderr.splitlines()[-4:]
    assert end[0] == "FAILED train A on low (quick)"
    assert "SIGSEGV" in end[1]
    assert "logs/train/low/quick/A.log" in end[2]
    assert "logs/train/low/quick/A.log" in text
    assert len(done.stderr.splitlines()) < 40
    assert (one_training.results / "records/train/low/quick/B/seed-0.json").exists()


def test_ctrl_c_is_130_and_the_same_command_goes_on(one_training):
    one_training.config["recipes"]["quick"]["epochs"] = 50
    one_training.write()
    command = [REAL, "run", "--study", "config.yaml"]
    environ = dict(os.environ, OMP_NUM_THREADS="1")
    process = subprocess.Popen(
        command,
        cwd=one_training.folder,
        env=environ,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    end = time.monotonic() + 300
    while not has_file(one_training.folder, "state.safetensors"):
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < end
        time.sleep(0.05)
    # As a terminal does: to all processes in its front.
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 130, output
    assert "same command" in output
    assert "FAILED" not in output
    assert "Traceback" not in output
    logs = (one_training.results / "logs/train").rglob("*.log")
    assert any("stopped by SIG" in log.read_text() for log in logs)


def test_a_run_plans_with_the_cores_that_it_shares_out_and_leaves_its_prices(one_training):
    options = ["--cores", "2", "--set-threads", "train=1", "--set-resources", "train:gpu=0"]
    done = one_training.run(*options)
    assert "2 trainings side by side with 1 thread each" in done.stdout
    prices = read_prices(StudyPaths(one_training.results).prices)
    assert {group.variant for group in prices.groups} == {"A", "B"}
