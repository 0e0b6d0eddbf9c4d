"""Take the pictures of the dashboard that README.md and docs/ show, from the shipped records.

python docs/make_pictures.py           (needs chromium on the PATH, and the `dev` extra)
python docs/make_pictures.py FOLDER    every page at 1440 and 390 pixels, in both themes, to look at
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

HERE = Path(__file__).parent
IMAGES = HERE / "images"
# File: page, height of the window.
PICTURES = {
    "dashboard_answer": ("/", 900),
    "dashboard_differences": ("/differences", 900),
}
PAGES = [
    "",
    "tradeoff",
    "compare",
    "differences",
    "classes",
    "claims",
    "ablation",
    "training",
    "latency",
    "transfer",
    "paper",
]
PAGES += ["coverage", "glossary"]
THEMES = ("light", "dark")
# Width: height of the window, which holds the whole page.
SIZES = {1440: 2400, 390: 3000}
PATIENCE_SECONDS = 60


@contextmanager
def serve() -> Iterator[str]:
    """The dashboard on a free port: its address."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "dashboard/app.py"]
    command += ["--server.headless", "true", "--server.port", str(port)]
    environ = {**os.environ, "RESNEST_BENCH_RESULTS": "results"}
    process = subprocess.Popen(command, cwd=HERE.parent, env=environ, stdout=subprocess.DEVNULL)
    address = f"http://localhost:{port}"
    try:
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=1)
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > end:
                    raise
                time.sleep(0.25)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=20)


def shoot(browser: Browser, url: str, path: Path, size: tuple[int, int], theme: str) -> None:
    """A window of the dashboard, once it is drawn."""
    width, height = size
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if theme == "dark" else "light",
        device_scale_factor=2 if width < 600 else 1,
    )
    page = context.new_page()
    page.set_default_timeout(PATIENCE_SECONDS * 1000)
    page.goto(url)
    page.wait_for_selector('[data-testid="stVegaLiteChart"] svg.marks, [data-testid="stAlert"]')
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
    page.wait_for_timeout(700)
    page.screenshot(path=path)
    context.close()


def main() -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if not chromium:
        sys.exit("no chromium on the PATH: install it (apt-get install chromium), then try again")
    study = sorted((HERE.parent / "results/reference").glob("*/subset/study.json"))[0].parent
    name = study.relative_to(HERE.parent / "results").as_posix()
    with serve() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        if len(sys.argv) == 1:
            for picture, (page, height) in PICTURES.items():
                url = f"{address}{page}?study={name}"
                shoot(browser, url, IMAGES / f"{picture}.png", (1440, height), "light")
            return
        folder = Path(sys.argv[1])
        folder.mkdir(parents=True, exist_ok=True)
        for place in PAGES:
            for width, height in SIZES.items():
                for theme in THEMES:
                    path = folder / f"{place or 'answer'}-{width}-{theme}.png"
                    url = f"{address}/{place}?study={name}"
                    shoot(browser, url, path, (width, height), theme)


if __name__ == "__main__":
    main()
