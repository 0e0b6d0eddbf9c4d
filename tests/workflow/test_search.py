"""A search in the workflow: a checkpoint per round, trials, finalists; killed, it goes on to the same trials."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest

from resnest_bench.specs.rounds import SearchRound

pytestmark = pytest.mark.slow
pytest.importorskip("optuna")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def searching(fresh):
    """Two families with two trials each in two rounds. Radix 0 with a uniform gate is no network."""
    fresh.config |= {"train": [], "latency": [], "finetune": [], "claims": []}
    fresh.config["tables"] = {"tradeoff": {}}
    fresh.config["seeds"] = [0]
    fresh.config["recipes"]["quick"] |= {
        "validation_fraction": 0.2,
        "mode": "eager",
        "layout": "contiguous",
    }
    fresh.config["search"] = {
        "dataset": "low",
        "recipe": "quick",
        "families": [
            {"variant": "A", "space": {"variant.gate": ["attention", "uniform"]}},
            {"variant": "B"},
        ],
        "space": {"recipe.learning_rate": {"low": 0.01, "high": 0.2, "log": True}},
        "sampler": "random",
        "budget": {"trainings": 2},
        "trials_per_round": 1,
    }
    return fresh


def read_rounds(workflow):
    files = sorted((workflow.results / "search").glob("round-*.json"))
    return [SearchRound.model_validate_json(file.read_bytes()) for file in files]


def has_nothing_to_do(workflow):
    done = workflow.run()
    return "Nothing to be done" in done.stdout + done.stderr


def start(workflow):
    workflow.write()
    command = ["snakemake", "--cores", "1", "--resources", "gpu=1"]
    command += ["--snakefile", str(ROOT / "workflow/Snakefile"), "--configfile", "config.yaml"]
    return subprocess.Popen(
        command,
        cwd=workflow.folder,
        env=dict(os.environ, PATH=workflow.path, OMP_NUM_THREADS="1"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def kill_in_second_round(workflow):
    running = start(workflow)
    log = workflow.results / "logs/search/round-1.log"
    deadline = time.monotonic() + 600
    while not log.exists():  # from the start of that decision on
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()


def test_a_search_killed_and_resumed_ends_as_one_that_was_not(searching):
    assert "propose" in searching.run("--dry-run").stdout
    kill_in_second_round(searching)
    searching.run("--unlock")
    searching.run("--rerun-incomplete")
    rounds = read_rounds(searching)
    assert [bool(one.stop) for one in rounds] == [False, False, True]
    assert {(run.family, run.epochs) for one in rounds for run in one.runs} == {("A", 1), ("B", 1)}
    assert all(b.trainings == 2 for b in rounds[-1].used)

    # The finalists are ordinary trainings by the study's seed, with test images.
    record = json.loads(
        (searching.results / "records/train/low/tuned/B-tuned/seed-0.json").read_text()
    )
    assert record["status"] == "ok"
    finalists = pd.read_csv(searching.results / "tables/search_finalists.csv")
    assert list(finalists["variant"]) == ["A-tuned", "B-tuned"]
    assert finalists["gap_points"].notna().all()
    trials = pd.read_csv(searching.results / "tables/search_trials.csv")
    assert trials["status"].eq("ok").sum() == 4
    skipped = trials[trials["status"] == "skipped"]
    assert skipped["reason"].str.contains("radix 0").all()
    assert (searching.results / "figures/search_confirmed.svg").exists()
    assert has_nothing_to_do(searching)

    # The same settings as a search that nothing stops: round after round anew, from the same records.
    for one in rounds:
        file = searching.folder / "again.json"
        command = ["resnest-bench", "search", "--study", "config.yaml", "--json", str(file)]
        searching.command(*command, "--round", str(one.round))
        assert SearchRound.model_validate_json(file.read_bytes()) == one
    assert "tuned" in searching.command("resnest-bench", "status", "tiny").stdout

    # A lost record of a trial is made again, from its checkpoint: the decisions stay.
    lost = next(searching.results.glob("records/train/low/tuned-trials/B-*/seed-1000.json"))
    lost.unlink()
    searching.run()
    assert lost.exists()
    assert [one.trials for one in read_rounds(searching)] == [one.trials for one in rounds]
