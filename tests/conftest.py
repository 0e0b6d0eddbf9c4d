"""Fixtures that more than one folder of tests uses."""

import os
import signal
from pathlib import Path

import pytest

from support.chromium import CHROMIUM, QUIET

# Whoever starts the tests in the background, as `make test &` in a script, has them ignore Ctrl-C, and all
# processes that they start. What a signal does is what some of them are about.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real images that can't be in the repository; marks a test as `data`."""
    folder = os.environ.get("RESNEST_BENCH_TEST_DATA")
    if not folder:
        pytest.skip("RESNEST_BENCH_TEST_DATA is not set: it names the folder of the test images")
    return Path(folder)


@pytest.fixture(scope="module")
def browser():
    """The system's chromium, headless. A module's: its event loop is in the way of other tests."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory) -> Path:
    """The folder that RESNEST_BENCH_SCREENSHOTS names, else one of pytest's own."""
    named = os.environ.get("RESNEST_BENCH_SCREENSHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


# The files that take longest, the longest first. Processes of pytest-xdist that get them last would work
# on while the others have nothing to do. (Makefile: --no-loadscope-reorder keeps this order.)
LONGEST = (
    "docs/test_tutorial.py",
    "slurm/test_cluster.py",
    "unit/training/test_step.py",
    "browser/test_dashboard.py",
    "workflow/test_study.py",
    "unit/training/test_optimizer.py",
    "faults/test_kill.py",
    "workflow/test_transfer.py",
    "workflow/test_preflight.py",
    "faults/test_workflow.py",
    "workflow/test_live.py",
    "processes/test_warm_starts.py",
    "workflow/test_installed.py",
    "workflow/test_adaptive.py",
    "workflow/test_spread.py",
    "docs/test_readme.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, then the others in their order."""
    here = Path(__file__).parent
    rank = {here / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))
