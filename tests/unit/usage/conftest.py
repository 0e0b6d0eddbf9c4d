"""One training of two tiny networks on real photos, for all tests of this folder."""

import os
import shutil

import pytest
import torch
from typer.testing import CliRunner

from resnest_bench.cli.app import app
from resnest_bench.specs import load_study
from resnest_bench.usage.trained import choose_seeds, find_experiment, load_trained
from support.trained_study import train_study


@pytest.fixture(scope="session")
def trained_folder(test_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    before = os.getcwd()
    os.chdir(folder)
    torch.set_num_threads(1)
    try:
        train_study(folder, test_data)
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def here(trained_folder, monkeypatch):
    """The working directory of the study, which the test must not change."""
    monkeypatch.chdir(trained_folder)
    return trained_folder


@pytest.fixture
def own_copy(trained_folder, tmp_path, monkeypatch):
    """A copy of the study for a test that changes it."""
    shutil.copytree(trained_folder, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture
def study(here):
    return load_study(here / "config" / "config.yaml")


@pytest.fixture
def load(study):
    """Load a trained network of the study."""

    def make(variant="A", seeds=None):
        paths = study.paths()
        experiment = find_experiment(study, variant)
        chosen = choose_seeds(study, paths, experiment, variant, seeds)
        cpu = torch.device("cpu")
        networks = [load_trained(study, paths, one, cpu) for one in chosen]
        return networks if seeds else networks[0]

    return make


@pytest.fixture(scope="session")
def run():
    """Run a command; return its result, whose `exception` is a UserError where the user is to blame."""

    def invoke(*words):
        return CliRunner().invoke(app, [str(word) for word in words])

    return invoke
