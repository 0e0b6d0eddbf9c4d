"""A wheel, installed beside no checkout: `resnest-bench` works from any folder, and is the same code."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from pathlib import Path

import psutil
import pytest
import yaml

from resnest_bench.digests import ENTRY_MODULES, code_digest, uncounted_digest
from resnest_bench.specs import load_study
from support.wheel import build, install

ROOT = Path(__file__).parents[2]
SHIPPED = "resnest_bench/_shipped/"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build(tmp_path_factory.mktemp("wheel"), "wheel")


class Installed:
    """A user's folder, and the wheel in a folder of its own that hides the checkout."""

    def __init__(self, site: Path, folder: Path) -> None:
        self.folder = folder
        self.site = site
        # The environment is not activated: PATH has neither resnest-bench nor snakemake.
        self.environ = dict(
            os.environ, PYTHONPATH=str(site), PATH="/usr/bin:/bin", OMP_NUM_THREADS="1"
        )

    def python(self, code: str) -> str:
        return self._run([sys.executable, "-c", code], 0).stdout

    def run(self, *words: str, code: int = 0) -> subprocess.CompletedProcess:
        return self._run([self.site / "bin" / "resnest-bench", *words], code)

    def _run(self, command, code):
        done = subprocess.run(
            command, cwd=self.folder, env=self.environ, capture_output=True, text=True, timeout=900
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done


@pytest.fixture(scope="module")
def site(wheel, tmp_path_factory):
    return install(wheel, tmp_path_factory.mktemp("site"))


@pytest.fixture
def installed(site, tmp_path):
    return Installed(site, tmp_path)


def list_files(folder):
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_a_wheel_has_the_workflow_the_dashboard_and_the_studies(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    shipped = {name.removeprefix(SHIPPED) for name in names if name.startswith(SHIPPED)}
    wanted = set().union(*map(list_files, ("workflow", "dashboard", "config")))
    assert shipped == wanted | {"environment.yml", "docs/glossary.md"}
    assert "dashboard/.streamlit/config.toml" in shipped


def test_an_editable_install_has_no_copy_that_would_grow_old(tmp_path):
    names = zipfile.ZipFile(build(tmp_path, "editable")).namelist()
    assert not [name for name in names if name.startswith("resnest_bench/")]


def test_a_wheels_code_has_the_same_digests(installed):
    code = (
        "import json, resnest_bench.digests as d; "
        "print(json.dumps([d.__file__, {k: d.code_digest(k) for k in d.ENTRY_MODULES}, d.uncounted_digest()]))"
    )
    file, digests, uncounted = json.loads(installed.python(code))
    assert Path(file).is_relative_to(installed.site)
    assert digests == {kind: code_digest(kind) for kind in ENTRY_MODULES}
    assert uncounted == uncounted_digest()


def make_tiny(config: Path) -> None:
    """One seed of one epoch, one round: what the test is about is that it runs at all."""
    study = yaml.safe_load(config.read_text())
    study["seeds"] = [0]
    study["datasets"]["digits"]["classes"] = [0, 1]
    study["recipes"]["short"] |= {"epochs": 1, "batch_size": 128, "warmup_epochs": 0}
    study["protocols"]["quick"] |= {
        "batch_sizes": [1],
        "min_samples": 5,
        "min_seconds": 0,
        "paper_batch_size": None,
        "reference_samples": 3,
    }
    study["latency"][0]["rounds"] = 1
    study["train"][0]["variants"] = study["latency"][0]["variants"] = ["radix-0", "radix-2"]
    config.write_text(yaml.safe_dump(study))


@pytest.mark.slow
def test_init_run_and_report_in_a_folder_of_ones_own(installed):
    installed.run("run", code=1)
    installed.run("init", "mine")
    installed.folder /= "mine"  # cd mine
    planned = installed.run("run", "--", "--dry-run").stdout
    assert "dry run" in planned
    assert "train" in planned

    make_tiny(installed.folder / "config" / "config.yaml")
    done = installed.run("run")
    assert "## Accuracy against latency" in done.stdout
    results = installed.folder / "results" / "mine"
    study = load_study(results / "study.json")
    records = [study.paths(results.parent).record(job) for job in study.jobs()]
    assert len(records) == 4
    assert {json.loads(path.read_text())["status"] for path in records} == {"ok"}
    assert (results / "tables" / "claims.md").exists()

    # The captions lie beside the workflow, in the wheel.
    installed.run("run", "--", "page")
    installed.run("run", "--", "--report", "report.html", "page")
    assert (results / "mine.html").exists()
    caption = (ROOT / "workflow/report/figures.rst").read_text().split()[0]
    assert caption in (installed.folder / "report.html").read_text()

    # A mistake in the study ends Snakemake, and its exit code is ours.
    installed.run("run", "--", "--config", "sedes=1", code=1)


@pytest.mark.slow
def test_the_dashboard_is_served_to_this_machine_alone(installed):
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    command = [
        installed.site / "bin" / "resnest-bench",
        "dashboard",
        "--",
        "--server.port",
        str(port),
        "--server.headless",
        "true",
    ]
    process = subprocess.Popen(command, cwd=installed.folder, env=installed.environ)
    try:
        wait_until_healthy(f"http://localhost:{port}/_stcore/health", process)
        listening = [
            c.laddr.ip
            for c in psutil.Process(process.pid).net_connections("inet")
            if c.status == psutil.CONN_LISTEN
        ]
        assert set(listening) <= {"127.0.0.1", "::1"}
        assert listening
    finally:
        process.terminate()
        process.wait(timeout=20)


def wait_until_healthy(address, process):
    for _ in range(240):
        assert process.poll() is None
        try:
            with urllib.request.urlopen(address, timeout=1) as answer:
                assert answer.read() == b"ok"
                return
        except OSError:
            time.sleep(0.25)
    raise AssertionError(f"no answer from {address}")
