"""SHA-256 of a study's data and weights, as they are on this machine now."""

import contextlib
import functools
import hashlib
import json
from pathlib import Path

from resnest_bench.paths import DataPaths
from resnest_bench.specs import StudySpec, WeightsSpec


def read_fingerprints(study: StudySpec) -> dict[str, str]:
    """Return the SHA-256 (hex) of those inputs of a study that are on this machine.

    The key of a dataset's prepared arrays is its name; that of weights is `file:PATH` or `hub:NAME`.
    """
    fingerprints = {}
    for name in study.own_datasets:
        try:
            meta = json.loads((study.prepared(name) / "meta.json").read_text(encoding="utf-8"))
            fingerprints[name] = str(meta["fingerprint"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            # Not prepared here, or only partly: it is unknown whether the data changed.
            continue
    for weights in {w for block in study.finetune for w in block.weights.values()}:
        path = weights.file or (
            weights.hub and DataPaths(Path(study.data_dir)).hub_weights(weights.hub)
        )
        if path:
            # If the weights are not on this machine, it is unknown whether they changed.
            with contextlib.suppress(OSError):
                fingerprints[name_weights(weights)] = _hash_file(Path(path))
    return fingerprints


def _hash_file(path: Path) -> str:
    stat = path.stat()
    return _hash_unchanged_file(path, stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=256)
def _hash_unchanged_file(path: Path, mtime_ns: int, size: int) -> str:
    """SHA-256 (hex). The time and the size are only part of the cache's key: a changed file is read again."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def name_weights(weights: WeightsSpec) -> str:
    """Return the key of weights in `read_fingerprints`. A dataset's name has no colon."""
    return f"file:{weights.file}" if weights.file else f"hub:{weights.hub}"
