"""The page on imported results as it stands: its files are written and its commands are run, in their order."""

import glob
import re
import shlex

import pandas as pd
import pytest
from typer.testing import CliRunner

from resnest_bench.cli.app import app
from resnest_bench.results import open_study
from support.documents import ROOT, fences

PAGE = ROOT / "docs" / "import.md"
BLOCKS = fences(PAGE)
COMMENT = re.compile(r"(file|append|not run): (.+)")


def test_every_block_is_run_written_or_says_why_not():
    kinds = [
        COMMENT.fullmatch(block.comment) for block in BLOCKS if block.language in ("csv", "yaml")
    ]
    assert all(kinds)
    assert len(kinds) == 4
    not_run = [b for b in BLOCKS if b.language == "sh" and b.comment]
    assert len(not_run) == 2


def run(line):
    words = [word for part in shlex.split(line) for word in (sorted(glob.glob(part)) or [part])]
    assert words[0] == "resnest-bench"
    done = CliRunner().invoke(app, words[1:], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.slow
def test_it_leads_to_a_verdict(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outputs = []
    for block in BLOCKS:
        comment = COMMENT.fullmatch(block.comment)
        if block.language in ("csv", "yaml") and comment:
            with (tmp_path / comment[2]).open("w" if comment[1] == "file" else "a") as file:
                file.write(block.text)
        elif block.language == "sh" and not comment:
            outputs += map(run, block.text.strip().splitlines())
        elif block.language == "text":
            # What the page shows is what the first command says.
            assert all(line in outputs[0] for line in block.text.strip().splitlines())
    claims = pd.read_csv(tmp_path / "results/theirs/tables/claims.csv")
    assert set(claims["verdict"]) <= {"supported", "undecided"}
    # What shows the study knows the claim as well.
    assert (
        open_study(tmp_path / "results/theirs").claims()["verdict"].tolist()
        == claims["verdict"].tolist()
    )
    assert "ResNet-18 is above" in (tmp_path / "results/theirs/theirs.html").read_text()
    assert (tmp_path / "results/theirs/theirs.html").stat().st_size > 100_000

    # The values are those of the study that ships.
    shipped = pd.read_csv(next((ROOT / "results/reference").glob("*/subset/tables/runs.csv")))
    shipped = shipped[shipped["kind"].eq("train")].set_index(["variant", "seed"])["test_accuracy"]
    runs = open_study(tmp_path / "results/theirs").runs.set_index(["variant", "seed"])
    for (name, seed), value in runs["test_accuracy"].items():
        there = {"ResNeSt-14": "ResNeSt-14-2s1x64d"}.get(name, name)
        assert value == pytest.approx(shipped[there, seed])

    tradeoff = open_study(tmp_path / "results/timm").tradeoff.set_index("variant")
    assert len(tradeoff) == 4
    assert tradeoff["latency_p50_ms"].notna().all()
    assert tradeoff.loc["resnest50d", "accuracy_mean_percent"] == pytest.approx(80.958)
    assert tradeoff["accuracy_low_percent"].notna().all()
