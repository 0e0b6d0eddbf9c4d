"""A study that nothing disturbed, for the others to be compared with."""

import shutil
import time
from pathlib import Path

import pytest

from support.faults_study import DATA, TRAIN, Whole, read_records, write_config
from support.jobs import Jobs

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def source(tmp_path_factory):
    """A copy of src/: an edit between two runs would make the second one start over, rightly."""
    return shutil.copytree(ROOT / "src", tmp_path_factory.mktemp("source") / "src")


@pytest.fixture(scope="session")
def jobs(source):
    running = Jobs(source)
    yield running
    running.close()


@pytest.fixture(scope="session")
def whole(jobs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    write_config(folder, folder / "data")
    jobs.run(*DATA, folder=folder)
    start = time.monotonic()
    jobs.run(*TRAIN, folder=folder)
    return Whole(folder, folder / "data", time.monotonic() - start, read_records(folder))


@pytest.fixture
def study(whole, tmp_path):
    """A folder with the study, its data prepared."""
    write_config(tmp_path / "study", whole.data)
    return tmp_path / "study"
