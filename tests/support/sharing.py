"""What is made once a run of the tests, by whichever of pytest-xdist's processes needs it first."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def in_parallel() -> bool:
    """Whether this is one of pytest-xdist's processes."""
    return "PYTEST_XDIST_WORKER" in os.environ


def shared(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """The folder `name` of this run, which `make` has filled. The first who asks makes it."""
    base = factory.getbasetemp()
    folder = (base.parent if in_parallel() else base) / name
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            folder.mkdir()
            try:
                make(folder)
            except BaseException:
                # Who comes next tries again, and says what is wrong.
                folder.rename(folder.with_name(f"{name}-failed-{os.getpid()}"))
                raise
    return folder
