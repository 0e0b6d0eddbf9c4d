"""A wheel of the code as it is now, and its installation beside no checkout."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def build(folder: Path, kind: str) -> Path:
    """The wheel that `pip install .` would make ("wheel"), or that of `pip install -e .`."""
    code = f"from hatchling import build; print(build.build_{kind}({str(folder)!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return folder / done.stdout.strip()


def install(wheel: Path, folder: Path) -> Path:
    """`folder`, to be put on PYTHONPATH: then it hides the checkout. Commands are in its `bin/`."""
    subprocess.run(
        [
            sys.executable,
            "-m",
            "uv",
            "pip",
            "install",
            "--quiet",
            "--offline",
            "--no-deps",
            "--python",
            sys.executable,
            "--target",
            folder,
            wheel,
        ],
        check=True,
    )
    return folder
