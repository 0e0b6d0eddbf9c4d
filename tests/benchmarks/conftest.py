"""The benchmarks are programs, not a package: they import each other from their own folder."""

import importlib

import pytest

from resnest_bench.digests import PACKAGE

FOLDER = PACKAGE.parents[1] / "benchmarks"


@pytest.fixture(scope="session")
def benchmark_module():
    """Imports one of them by its name."""

    def load(name: str):
        # Only while importing: the folder has a dashboard.py, which is not the package.
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(FOLDER)
            return importlib.import_module(name)

    return load
