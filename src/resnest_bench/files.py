"""Atomic writes, a check of free disk space, and a strict JSON parser (floor 0)."""

import contextlib
import glob
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from resnest_bench.errors import UserError

# Writing a file never takes this long: an older temporary file belongs to a killed process.
ABANDONED_SECONDS = 3600.0


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8; see `write_bytes`."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write `path` atomically: no reader ever sees half a file.

    Raises UserError if the folder is not writable or the disk is full.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(content)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield an empty temporary file for the caller to write; on exit it replaces `path` atomically.

    The file is in the same folder, since a rename is atomic only within one file system. After an
    exception the old file is kept and the new one is deleted. Raises UserError if the write fails.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        os.close(handle)
        _remove_abandoned(path, temporary)
        yield temporary
        _flush(temporary)
        # mkstemp creates a file that only its owner can read.
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(_explain_write_error(path, error)) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _remove_abandoned(path: Path, temporary: Path) -> None:
    """Delete temporary files of killed processes: those that are an hour older than `temporary`.

    Both times come from the file system, so if its clock was set back, they are only kept for longer.
    """
    now = temporary.stat().st_mtime
    for other in path.parent.glob(f".{glob.escape(path.name)}.*"):
        with contextlib.suppress(OSError):
            if now - other.stat().st_mtime > ABANDONED_SECONDS:
                other.unlink()


def _flush(path: Path) -> None:
    """Flush the file to the disk: otherwise a power cut after the rename could leave it empty."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def _explain_write_error(path: Path, error: OSError) -> str:
    return (
        f"cannot write {path}: {error.strerror}. "
        "Free space or make the folder writable, then run the same command again"
    )


def check_writable(folder: Path, needed_bytes: int = 0) -> None:
    """Raise UserError unless `folder` is writable and has `needed_bytes` free. Creates the folder."""
    probe = folder / ".write-probe"
    write_text(probe, "resnest-bench\n")
    probe.unlink(missing_ok=True)
    stat = os.statvfs(folder)
    free = stat.f_bavail * stat.f_frsize
    if free < needed_bytes:
        raise UserError(
            f"{folder} has {free / 2**20:.0f} MiB free, but this job needs "
            f"{needed_bytes / 2**20:.0f} MiB: free space or choose another folder"
        )


def strict_json(text: str) -> Any:
    """Parse JSON text. Raises ValueError for a syntax error, a duplicate key, NaN or an infinity.

    Python's own parser would silently keep the last of two values.
    """
    return json.loads(text, object_pairs_hook=_reject_duplicates, parse_constant=_reject_constant)


def _reject_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        duplicate = next(key for key, _ in pairs if sum(key == other for other, _ in pairs) > 1)
        raise ValueError(f"key {duplicate!r} is given twice")
    return value


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")
