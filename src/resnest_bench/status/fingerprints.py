"""SHA-256 of a study's data and weights as they are on this machine now."""

import contextlib
import functools
import hashlib
import json
from pathlib import Path

from resnest_bench.paths import DataPaths
from resnest_bench.specs import StudySpec, WeightsSpec


def read_fingerprints(study: StudySpec) -> dict[str, str]:
    """SHA-256 (hex) of a study's inputs, as far as they are on this machine.

    By name of the dataset for its prepared arrays; by `file:PATH` and `hub:NAME` for weights.
    """
    found = {}
    for name in study.datasets:
        try:
            meta = json.loads((study.prepared(name) / "meta.json").read_text(encoding="utf-8"))
            found[name] = str(meta["fingerprint"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            # Not prepared here, or half-prepared: whether the data changed can't be told.
            continue
    for weights in {w for block in study.finetune for w in block.weights.values()}:
        path = weights.file or (
            weights.hub and DataPaths(Path(study.data_dir)).hub_weights(weights.hub)
        )
        if path:
            # Weights that are not on this machine may be the same or not.
            with contextlib.suppress(OSError):
                found[name_weights(weights)] = _hash_file(Path(path))
    return found


def _hash_file(path: Path) -> str:
    stat = path.stat()
    return _hash_unchanged_file(path, stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=256)
def _hash_unchanged_file(path: Path, mtime_ns: int, size: int) -> str:
    """SHA-256 (hex). The time and the size are there for the cache: another file is read again."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def name_weights(weights: WeightsSpec) -> str:
    """Their key in `fingerprints`; no dataset's name has a colon."""
    return f"file:{weights.file}" if weights.file else f"hub:{weights.hub}"
