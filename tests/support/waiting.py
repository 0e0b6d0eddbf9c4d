"""What a test does while a program runs."""

import os
from pathlib import Path


def has_file(folder: Path, name: str) -> bool:
    """Whether a file `name` is anywhere below `folder`, in which other processes add and delete.

    Path.rglob raises where a folder is gone between two of its looks.
    """
    return any(name in files for _, _, files in os.walk(folder))
