"""Files that are whole or not there: atomic writes, free space, strict JSON (floor 0)."""

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

# No file takes so long to be written.
ABANDONED_SECONDS = 3600.0


def write_text(path: Path, text: str) -> None:
    """`write_bytes` of UTF-8."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write `path` at once or not at all: no reader ever sees half a file.

    Raises UserError where the folder can't be written or the disk is full.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(content)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give an empty file beside `path` to be written; at the end it takes the place of `path`.

    Beside it, since a rename is atomic on one file system alone. Where anything is raised, the old
    file stays and the new one goes. Raises UserError where the system can't write.
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
        # mkstemp makes a file that its owner alone can read.
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(_cannot_write(path, error)) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _remove_abandoned(path: Path, temporary: Path) -> None:
    """Remove what writers of `path` left that were killed: files an hour older than `temporary`.

    Both times are the file system's own: a clock that was set back only leaves them for longer.
    """
    now = temporary.stat().st_mtime
    for other in path.parent.glob(f".{glob.escape(path.name)}.*"):
        with contextlib.suppress(OSError):
            if now - other.stat().st_mtime > ABANDONED_SECONDS:
                other.unlink()


def _flush(path: Path) -> None:
    """Have the system put the file on the disk, or a power cut could leave an empty one renamed."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def _cannot_write(path: Path, error: OSError) -> str:
    return (
        f"cannot write {path}: {error.strerror}. "
        "Free space or make the folder writable, then run the same command again"
    )


def check_writable(folder: Path, needed_bytes: int = 0) -> None:
    """Raise UserError unless `folder` can be written to and has `needed_bytes` free."""
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
    """The value in JSON text. Raises ValueError for a key given twice, NaN and infinities too.

    Python's reader would keep the last of two values.
    """
    return json.loads(text, object_pairs_hook=_without_duplicate, parse_constant=_refuse_constant)


def _without_duplicate(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        twice = next(key for key, _ in pairs if sum(key == other for other, _ in pairs) > 1)
        raise ValueError(f"key {twice!r} is given twice")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")
