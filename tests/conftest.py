"""Fixtures that more than one folder of tests uses."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real images that can't be in the repository; marks a test as `data`."""
    folder = os.environ.get("RESNEST_BENCH_TEST_DATA")
    if not folder:
        pytest.skip("RESNEST_BENCH_TEST_DATA is not set: it names the folder of the test images")
    return Path(folder)
