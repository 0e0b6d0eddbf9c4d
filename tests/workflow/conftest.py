"""Runs the real workflow, in a folder of its own, on a study that takes seconds."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from support.sharing import shared
from support.warm import SNAKEMAKE

ROOT = Path(__file__).parents[2]

TINY = {
    "study": "tiny",
    "seeds": [0, 1],
    "variants": [
        {
            "name": "A",
            "family": "resnest",
            "layers": [1],
            "radix": 0,
            "width": 16,
            "stem": "deep",
            "stem_width": 16,
        },
        {
            "name": "B",
            "family": "resnest",
            "layers": [1],
            "radix": 2,
            "width": 16,
            "stem": "deep",
            "stem_width": 16,
        },
    ],
    "datasets": {
        "low": {"source": "digits", "classes": [0, 1, 2]},
        "high": {"source": "digits", "classes": [3, 4, 5]},
    },
    "recipes": {
        "quick": {"epochs": 1, "batch_size": 128, "learning_rate": 0.05},
        "tune": {"epochs": 1, "batch_size": 128, "learning_rate": 0.01, "init": "pretrained"},
    },
    "protocols": {
        "quick": {
            "batch_sizes": [1, 4],
            "min_samples": 5,
            "min_seconds": 0,
            "warmup_calls": 1,
            "warmup_seconds": 0,
            "paper_batch_size": 4,
            "paper_batches": 1,
            "reference_samples": 3,
        }
    },
    "train": [{"dataset": "low", "recipe": "quick"}],
    "latency": [{"dataset": "low", "protocol": "quick", "rounds": 2}],
    "finetune": [
        {"dataset": "high", "recipes": ["tune"], "weights": {"B": {"train": "low/quick"}}}
    ],
    "tables": {"ablation": {}, "tradeoff": {}},
    "claims": [
        {
            "name": "better",
            "claim": "B is better than A.",
            "test": {"kind": "greater", "metric": "accuracy", "a": ["B"], "b": ["A"]},
        }
    ],
}


class Workflow:
    """A folder with a config; `run` is the command of the README."""

    def __init__(self, folder: Path, warm: Path) -> None:
        self.folder = folder
        self.warm = warm
        self.results = folder / "results" / "tiny"
        self.config = yaml.safe_load(yaml.safe_dump(TINY))
        # Another copy of src/, for tests that edit the code: `warm` must have imported it.
        self.source: Path | None = None

    def write(self) -> None:
        (self.folder / "config.yaml").write_text(yaml.safe_dump(self.config))

    def run(self, *more: str, code: int | None = 0) -> subprocess.CompletedProcess:
        """Snakemake on the config as it is now; asserts the exit code unless it is None."""
        self.write()
        command = [
            "snakemake",
            "--cores",
            "1",
            "--resources",
            "gpu=1",
            "--snakefile",
            ROOT / "workflow/Snakefile",
            "--configfile",
            "config.yaml",
        ]
        # Tests read which rules would run, and for what, from Snakemake's own words.
        own_log = ["--logger-resnest-bench-style", "snakemake"] if "--dry-run" in more else []
        return self.command(*command, *own_log, *more, code=code)

    @property
    def path(self) -> str:
        own = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return f"{self.warm}:{own}"

    def command(self, *command, code: int | None = 0) -> subprocess.CompletedProcess:
        """A command in this folder. Snakemake too is a fork of a warm process."""
        if command[0] == "snakemake":
            command = (self.warm / SNAKEMAKE, *command[1:])
        # Two threads on a busy machine wait for each other; one is as fast on networks this small.
        environ = dict(os.environ, PATH=self.path, OMP_NUM_THREADS="1")
        if self.source:
            environ["PYTHONPATH"] = str(self.source)
        done = subprocess.run(
            [str(part) for part in command],
            cwd=self.folder,
            env=environ,
            capture_output=True,
            text=True,
            timeout=900,
        )
        assert code is None or done.returncode == code, done.stdout + done.stderr
        return done

    def planned(self) -> set[str]:
        """Names of the rules that would run now, with their variants."""
        text = self.run("--dry-run", "--quiet", "progress").stdout
        return set(text.split("rule ")[1:]) if "Nothing to be done" not in text else set()


@pytest.fixture(scope="session")
def finished(tmp_path_factory, warm):
    """The tiny study, run once; tests copy it."""

    def make(folder):
        done = Workflow(folder, warm).run()
        (folder / "output.json").write_text(json.dumps([done.stdout, done.stderr]))

    workflow = Workflow(shared(tmp_path_factory, "finished", make), warm)
    output, errors = json.loads((workflow.folder / "output.json").read_text())
    workflow.output = subprocess.CompletedProcess([], 0, output, errors)
    return workflow


@pytest.fixture
def workflow(finished, tmp_path, warm):
    """A copy of the finished study that a test may break. Times of files are kept."""
    folder = tmp_path / "copy"
    shutil.copytree(finished.folder, folder, symlinks=True)
    return Workflow(folder, warm)


@pytest.fixture
def fresh(tmp_path, warm):
    return Workflow(tmp_path, warm)
