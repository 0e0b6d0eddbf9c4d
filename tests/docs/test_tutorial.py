"""The tutorial as it stands: its files are written and its commands are run, in their order."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from support.documents import ROOT, fences
from support.warm import warm_command
from support.wheel import build, install

TUTORIAL = ROOT / "docs" / "tutorial.md"
BLOCKS = [fence for fence in fences(TUTORIAL) if fence.language in ("sh", "yaml")]
NOT_RUN = re.compile(r"not run: \w.*")
A_FILE = re.compile(r"file: (\S+)")


def as_script():
    """One shell script: each YAML block is a file, each shell block is run unless it says why not."""
    parts = ["set -euo pipefail"]
    for block in BLOCKS:
        if block.language == "yaml":
            path = A_FILE.fullmatch(block.comment)[1]
            # Only what `init` wrote is changed: the reader has that file open.
            parts.append(f"test -f {path}\ncat > {path} <<'A_FILE'\n{block.text}A_FILE")
        elif not NOT_RUN.fullmatch(block.comment):
            parts.append(block.text)
    return "\n".join(parts)


def test_every_block_is_run_or_says_why_not():
    shell = [block for block in BLOCKS if block.language == "sh"]
    assert sum(bool(NOT_RUN.fullmatch(block.comment)) for block in shell) == 2
    assert len(shell) >= 9
    files = [A_FILE.fullmatch(block.comment)[1] for block in BLOCKS if block.language == "yaml"]
    assert sorted(files) == ["config/claims.yaml", "config/config.yaml", "config/variants.yaml"]


@pytest.mark.slow
def test_it_leads_to_a_verdict(tmp_path):
    # As after `pip install .`; an edit of the checkout meanwhile would make latencies run again.
    site = install(build(tmp_path, "wheel"), tmp_path / "site")
    (tmp_path / "warm").mkdir()
    with warm_command(tmp_path / "warm", PYTHONPATH=str(site)) as warm:
        path = f"{warm}:{site}/bin:{Path(sys.executable).parent}:{os.environ['PATH']}"
        done = subprocess.run(
            [shutil.which("bash"), "-c", as_script()],
            cwd=tmp_path,
            env=dict(os.environ, PATH=path, PYTHONPATH=str(site), OMP_NUM_THREADS="1"),
            capture_output=True,
            text=True,
            timeout=3000,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Nothing to be done" in done.stdout + done.stderr  # step 8

    results = tmp_path / "mine" / "results" / "mine"
    runs = pd.read_csv(results / "tables" / "runs.csv")
    assert set(runs["status"]) == {"ok"}
    trained = runs[runs["kind"] == "train"]
    assert set(trained["variant"]) == {"radix-0", "radix-2", "ResNet-10"}
    assert set(trained["seed"]) == {0, 1, 2}  # the third one was added in step 10
    claims = pd.read_csv(results / "tables" / "claims.csv").set_index("name")
    assert set(claims["verdict"]) <= {"supported", "contradicted", "undecided"}
    # Counted, not measured: 5 million parameters against less than one.
    assert claims.loc["ResNet-10-is-larger", "verdict"] == "supported"
    assert (results / "mine.html").stat().st_size > 100_000

    # What the text names is there.
    named = re.findall(r"`(results/mine/[\w/.]+)`", TUTORIAL.read_text())
    assert named
    assert [name for name in named if not (tmp_path / "mine" / name).exists()] == []
    assert "validation_accuracy" in (results / "tables" / "epochs.csv").read_text().split("\n")[0]
