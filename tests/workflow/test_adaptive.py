"""Seeds that a study adds by itself: the workflow goes on from look to look, and then does nothing."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest

from resnest_bench.specs import Look

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
ADAPTIVE = {"max_seeds": 4, "step": 1}


@pytest.fixture
def adaptive(fresh):
    """The tiny study, trainings alone, with a claim that needs more than its two seeds."""
    fresh.config |= {"latency": [], "finetune": [], "adaptive": dict(ADAPTIVE)}
    fresh.config["tables"] = {"tradeoff": {}}
    # Two seeds had 20 and 15 % after one epoch, which tells the spread too badly to say that the mean
    # is between 5 and 85.
    fresh.config["datasets"]["low"].pop("classes")
    fresh.config["recipes"]["quick"]["batch_size"] = 64
    fresh.config["claims"] = [
        {
            "name": "level",
            "claim": "A is right in some of its answers.",
            "test": {"kind": "within", "metric": "accuracy", "a": "A", "value": 45, "margin": 40},
        }
    ]
    return fresh


def read_looks(workflow):
    files = sorted((workflow.results / "adaptive").glob("look-*.json"))
    return [Look.model_validate_json(file.read_bytes()) for file in files]


def trained(workflow):
    folder = workflow.results / "records/train/low/quick"
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*.json"))


def has_nothing_to_do(workflow):
    done = workflow.run()
    return "Nothing to be done" in done.stdout + done.stderr


def test_it_goes_on_until_the_claim_is_decided_and_then_does_nothing(adaptive):
    assert "decide" in adaptive.run("--dry-run").stdout
    adaptive.run()
    looks = read_looks(adaptive)
    assert looks[0].claims[0].verdict == "undecided"
    assert len(looks) >= 2
    assert [bool(look.stop) for look in looks] == [False] * (len(looks) - 1) + [True]
    # The other variant gets no seed: no claim hangs on it.
    added = [job for look in looks for job in look.jobs]
    assert {job.variant for job in added} == {"A"}
    assert trained(adaptive) == sorted(
        [f"{name}/seed-{seed}.json" for name in "AB" for seed in (0, 1)]
        + [f"A/seed-{job.seed}.json" for job in added]
    )
    runs = pd.read_csv(adaptive.results / "tables/runs.csv")
    assert len(runs) == 4 + len(added)
    claims = pd.read_csv(adaptive.results / "tables/claims.csv")
    assert claims["n"][0] == 2 + len(added)
    assert tuple(claims.loc[0, ["look", "num_looks"]]) == (len(looks), 3)
    assert "study is adaptive" in (adaptive.results / "tables/claims.md").read_text()
    assert has_nothing_to_do(adaptive)
    plan = adaptive.command("resnest-bench", "plan", "--decide", "--study", "config.yaml").stdout
    assert looks[-1].stop in plan

    # A lost record of an added seed is made again, from its checkpoint: the decisions stay.
    texts = [path.read_bytes() for path in sorted((adaptive.results / "adaptive").iterdir())]
    (adaptive.results / "records/train/low/quick/A/seed-2.json").unlink()
    adaptive.run()
    assert "finished before" in (adaptive.results / "logs/train/low/quick/A-seed-2.log").read_text()
    assert texts == [
        path.read_bytes() for path in sorted((adaptive.results / "adaptive").iterdir())
    ]
    assert has_nothing_to_do(adaptive)


def test_killed_midway_the_same_command_goes_on(adaptive):
    adaptive.write()
    command = [
        "snakemake",
        "--cores",
        "1",
        "--resources",
        "gpu=1",
        "--snakefile",
        str(ROOT / "workflow/Snakefile"),
        "--configfile",
        "config.yaml",
    ]
    running = subprocess.Popen(
        command,
        cwd=adaptive.folder,
        env=dict(os.environ, PATH=adaptive.path, OMP_NUM_THREADS="1"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    log = adaptive.results / "logs/train/low/quick/A-seed-2.log"
    deadline = time.monotonic() + 600
    while not log.exists():  # from the start of that training on
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert not (adaptive.results / "tables/claims.csv").exists()
    adaptive.run("--unlock")
    adaptive.run("--rerun-incomplete")
    looks = read_looks(adaptive)
    assert looks[-1].stop
    record = json.loads((adaptive.results / "records/train/low/quick/A/seed-2.json").read_text())
    assert record["status"] == "ok"
    assert (adaptive.results / "tables/claims.csv").exists()
    assert has_nothing_to_do(adaptive)


def test_a_seed_that_nobody_may_add_is_refused(adaptive):
    adaptive.write()
    train = [
        "resnest-bench",
        "train",
        "--study",
        "config.yaml",
        "--dataset",
        "low",
        "--recipe",
        "quick",
        "--variant",
        "A",
    ]
    for seeds in ("9", "0,0", "x", "-1"):
        done = adaptive.command(*train, "--seeds", seeds, code=1)
        assert done.stderr.count("\n") == 1
        assert "seed" in done.stderr
    assert not adaptive.results.exists()


def test_a_study_with_fixed_seeds_takes_no_look(workflow):
    done = workflow.run("--dry-run", "--forceall")
    assert "decide" not in done.stdout
    assert "train_more" not in done.stdout
    done = workflow.command("resnest-bench", "plan", "--decide", "--study", "config.yaml", code=1)
    assert "fixed number of seeds" in done.stderr
