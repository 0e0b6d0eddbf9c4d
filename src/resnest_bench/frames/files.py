"""Write tables atomically: whole files or none."""

import io
from pathlib import Path

import pandas as pd

from resnest_bench import files


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    """Write an unrounded CSV: a number reads back as the same double. A list is joined by spaces."""
    flat = frame.copy()
    for column in flat.columns:
        if flat[column].dtype == object:
            flat[column] = [
                " ".join(map(str, v)) if isinstance(v, list) else v for v in flat[column]
            ]
    files.write_text(path, flat.to_csv(index=False, lineterminator="\n"))


def write_parquet(path: Path, frame: pd.DataFrame) -> None:
    """Write a Parquet file without the index."""
    files.write_bytes(path, parquet_bytes(frame))


def parquet_bytes(frame: pd.DataFrame) -> bytes:
    """Content of a Parquet file of the frame, without its index."""
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()
