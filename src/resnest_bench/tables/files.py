"""Writing tables and pictures at once or not at all, beside `records.write_text`."""

import io
import os
import tempfile
from pathlib import Path

import pandas as pd

from resnest_bench import records
from resnest_bench.errors import UserError


def write_bytes(path: Path, content: bytes) -> None:
    """Write `path` at once or not at all. Raises UserError where that can't be done."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes a file that its owner alone can read.
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise UserError(
            f"cannot write {path}: {error.strerror}. "
            "Free space or make the folder writable, then run the same command again"
        ) from error


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    """Unrounded: a number reads back as the same double. A list is joined by spaces."""
    flat = frame.copy()
    for column in flat.columns:
        if flat[column].dtype == object:
            flat[column] = [
                " ".join(map(str, v)) if isinstance(v, list) else v for v in flat[column]
            ]
    records.write_text(path, flat.to_csv(index=False, lineterminator="\n"))


def write_parquet(path: Path, frame: pd.DataFrame) -> None:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    write_bytes(path, buffer.getvalue())
