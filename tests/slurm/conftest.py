"""A real Slurm on this machine."""

import subprocess
from pathlib import Path

import pytest
from filelock import FileLock

from support.cluster import missing, slurm

SCRIPT = Path(__file__).with_name("cluster.sh")


@pytest.fixture(scope="session")
def cluster():
    """A running Slurm; of several test processes, one after the other has it."""
    if reason := missing():
        pytest.skip(reason)
    with FileLock("/tmp/resnest-bench-slurm.lock"):
        subprocess.run([SCRIPT, "start"], check=True, timeout=60)
        yield
        slurm("scancel", "--state=PENDING", "--partition=gpu")
        slurm("scancel", "--state=RUNNING", "--partition=gpu")
        subprocess.run([SCRIPT, "stop"], check=True, timeout=60)
