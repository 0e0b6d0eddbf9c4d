"""A bundle of real networks, run by its run.py in an environment without torch, on one core."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

from resnest_bench.bundle.make import make_bundle
from resnest_bench.cli.import_results import run_import
from resnest_bench.imports.columns import Choices
from resnest_bench.results import StudyResults
from resnest_bench.specs import load_study
from support.bundle_factory import CHANGES, PROTOCOL, prepare_data
from support.records_factory import CONFIG

pytestmark = pytest.mark.slow
PACKAGES = ("numpy", "onnxruntime")


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The Python of an environment with numpy and onnxruntime alone."""
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("uv, which makes the other environment, is not on the PATH")
    folder = tmp_path_factory.mktemp("device") / "venv"
    python = folder / "bin" / "python"
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, folder], check=True)
    install = [uv, "pip", "install", "-q", "--offline", "--python", python, *PACKAGES]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"numpy and onnxruntime are not in uv's cache: {done.stderr.strip()[:200]}")
    return python


def test_another_environment_measures_and_its_results_come_back(python, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = Path("config/toy/config.yaml")
    config.parent.mkdir(parents=True)
    made = {**CONFIG, **CHANGES, "train": [], "data_dir": str(tmp_path / "data")}
    made["latency"] = [{"dataset": "low", "protocol": "fast", "rounds": 2, "variants": ["A", "B"]}]
    made["protocols"] = {"fast": {**PROTOCOL, "batch_sizes": [1, 4]}}
    config.write_text(yaml.safe_dump(made))
    study = load_study(config)
    prepare_data(study)
    results = tmp_path / "results"
    bundle = make_bundle(study, study.paths(results), tmp_path / "toy.tar.gz")
    assert (bundle.networks, bundle.left_out) == (("A", "B"), {})
    with tarfile.open(bundle.path) as packed:
        packed.extractall(tmp_path, filter="data")
    missing = [python, "-c", "import torch"]
    assert subprocess.run(missing, capture_output=True, check=False).returncode
    command = [python, "toy-bundle/run.py", "--device-name", "One core", "--output", "one.json"]
    taskset = shutil.which("taskset")
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    pinned = [taskset, "-c", str(min(os.sched_getaffinity(0))), *command] if taskset else command
    subprocess.run(pinned, env=environ, check=True)
    found = json.loads(Path("one.json").read_text())
    assert len(found["jobs"]) == 4
    assert all(len(job["cells"]) == 2 and not job["unavailable"] for job in found["jobs"])
    if taskset:
        assert found["device"]["threads"] == 1
    run_import([Path("one.json")], None, config, Choices(), results, False)
    study = load_study(config)
    runs = StudyResults(study, study.paths(results)).runs
    device = runs[runs["recipe"] == "fast+One-core"]
    assert device["status"].tolist() == ["ok"] * 4
    assert device["latency_p50_ms"].gt(0).all()
    assert device["num_activations"].gt(0).all()
