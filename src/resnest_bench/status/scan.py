"""Which record files there are and whether one has changed, told without reading any."""

import os
from collections.abc import Iterable
from pathlib import Path

from resnest_bench.paths import StudyPaths, predictions_file

Stamp = tuple[int, int]
Stamps = dict[str, Stamp]


def scan_records(paths: StudyPaths) -> Stamps:
    """Name to (modification time in ns, size in bytes) of every *.json below `paths.records`.

    The stamp of a record is that of its predictions too, if it has any: the later time, and both sizes.
    A name is relative to `paths.root`, with '/'. Files and folders whose name starts with '.' are
    left out: half-written records are such. A linked folder is not entered. What vanishes meanwhile
    or can't be listed has no stamp.
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
    """`scan_records`, and whatever else lies where one of `names` is expected.

    That is a record in a linked folder, or a folder in a record's place.
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
