"""The page on claims: its files are written, its commands are run, and the verdicts are those that it names."""

import re
import shlex

import pandas as pd
import pytest
from typer.testing import CliRunner

from resnest_bench.cli.app import app
from support.documents import ROOT, fences

PAGE = ROOT / "docs" / "claims.md"
COMMENT = re.compile(r"(file|append): (.+)")


@pytest.mark.slow
def test_the_verdicts_are_those_of_the_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for block in fences(PAGE):
        if comment := COMMENT.fullmatch(block.comment):
            with (tmp_path / comment[2]).open("w" if comment[1] == "file" else "a") as file:
                file.write(block.text)
        elif block.language == "sh":
            for line in block.text.strip().splitlines():
                done = CliRunner().invoke(app, shlex.split(line)[1:], catch_exceptions=False)
                assert done.exit_code == 0, done.output
    named = dict(re.findall(r"^\| (\w+) \|.*\| `([\w-]+)` \|$", PAGE.read_text(), re.MULTILINE))
    claims = pd.read_csv("results/mine/tables/claims.csv")
    assert dict(zip(claims["verdict"], claims["name"], strict=True)) == named
