"""The record files of a study and their stamps, to notice changes without reading the files."""

import os
from collections.abc import Iterable
from pathlib import Path

from resnest_bench.paths import StudyPaths, predictions_file

Stamp = tuple[int, int]
Stamps = dict[str, Stamp]


def scan_records(paths: StudyPaths) -> Stamps:
    """Return the stamp of every *.json below `paths.records`: (modification time in ns, size in bytes).

    The stamp of a record is that of its predictions too, if it has any: the later time, and both sizes.
    The key is the path relative to `paths.root`, with '/'. Names that start with '.' are skipped, since
    half-written records have such names. Linked folders are not followed. Files that vanish during the
    scan and folders that can't be listed are skipped.
    """
    stamps: Stamps = {}
    predictions: Stamps = {}
    todo = [paths.records.name]
    while todo:
        folder = todo.pop()
        try:
            with os.scandir(os.path.join(paths.root, folder)) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        todo.append(f"{folder}/{entry.name}")
                    elif entry.name.endswith(".json"):
                        _add(stamps, f"{folder}/{entry.name}", entry)
                    elif entry.name.endswith(".npz"):
                        _add(predictions, f"{folder}/{entry.name[:-4]}.json", entry)
        except OSError:
            continue
    for name in predictions.keys() & stamps.keys():
        stamps[name] = _join(stamps[name], predictions[name])
    return stamps


def read_stamps(paths: StudyPaths, names: Iterable[str]) -> Stamps:
    """Return `scan_records` with the stamps of any further `names` that exist.

    These are records in a linked folder, or folders with the name of a record.
    """
    stamps = scan_records(paths)
    for name in names:
        if name not in stamps:
            path = paths.root / name
            beside: Stamps = {}
            _add(stamps, name, path)
            _add(beside, name, predictions_file(path))
            if name in stamps and name in beside:
                stamps[name] = _join(stamps[name], beside[name])
    return stamps


def _join(one: Stamp, other: Stamp) -> Stamp:
    return max(one[0], other[0]), one[1] + other[1]


def _add(stamps: Stamps, name: str, file: os.DirEntry | Path) -> None:
    try:
        stat = file.stat()
    except OSError:
        return
    stamps[name] = (stat.st_mtime_ns, stat.st_size)
