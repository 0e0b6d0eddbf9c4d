"""What is said where the extra `train` is not installed."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from resnest_bench.cli.app import app
from resnest_bench.cli.packages import TRAINING_PACKAGES, check_installed, explain_missing
from resnest_bench.errors import UserError

ROOT = Path(__file__).parents[3]


def test_the_packages_are_those_of_the_extra():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extra = [re.split(r"[<>=]", line)[0] for line in project["optional-dependencies"]["train"]]
    assert sorted(extra) == sorted(TRAINING_PACKAGES)


def test_a_part_of_a_package_names_the_package():
    assert "needs torch," in explain_missing("torch.utils.data")


@pytest.mark.parametrize("package", [None, "", "torchmetrics", "resnest_bench.nowhere"])
def test_another_package_is_no_matter_of_extras(package):
    assert explain_missing(package) is None


def test_a_missing_package_is_a_users_error(monkeypatch):
    monkeypatch.setattr("resnest_bench.cli.packages.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'resnest-bench\[train\]'"):
        check_installed("snakemake")


def test_it_prints_the_version_of_its_package():
    done = CliRunner().invoke(app, ["--version"])
    assert done.exit_code == 0
    assert done.output.strip() == f"resnest-bench {importlib.metadata.version('resnest-bench')}"
