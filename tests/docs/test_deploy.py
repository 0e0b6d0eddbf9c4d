"""The page on using a trained network: its commands are run, in their order, on a tiny study of real photos."""

import re
import shlex
import shutil

import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from resnest_bench.cli.app import app
from support.documents import ROOT, fences
from support.trained_study import make_dark, train_study

BLOCKS = [
    block
    for block in fences(ROOT / "docs" / "deploy.md")
    if not (block.comment or "").startswith("not run")
]
APPEND = re.compile(r"append: (.+)")


@pytest.mark.slow
def test_a_finished_study_is_used(test_data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)
    train_study(tmp_path, test_data)
    make_dark(tmp_path / "images/test", tmp_path / "dark")
    shutil.copytree(tmp_path / "images/test/cat", tmp_path / "new-images")
    assert {block.language for block in BLOCKS} == {"sh", "yaml"}
    for block in BLOCKS:
        if block.language == "yaml":
            with (tmp_path / APPEND.fullmatch(block.comment)[1]).open("a") as file:
                file.write(block.text)
            continue
        assert not block.comment
        for line in block.text.strip().splitlines():
            program, *words = shlex.split(line)
            assert program == "resnest-bench"
            done = CliRunner().invoke(app, words, catch_exceptions=False)
            assert done.exit_code == 0, done.output
    assert len(pd.read_csv("classes.csv")) == 20
    (claim,) = pd.read_csv("results/photos/tables/claims.csv").to_dict("records")
    assert claim["verdict"] in ("supported", "contradicted", "undecided")
    assert "mean of the weights" in (tmp_path / "folded/README.md").read_text()
