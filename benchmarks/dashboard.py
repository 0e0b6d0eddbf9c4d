"""How long the dashboard takes on 10,000 records, in a real browser.

    python benchmarks/dashboard.py [--records 10000] [--repeats 5] [--out FILE.json]

Makes synthetic records with their tables (as the workflow leaves them), starts the dashboard, and times, from
the browser's side: the first chart of the landing page with a cold cache (a new server each time), with a warm
one (a new session of the same browser), and an empty Streamlit page to compare with; a budget that is dragged,
until the chart is drawn anew; a changed axis and filter of the Trade-off page; and every page with a warm cache,
until its script has ended. Prints medians with their range, and what machine they are from. Needs chromium on
the PATH.
"""

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from resnest_bench.device.environment import cpu_model

ROOT = Path(__file__).parents[1]
CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
# Streamlit draws few marks as SVG and many on a canvas.
DRAWN = '[data-testid="stVegaLiteChart"] :is(svg.marks, canvas.marks)'
# The marks as they are drawn, to see when they have changed: an update in place makes no new element.
MARKS = """[...document.querySelectorAll('[data-testid="stVegaLiteChart"] .marks')]
    .map(mark => mark.toDataURL ? mark.toDataURL() : mark.outerHTML).join()"""
REMEMBER = f"window.before = {MARKS}"
CHANGED = f"{MARKS} !== window.before"
LIMITS = {"empty": 1.0, "cold": 3.0, "warm": 1.0, "budget": 0.1, "axis": 0.5, "filter": 0.5}
PAGES = (
    "",
    "tradeoff",
    "compare",
    "differences",
    "classes",
    "ablation",
    "training",
    "latency",
    "transfer",
    "claims",
    "paper",
    "coverage",
)
PAGE_LIMIT = 2.0
EMPTY = "import streamlit as st\nst.html('<p id=there>Nothing else.</p>')\n"
DONE = '[data-testid="stApp"][data-test-script-state="notRunning"]'
AXES = ("MACs of one image", "Latency, p50")


@contextmanager
def server(results: Path, script: str = "dashboard/app.py") -> Iterator[str]:
    """A new dashboard, or another app, on a free port; its address."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        script,
        # The empty page has no config file that says so.
        "--server.address",
        "localhost",
        "--browser.gatherUsageStats",
        "false",
        "--server.headless",
        "true",
        "--server.port",
        str(port),
    ]
    environ = {**os.environ, "RESNEST_BENCH_RESULTS": str(results)}
    process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.DEVNULL)
    address = f"http://localhost:{port}"
    try:
        while not healthy(address):
            time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait()


def healthy(address: str) -> bool:
    try:
        urllib.request.urlopen(f"{address}/_stcore/health", timeout=1)
    except OSError:
        return False
    return True


def seconds(action: Callable[[], object], drawn: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    drawn()
    return time.perf_counter() - start


def first_paint(page: Page, address: str, drawn: str = DRAWN) -> float:
    return seconds(lambda: page.goto(address), lambda: page.wait_for_selector(drawn))


def drag_budget(page: Page, number: int) -> float:
    """Move the landing page's slider without letting it go; until the chart is drawn anew."""
    slider = page.locator("input[type=range]")
    move = "(slider, step) => { slider.value = step; slider.dispatchEvent(new Event('input')) }"
    return redrawn(page, lambda: slider.evaluate(move, 5 + 7 * number))


def whole_page(page: Page, address: str) -> float:
    """Until the page's script has ended and everything is there."""

    def done() -> None:
        page.wait_for_selector(f'{DONE} h2, {DONE} [data-testid="stAlert"]')
        page.wait_for_selector(DONE)

    return seconds(lambda: page.goto(address), done)


def time_empty_page(browser: Browser, results: Path, found: dict[str, list[float]]) -> None:
    script = results / "empty.py"
    script.write_text(EMPTY)
    with server(results, str(script)) as address:
        context = browser.new_context(viewport={"width": 1280, "height": 720})
        for number in range(3):
            page = context.new_page()
            taken = first_paint(page, address, "#there")
            # The first page also loads streamlit's own scripts, as a cold dashboard does.
            if number:
                found["empty"].append(taken)
        context.close()


def change_axis(page: Page, number: int) -> float:
    """Choose another x in the picker; until a new chart is drawn."""
    page.get_by_label("Left is better").click()
    page.keyboard.type(AXES[number % len(AXES)])
    page.wait_for_timeout(300)
    return redrawn(page, lambda: page.keyboard.press("Enter"))


def change_filter(page: Page, number: int) -> float:
    """Set another budget; until a new chart with its line is drawn."""
    limit = page.get_by_label("Latency, p50 (ms) at most")
    limit.fill(str(5 + number))
    return redrawn(page, lambda: limit.press("Enter"))


def redrawn(page: Page, action: Callable[[], None]) -> float:
    page.evaluate(REMEMBER)
    return seconds(action, lambda: page.wait_for_function(CHANGED))


def measure(results: Path, repeats: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in LIMITS}
    with sync_playwright() as running:
        browser = running.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        for repeat in range(repeats):
            time_empty_page(browser, results, found)
            with server(results) as address:
                # One browser, which keeps streamlit's own scripts as a reader's does.
                context = browser.new_context(viewport={"width": 1280, "height": 720})
                for name in ("cold", "warm", "warm"):
                    page = context.new_page()
                    page.set_default_timeout(120_000)
                    found[name].append(first_paint(page, address))
                    page.wait_for_timeout(1000)
                page.wait_for_timeout(1500)
                for number in range(3):
                    found["budget"].append(drag_budget(page, number))
                    page.wait_for_timeout(300)
                for name in PAGES:
                    place = f"page {name or 'answer'}"
                    for turn in range(2):
                        taken = whole_page(page, f"{address}/{name}")
                        # The first visit of all computes what the others have from the cache.
                        if turn or repeat:
                            found.setdefault(place, []).append(taken)
                page.goto(f"{address}/tradeoff")
                page.wait_for_selector(DRAWN)
                page.wait_for_timeout(1500)
                for number in range(4):
                    found["axis"].append(change_axis(page, number))
                    page.wait_for_timeout(800)
                for number in range(3):
                    found["filter"].append(change_filter(page, number))
                    page.wait_for_timeout(800)
        browser.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, help="also write the samples as JSON")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make = [
            sys.executable,
            str(ROOT / "benchmarks/make_records.py"),
            "--records",
            str(arguments.records),
            "--out",
            folder,
            "--tables",
        ]
        subprocess.run(make, check=True)
        found = measure(Path(folder), arguments.repeats)
    machine = f"{cpu_model()}, {os.cpu_count()} logical cores"
    print(f"{arguments.records:,} records, {machine}; seconds in the browser")
    for name, samples in found.items():
        print(
            f"{name:17} median {statistics.median(samples):5.2f}  ({min(samples):.2f} to "
            f"{max(samples):.2f}, n={len(samples)}; to get to: {LIMITS.get(name, PAGE_LIMIT)})"
        )
    if arguments.out:
        arguments.out.write_text(json.dumps({"machine": machine, "seconds": found}, indent=1))


if __name__ == "__main__":
    main()
