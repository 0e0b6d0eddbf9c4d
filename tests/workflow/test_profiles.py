"""The profiles of clusters and clouds that we could not run: what each job would ask for."""

from pathlib import Path

import pytest
import yaml

from support.s3_study import run

PROFILES = Path(__file__).parents[2] / "workflow/profiles"
# Without a store, and what a training asks for. tests/workflow/test_storage.py has the other dry runs.
SHARED = {"lsf": "gpu num=1", "sge": "gpu=1", "htcondor": "request_gpus=1"}
ALL = [*SHARED, "kubernetes", "aws-batch"]


@pytest.mark.parametrize("name", ALL)
def test_a_profile_has_the_limits_and_retries_of_slurms(name):
    ours, slurm = (
        yaml.safe_load((PROFILES / one / "config.yaml").read_text()) for one in (name, "slurm")
    )
    assert ours["executor"] == name
    assert ours["retries"] == slurm["retries"]
    assert set(ours["set-threads"]) == set(slurm["set-threads"])
    for rule, needs in slurm["set-resources"].items():
        for key in ("mem_mb", "runtime"):
            assert ours["set-resources"][rule][key] == needs[key]


@pytest.mark.slow
@pytest.mark.parametrize("name", SHARED)
def test_a_dry_run_with_a_profile_lists_the_jobs(tmp_path, name):
    pytest.importorskip(f"snakemake_executor_plugin_{name}", reason="needs the executor's plugin")
    output = run(tmp_path, "--profile", str(PROFILES / name), "--dry-run")
    assert all(f"rule {rule}:" in output for rule in ("train", "latency", "tables"))
    training = output.split("rule train:")[1].split("rule ")[0]
    for need in ("gpu=1", "mem_mb=16000", "runtime=720", SHARED[name]):
        assert need in training, training
