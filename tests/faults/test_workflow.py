"""Whole workflows: a folder with a hostile name, two at once, stopped and killed ones."""

import copy
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from resnest_bench import records
from resnest_bench.specs import load_study
from support.faults_study import CONFIG, read_records
from support.jobs import PATIENCE_SECONDS, hidden_files
from support.waiting import has_file

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
# What a shell that is given it unquoted splits, ends a text at, or runs.
HOSTILE = "a b'c $(touch x)"


@pytest.fixture
def start(source):
    def start_with(folder, config, *more, jobs=None):
        return snakemake(source, folder, config, *more, jobs=jobs)

    return start_with


def snakemake(source, folder, config, *more, jobs=None):
    """The README's command, the leader of a session of its own. Its jobs are the commands in `jobs`."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    path = f"{jobs}:{path}" if jobs else path
    environ = dict(os.environ, PATH=path, PYTHONPATH=str(source), OMP_NUM_THREADS="1")
    command = [
        "snakemake",
        "--cores",
        "1",
        "--resources",
        "gpu=1",
        "--snakefile",
        ROOT / "workflow/Snakefile",
        "--configfile",
        config,
        *more,
    ]
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environ,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def finished(process, code=0):
    output, _ = process.communicate(timeout=600)
    assert code is None or process.returncode == code, output
    return output


def wait_until(true, process):
    end = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < end
        time.sleep(0.01)


def test_two_at_once_in_a_folder_whose_name_is_a_command(start, warm, tmp_path):
    """Every rule runs there, whatever starts its job; of two `snakemake` the second is told, and changes nothing."""
    folder = tmp_path / HOSTILE
    data = folder / 'data "of" mine; touch y'
    config = copy.deepcopy(CONFIG) | {"seeds": [0], "data_dir": str(data)}
    config["datasets"]["high"] = {"source": "digits", "classes": [3, 4]}
    config["recipes"]["tune"] = {
        "epochs": 1,
        "batch_size": 128,
        "learning_rate": 0.01,
        "init": "pretrained",
        "layout": "channels_last",
        "mode": "eager",
    }
    config["finetune"] = [
        {"dataset": "high", "recipes": ["tune"], "weights": {"A": {"train": "low/r"}}}
    ]
    config["tables"] = {"ablation": {}, "tradeoff": {}}
    folder.mkdir()
    file = folder / "my config's $(touch z).yaml"
    file.write_text(yaml.safe_dump(config))

    first = start(folder, file, jobs=warm)
    wait_until(lambda: any((folder / ".snakemake/locks").glob("*")), first)
    second = finished(start(folder, file), code=1)
    assert "--unlock" in second
    output = finished(first)
    assert "make dashboard" in output

    study = load_study(folder / "results/faults/study.json")
    paths = study.paths(folder / "results")
    assert {job.kind for job in study.jobs()} == {"train", "latency", "finetune"}
    for job in study.jobs():
        assert records.read(paths.record(job), job).status == "ok"
    for made in (paths.tables / "tradeoff.md", paths.figures / "accuracy_latency.svg"):
        assert made.stat().st_size > 100
    assert hidden_files(folder / "results") == []
    run_by_a_shell = [p for place in (tmp_path, ROOT) for name in "xyz" for p in place.rglob(name)]
    assert not [path for path in run_by_a_shell if path.is_file()]


@pytest.fixture
def training(whole, tmp_path):
    """A study of trainings alone, whose data is prepared."""
    folder = tmp_path / "study"
    folder.mkdir()
    config = copy.deepcopy(CONFIG) | {"latency": [], "data_dir": str(whole.data)}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


def session_is_gone(process, seconds=20.0):
    """Whether all processes of a session have ended."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def ended_in_a_training(start, folder, number):
    """Send a signal to the whole group, as a terminal does, when the first epoch is over."""
    process = start(folder, "config.yaml")
    wait_until(lambda: has_file(folder, "state.safetensors"), process)
    os.killpg(process.pid, number)
    finished(process, code=None)
    assert process.returncode != 0
    assert session_is_gone(process), "an orphan goes on"


def went_on(folder, whole):
    log = (folder / "results/faults/logs/train/low/r/A.log").read_text()
    assert "resuming after epoch" in log or "finished before" in log
    assert read_records(folder) == whole.records


def test_snakemake_is_stopped_and_the_same_command_goes_on(start, whole, training):
    ended_in_a_training(start, training, signal.SIGINT)
    finished(start(training, "config.yaml"))
    went_on(training, whole)


def test_snakemake_is_killed(start, whole, training):
    """It could not take its lock away: it says so, and how to."""
    ended_in_a_training(start, training, signal.SIGKILL)
    assert "--unlock" in finished(start(training, "config.yaml"), code=1)
    finished(start(training, "config.yaml", "--unlock"))
    finished(start(training, "config.yaml"))
    went_on(training, whole)
