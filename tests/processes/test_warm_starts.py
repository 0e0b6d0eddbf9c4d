"""Jobs as forks of a warm process: what they leave, how they end, and who ends them.

This process stands for a run: the commands that it starts are its jobs.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from resnest_bench.cli.run_snakemake import warm_starts
from resnest_bench.cli.warm_client import COLD_VARIABLE, RUN_VARIABLE, can_fork
from support.waiting import has_file

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not can_fork(), reason="jobs are never forked here"),
]

COMMAND = Path(sys.executable).parent / "resnest-bench"
CONFIG = {
    "study": "warm",
    "seeds": [0],
    "variants": [
        {"name": "A", "family": "timm", "model": "test_resnet"},
        {"name": "B", "family": "timm", "model": "test_resnet"},
    ],
    "datasets": {"digits": {"source": "digits", "classes": [0, 1]}},
    "recipes": {
        "short": {"epochs": 1, "batch_size": 64, "learning_rate": 0.01, "layout": "contiguous"},
        # It is long enough to be stopped, and one of its weights is a sum of all its steps.
        "long": {"epochs": 40, "batch_size": 16, "learning_rate": 0.01, "layout": "contiguous"},
    },
    "protocols": {
        "quick": {
            "batch_sizes": [1],
            "min_samples": 5,
            "min_seconds": 0,
            "max_seconds": 1,
            "warmup_calls": 1,
            "warmup_seconds": 0,
            "reference_model": "test_resnet",
            "reference_samples": 2,
        }
    },
    "train": [
        {"dataset": "digits", "recipe": "short", "keep_weights": True},
        {"dataset": "digits", "recipe": "long", "variants": ["A"], "keep_weights": True},
    ],
    "latency": [{"dataset": "digits", "protocol": "quick", "variants": ["A"]}],
}
TRAIN_SHORT = ["train", "--recipe", "short"]
TRAIN_LONG = ["train", "--recipe", "long"]
LATENCY = ["latency", "--protocol", "quick"]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder with the study and its data."""
    folder = tmp_path_factory.mktemp("study")
    content = {**CONFIG, "data_dir": str(folder / "data")}
    (folder / "config.json").write_text(json.dumps(content))
    study = ["--study", folder / "config.json", "--dataset", "digits"]
    subprocess.run([COMMAND, "data", *study], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def study(prepared, tmp_path):
    shutil.copy(prepared / "config.json", tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def run():
    """The folder of a run with warm starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(COLD_VARIABLE, raising=False)
        with warm_starts([]) as folder:
            yield folder


def start(words, folder, variant="A", **options):
    """Start a job's command in `folder`."""
    study = ["--study", "config.json", "--dataset", "digits", "--variant", variant]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(
        [COMMAND, *words, *study], cwd=folder, text=True, **{**pipes, **options}
    )


def finish(process):
    """Return the exit code and all that it has written."""
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def read_record(folder, kind="train"):
    (file,) = (folder / "results/warm/records" / kind).rglob("seed-0.json")
    return json.loads(file.read_text())


def read_weights(folder):
    return read_record(folder)["train"]["final_weights_sha256"]


def find_fork(run, process):
    """Wait for the fork that does the work of the command `process`."""
    note = run / f"{process.pid}.job"
    wait_for(lambda: note.exists() and note.read_text())
    return psutil.Process(int(note.read_text()))


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def is_over(process):
    """Whether a process has ended, even if nobody has asked for its exit code yet."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def cold():
    return {**os.environ, COLD_VARIABLE: "1"}


def without_times(value):
    """A record's values without seconds, speeds and times of the day."""
    if isinstance(value, dict):
        return {
            key: without_times(part)
            for key, part in value.items()
            if not any(word in key for word in ("seconds", "_at", "per_second", "_ms", "forked"))
        }
    return [without_times(part) for part in value] if isinstance(value, list) else value


def test_a_fork_trains_what_a_plain_start_trains(run, study, tmp_path_factory):
    plain = tmp_path_factory.mktemp("plain")
    shutil.copy(study / "config.json", plain)
    assert finish(start(TRAIN_SHORT, plain, env=cold()))[0] == 0
    code, out, err = finish(start(TRAIN_SHORT, study))
    assert (code, out) == (0, "")
    assert "epoch 1/1" in err
    expected, record = read_record(plain), read_record(study)
    assert [expected["environment"]["forked"], record["environment"]["forked"]] == [False, True]
    assert record["train"]["final_weights_sha256"]
    assert without_times(record) == without_times(expected)


def test_a_latency_has_the_memory_of_a_plain_start(run, study, tmp_path_factory):
    plain = tmp_path_factory.mktemp("plain")
    shutil.copy(study / "config.json", plain)
    assert finish(start(LATENCY, plain, env=cold()))[0] == 0
    assert finish(start(LATENCY, study))[0] == 0
    expected, record = (read_record(folder, "latency") for folder in (plain, study))
    assert record["environment"].pop("forked")
    assert not expected["environment"].pop("forked")
    assert record["environment"] == expected["environment"]
    assert record["latency"].keys() == expected["latency"].keys()
    peak = expected["latency"]["peak_rss_bytes"]
    # Which pages of files count depends on what the system has in memory: of plain starts alone, peaks from
    # 912 to 1,758 MB were seen. Of a fork that had mapped nothing, only tens of MB would count.
    assert record["latency"]["peak_rss_bytes"] > 0.25 * peak


def test_mistakes_and_output_are_those_of_a_plain_start(run, study):
    code, out, err = finish(start(TRAIN_SHORT, study, variant="C"))
    assert (code, out, err) == finish(start(TRAIN_SHORT, study, variant="C", env=cold()))
    assert code == 1
    assert "resnest-bench: error: " in err
    assert finish(start(["train"], study))[0] == 2  # no --recipe


def test_a_log_gets_only_its_own_job(run, study):
    jobs = {}
    for variant in "AB":
        with open(study / variant, "w") as log:
            jobs[variant] = start(TRAIN_SHORT, study, variant, stdout=log, stderr=log)
    assert [job.wait(300) for job in jobs.values()] == [0, 0]
    for variant, other in ("AB", "BA"):
        text = (study / variant).read_text()
        assert f"{variant} short seed 0" in text
        assert f"{other} short seed 0" not in text
    # Both came at once, and none started a parent of its own.
    assert len(list(run.glob("train-*.lock"))) == len(list(run.glob("train-*.socket")))


def test_a_stopped_fork_resumes_bit_for_bit(run, study, tmp_path_factory):
    whole = tmp_path_factory.mktemp("whole")
    shutil.copy(study / "config.json", whole)
    assert finish(start(TRAIN_LONG, whole))[0] == 0

    job = start(TRAIN_LONG, study)
    fork = find_fork(run, job)
    wait_for(lambda: has_file(study / "results", "state.safetensors"))
    job.send_signal(signal.SIGTERM)
    code, _, err = finish(job)
    assert code == 128 + signal.SIGTERM
    assert "stopped by SIGTERM" in err
    assert is_over(fork)
    code, _, err = finish(start(TRAIN_LONG, study))
    assert code == 0
    assert "resum" in err
    assert read_weights(study) == read_weights(whole)


def test_a_fork_ends_with_the_command_that_waits_for_it(run, study):
    job = start(TRAIN_LONG, study)
    fork = find_fork(run, job)
    job.kill()
    assert finish(job)[0] == -signal.SIGKILL
    wait_for(lambda: is_over(fork))


def test_a_command_ends_by_the_signal_that_ended_its_fork(run, study):
    job = start(TRAIN_LONG, study)
    find_fork(run, job).kill()
    assert finish(job)[0] == -signal.SIGKILL


def test_a_job_without_its_parent_stops_and_the_next_has_a_new_one(run, study):
    job = start(TRAIN_LONG, study)
    fork = find_fork(run, job)
    parent = fork.parent()
    parent.kill()
    code, _, err = finish(job)
    assert code == 1
    assert "has ended, so this job was stopped" in err
    assert is_over(fork)
    # The socket is still there, and nobody behind it.
    assert list(run.glob("train-*.socket"))
    assert finish(start(TRAIN_SHORT, study))[0] == 0
    assert read_record(study)["environment"]["forked"]


def test_another_environment_has_another_parent(run, study):
    before = len(list(run.glob("train-*.socket")))
    env = {**os.environ, "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    assert finish(start(TRAIN_SHORT, study, env=env))[0] == 0
    assert len(list(run.glob("train-*.socket"))) == before + 1
    environment = read_record(study)["environment"]
    assert environment["num_cpu_threads"] == 2
    assert environment["forked"]


def test_a_process_of_another_run_starts_by_itself(study, tmp_path):
    folder = tmp_path / "sockets"
    folder.mkdir(mode=0o700)
    # No ancestor of the command: as on a cluster, or after a run.
    with subprocess.Popen(["sleep", "300"]) as other:
        env = {**os.environ, RUN_VARIABLE: f"{other.pid}:{folder}"}
        code = finish(start(TRAIN_SHORT, study, env=env))[0]
        other.kill()
    assert code == 0
    assert not read_record(study)["environment"]["forked"]
    assert not list(folder.iterdir())


def test_a_whole_run(study, monkeypatch):
    """Its benchmarks count the forks, and nothing of it is left."""
    monkeypatch.delenv(COLD_VARIABLE, raising=False)
    monkeypatch.delenv(RUN_VARIABLE, raising=False)
    temporary = study / "tmp"
    temporary.mkdir()
    content = json.loads((study / "config.json").read_text())
    content["train"] = content["train"][:1]
    (study / "config.json").write_text(json.dumps(content))
    done = subprocess.run(
        [COMMAND, "run", "--study", "config.json"],
        cwd=study,
        env={**os.environ, "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    results = study / "results/warm"
    kinds = [json.loads(file.read_text()) for file in results.rglob("seed-0.json")]
    assert len(kinds) == 3
    assert {record["environment"]["forked"] for record in kinds} == {True}
    head, values = (results / "benchmarks/train/digits/short/B.tsv").read_text().splitlines()
    row = dict(zip(head.split("\t"), values.split("\t"), strict=True))
    assert float(row["max_rss"]) > 200
    assert not list(temporary.glob("resnest-bench-*"))
    # In another order of events, a parent would outlive its run.
    wait_for(lambda: not [p for p in psutil.process_iter() if is_parent_below(p, temporary)])


def is_parent_below(process, folder):
    try:
        return any(str(folder) in word for word in process.cmdline())
    except psutil.Error:
        return False
