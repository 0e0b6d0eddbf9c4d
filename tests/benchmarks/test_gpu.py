"""The command that does all that needs a GPU: its stages, on a CPU and with next to no work."""

import argparse
import json
import sys

import pytest


@pytest.fixture
def gpu(benchmark_module):
    return benchmark_module("gpu")


def asked(out, **changes):
    return argparse.Namespace(
        **{"out": out, "device": "cpu", "data": None, "quick": True, **changes}
    )


def test_the_full_study_is_the_papers(gpu, tmp_path):
    config = gpu.study_config(None, tmp_path, quick=False)
    assert config["seeds"] == [0, 1, 2, 3, 4]
    assert len(config["train"][0]["variants"]) == 16
    commands = gpu.study_commands(config, tmp_path / "c.json", tmp_path, "cuda")
    kinds = [command[3] for command in commands]
    assert kinds == ["data"] + ["train"] * 16 + ["latency"] * 16 + ["tables"]


def test_all_stages_together_fit_into_the_time(gpu, tmp_path):
    planned = gpu.stages(asked(tmp_path, device="cuda", quick=False))
    assert [stage.name for stage in planned][:2] == ["tests", "floor"]
    # Limits are for what goes wrong: the study's comes from what is left.
    assert sum(stage.limit for stage in planned[:-1]) < gpu.FULL_BUDGET_SECONDS


def test_data_of_ones_own_replace_the_download(gpu, tmp_path):
    config = gpu.study_config(tmp_path / "my.tar", tmp_path, quick=False)
    assert config["datasets"]["cifar10"]["label"] == "CIFAR-10 (my.tar)"


def test_what_fails_is_named_and_the_rest_goes_on(gpu, tmp_path):
    commands = (
        (sys.executable, "-c", "print('one'); raise SystemExit(3)"),
        (sys.executable, "-c", "print('two')"),
    )
    outcome = gpu.run_stage(gpu.Stage("s", commands, 60), tmp_path, 60)
    assert "exit code 3" in outcome.status
    assert "two" in (tmp_path / "s.txt").read_text()


def test_what_takes_too_long_is_stopped(gpu, tmp_path):
    command = (sys.executable, "-c", "import time; time.sleep(60)")
    outcome = gpu.run_stage(gpu.Stage("s", (command,), 0.1), tmp_path, 60)
    assert outcome.status.startswith("stopped")
    assert outcome.seconds < 30


@pytest.mark.slow
def test_the_study_runs_through_on_a_cpu(gpu, tmp_path):
    """One variant, one epoch: data, training, latency and tables."""
    wanted = {"data", "study"}
    planned = [stage for stage in gpu.stages(asked(tmp_path)) if stage.name in wanted]
    outcomes = [gpu.run_stage(stage, tmp_path, 300) for stage in planned]
    told = "\n".join((tmp_path / f"{stage.name}.txt").read_text() for stage in planned)
    assert [outcome.status for outcome in outcomes] == ["done"] * 2, told
    (record,) = tmp_path.rglob("records/train/*/*/*/seed-0.json")
    assert json.loads(record.read_text())["status"] == "ok"
