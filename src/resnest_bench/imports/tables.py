"""A file of results as columns of text: CSV, TSV or Parquet, checked at the door."""

import csv
import hashlib
import io
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resnest_bench.errors import UserError, first_line
from resnest_bench.words import list_names

MAX_BYTES = 2**30
DELIMITERS = (",", ";", "\t")
# The first bytes of files that are often given the name of a table.
NO_TABLES = {
    b"PK\x03\x04": "a zip archive, as Excel workbooks (.xlsx) are",
    b"\xd0\xcf\x11\xe0": "an Excel workbook (.xls)",
    b"\x93NUMPY": "a numpy file",
    b"\x1f\x8b": "a gzip archive",
}


@dataclass(frozen=True)
class Table:
    """Cells as text without blanks around them; a missing cell is ''.

    `lines` are the rows' lines in the file, or their numbers from 1 where it has none. `delimiter` is '' for
    Parquet.
    """

    path: Path
    sha256: str
    columns: dict[str, list[str]]
    lines: list[int]
    delimiter: str = ","

    def __len__(self) -> int:
        return len(self.lines)

    def where(self, row: int) -> str:
        """The place of a row in a message: 'results.csv, line 7'."""
        return f"{self.path}, {'line' if self.delimiter else 'row'} {self.lines[row]}"

    def keep(self, rows: list[int]) -> "Table":
        columns = {name: [cells[row] for row in rows] for name, cells in self.columns.items()}
        lines = [self.lines[row] for row in rows]
        return Table(self.path, self.sha256, columns, lines, self.delimiter)


def read_bytes(path: Path) -> bytes:
    """The content of a file of results. Raises UserError where it is none that can be read."""
    if path.is_dir():
        raise UserError(f"{path} must be a file of results, but is a folder: name the files in it")
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise UserError(
                f"{path} must have at most {MAX_BYTES / 2**30:.0f} GiB, but has {size / 2**30:.1f}: keep only the "
                "rows and columns that count"
            )
        content = path.read_bytes()
    except OSError as error:
        gone = isinstance(error, FileNotFoundError)
        problem = "does not exist" if gone else f"can't be read ({error.strerror})"
        raise UserError(f"{path} {problem}: check the path") from error
    if not content.strip():
        raise UserError(f"{path} must have a header and at least one row, but is empty")
    return content


def read_table(path: Path) -> Table:
    """Read a CSV, TSV or Parquet file, which its content tells from each other.

    Raises UserError for anything else, with what it is and what to do.
    """
    content = read_bytes(path)
    digest = hashlib.sha256(content).hexdigest()
    if content[:4] == b"PAR1":
        columns, delimiter = _parse_parquet(path, content), ""
        lines = list(range(1, 1 + max(map(len, columns.values()), default=0)))
    else:
        for start, what in NO_TABLES.items():
            if content.startswith(start):
                raise UserError(
                    f"{path} must be a table in text (.csv, .tsv) or Parquet, but is {what}: save the sheet as "
                    "CSV (UTF-8)"
                )
        columns, lines, delimiter = _parse_text(path, _decode(path, content))
    if not lines:
        raise UserError(f"{path} must have at least one row under its header, but has none")
    return Table(path, digest, columns, lines, delimiter)


def _decode(path: Path, content: bytes) -> str:
    wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    encoding = "utf-16" if wide else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} must be text in UTF-8, but byte {error.start:,} is not: save it as CSV UTF-8"
        ) from error
    if not text.strip():
        raise UserError(f"{path} must have a header and at least one row, but is empty")
    if "\0" in text:
        raise UserError(f"{path} must be text, but holds zero bytes: save the table as CSV (UTF-8)")
    return text


def _parse_text(path: Path, text: str) -> tuple[dict[str, list[str]], list[int], str]:
    first = next(line for line in text.splitlines() if line.strip())
    # The header decides: names of columns rarely hold any of these.
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] = []
    rows: list[list[str]] = []
    lines: list[int] = []
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if not header:
                header = cells
                continue
            if len(cells) != len(header):
                raise UserError(
                    f"{path}, line {reader.line_num}: every row must have {len(header)} values, as the header "
                    f"has, but got {len(cells)}: put values with commas into quotes"
                )
            rows.append(cells)
            lines.append(reader.line_num)
    except csv.Error as error:
        raise UserError(
            f"{path}, line {reader.line_num}: it must be a table with a comma, semicolon or tab between values, "
            f"but {error}: save it as CSV (UTF-8)"
        ) from error
    _check_header(path, header)
    return {name: [row[i] for row in rows] for i, name in enumerate(header)}, lines, delimiter


def _check_header(path: Path, header: list[str]) -> None:
    repeated = [name for name, count in Counter(header).items() if count > 1 and name]
    if repeated:
        raise UserError(
            f"{path}: every column must have a name of its own, but {list_names(repeated, 5)} comes twice: "
            "rename one of them"
        )
    if header.count("") > 1:
        raise UserError(f"{path}: every column must have a name, but {header.count('')} have none")


def _parse_parquet(path: Path, content: bytes) -> dict[str, list[str]]:
    import pandas as pd

    try:
        frame = pd.read_parquet(io.BytesIO(content))
    except Exception as error:
        # pyarrow raises many kinds for a damaged file.
        raise UserError(
            f"{path} must be a Parquet file, but can't be read: {first_line(error)}"
        ) from error
    _check_header(path, [str(name) for name in frame.columns])
    return {str(name): list(map(_to_text, frame[name].tolist())) for name in frame.columns}


def _to_text(value: Any) -> str:
    if value is None or value is Ellipsis:
        return ""
    if isinstance(value, list | tuple) or hasattr(value, "tolist"):
        return json.dumps(value.tolist() if hasattr(value, "tolist") else list(value), default=str)
    text = str(value)
    # pandas has several values for a gap.
    return "" if text in ("nan", "NaT", "<NA>", "None") else text.strip()
