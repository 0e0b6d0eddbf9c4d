"""Fixtures that more than one folder of tests uses."""

import gc
import os
import signal
from pathlib import Path

import pytest

from support.chromium import CHROMIUM, QUIET
from support.durations import Stopwatch, choose_shard, name_file, read_durations
from support.sharing import in_parallel, shared
from support.warm import start_server

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


@pytest.fixture(scope="session")
def warm(tmp_path_factory) -> Path:
    """For the front of PATH: commands that need not import torch each (support/warm.py)."""
    # With pytest-xdist the process that made us ends last. Else we do.
    owner = os.getppid() if in_parallel() else os.getpid()
    return shared(tmp_path_factory, "warm", lambda folder: start_server(folder, owner))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--store-durations",
        action="store_true",
        help="write how long each file of tests took into tests/durations.json",
    )
    parser.addoption(
        "--shard",
        metavar="N/OF",
        help="run every file of tests in exactly one of OF shards that take about equally long",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long files first: a process that got one last would work on while the others had nothing to do.

    (Makefile: --no-loadscope-reorder keeps this order.)
    """
    durations = read_durations()
    files = dict.fromkeys(name_file(item.path) for item in items)
    if shard := config.getoption("--shard"):
        kept = choose_shard(list(files), durations, shard)
        left_out = [item for item in items if name_file(item.path) not in kept]
        items[:] = [item for item in items if name_file(item.path) in kept]
        config.hook.pytest_deselected(items=left_out)
    items.sort(key=lambda item: -durations.get(name_file(item.path), 0.0))


def pytest_collection_finish() -> None:
    # Else each collection of garbage, of which each training makes one, looks through all the tests.
    gc.freeze()


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--store-durations") and not in_parallel():
        config.pluginmanager.register(Stopwatch())
