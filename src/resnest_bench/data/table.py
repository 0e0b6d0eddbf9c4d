"""Labels from a table: one row for each image, in a CSV, TSV or Parquet file."""

import csv
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path

from resnest_bench.data.arrays import Content
from resnest_bench.data.folders import SHOWN, Tree
from resnest_bench.data.photos import read_photos
from resnest_bench.data.rows import PART_WORDS, Rows, make_tree
from resnest_bench.errors import UserError
from resnest_bench.files import write_text
from resnest_bench.specs import TableDataset, describe_missing, expand_path
from resnest_bench.words import count_noun, list_names

COLUMNS = ("image", "label", "split", "group")
NEEDED = ("image", "label")
# Other common names for these columns.
SYNONYMS = {
    "image": (
        "file",
        "filename",
        "file_name",
        "filepath",
        "file_path",
        "path",
        "image_path",
        "img",
    ),
    "label": ("class", "target", "category", "y", "class_name"),
    "split": ("part", "set", "subset", "fold"),
    "group": ("groups", "scene", "patient", "patient_id", "subject"),
}
NEAR = 0.75

Columns = dict[str, list[str]]


def read(spec: TableDataset, name: str, downloads: Path) -> Content:
    """Read and check the table; the images are decoded later, one by one."""
    return read_photos(spec, name, list_images(spec, name, downloads.parent / "reports"), downloads)


def list_images(spec: TableDataset, name: str, reports: Path | None = None) -> Tree:
    """List the table's images by part and class. Raises UserError for invalid rows.

    Complete lists that are too long for a message are written to the folder `reports`, if given.
    """
    path = expand_path(spec.path)
    if not path.is_file():
        problem = f"{path} is a folder" if path.is_dir() else describe_missing(path)
        raise UserError(f"datasets.{name}.path must be a table, but {problem}: change the path")
    columns = read_columns(path)
    root = find_root(spec)
    rows = Rows(
        where=str(path),
        root=root,
        paths=[Path(os.path.normpath(root / image)) for image in columns["image"]],
        labels=columns["label"],
        parts=_read_parts(path, columns["split"]) if "split" in columns else None,
        groups=columns.get("group"),
    )
    _check_filled(path, columns)
    _check_distinct(rows)
    _check_there(rows, reports and reports / f"{name}-missing.txt", stated=spec.root is not None)
    return make_tree(rows, spec.split, spec.validation, reports and reports / f"{name}-split.csv")


def find_root(spec: TableDataset) -> Path:
    """Return the folder that paths of images are relative to."""
    return expand_path(spec.root) if spec.root else expand_path(spec.path).parent


def list_files(spec: TableDataset) -> Iterator[tuple[str, Path]]:
    """Yield the table and its images with their names in it; only the table if it is damaged."""
    path = expand_path(spec.path)
    yield "", path
    try:
        images = read_columns(path)["image"]
    except UserError:
        return
    root = find_root(spec)
    for image in sorted(set(images)):
        yield image, root / image


def read_columns(path: Path) -> Columns:
    """Read those of COLUMNS that a table has, as stripped text. Raises UserError."""
    ending = path.suffix.lower()
    if ending not in (".csv", ".tsv", ".parquet"):
        raise UserError(
            f"{path}: a table must be a .csv, .tsv or .parquet file, but got {ending or 'no extension'}: "
            "save it as one of them"
        )
    columns = _read_parquet(path) if ending == ".parquet" else _read_text(path, ending)
    check_columns(path, list(columns))
    return {name: columns[name] for name in COLUMNS if name in columns}


def _read_text(path: Path, ending: str) -> Columns:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter="\t" if ending == ".tsv" else ",", strict=True)
            header = [name.strip() for name in next(reader, [])]
            _check_header(path, header)
            rows = []
            for row in reader:
                if not row:  # an empty line
                    continue
                if len(row) != len(header):
                    raise UserError(
                        f"{path}, line {reader.line_num}: every row must have {len(header)} values, "
                        f"as in the first line, but got {len(row)}: put values with commas into quotes"
                    )
                rows.append([value.strip() for value in row])
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except (csv.Error, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path} must be a table in UTF-8, but: {error}: save it again") from error
    return {name: [row[index] for row in rows] for index, name in enumerate(header)}


def _check_header(path: Path, header: Sequence[str]) -> None:
    twice = [name for name, num in Counter(header).items() if num > 1 and name in COLUMNS]
    if twice:
        raise UserError(
            f"{path}: column {twice[0]!r} must be unique, but there are two: rename one"
        )
    if len(header) == 1 and any(sign in header[0] for sign in ";\t|"):
        raise UserError(
            f"{path}: values must be separated by commas (.csv) or tabs (.tsv), but the first line is "
            f"{header[0]!r}: save it again with commas"
        )


def _read_parquet(path: Path) -> Columns:
    from pyarrow import parquet

    try:
        table = parquet.read_table(path)
        _check_header(path, table.column_names)
        chosen = [name for name in table.column_names if name in COLUMNS]
        values = {name: table.column(name).to_pylist() for name in chosen}
    except UserError:
        raise
    except Exception as error:  # untrusted bytes can raise anything
        raise UserError(f"{path} must be a complete Parquet file, but: {error}") from error
    others: Columns = {name: [] for name in table.column_names if name not in COLUMNS}
    return {**{name: [_as_text(path, name, v) for v in values[name]] for name in chosen}, **others}


def _as_text(path: Path, column: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str | int):
        return str(value).strip()
    raise UserError(
        f"{path}: column {column!r} must hold text or whole numbers, but got {value!r}: convert it"
    )


def check_columns(path: Path, names: Sequence[str]) -> None:
    """Raise UserError if `image` or `label` is missing, or a column is probably misspelt."""
    for column in COLUMNS:
        if column in names:
            continue
        others = [name for name in names if name not in COLUMNS]
        lower = {name.lower().strip(): name for name in others}
        near = get_close_matches(column, list(lower), n=1, cutoff=NEAR)
        if column in NEEDED:
            near = near or [name for name in SYNONYMS[column] if name in lower]
            hint = f"rename {lower[near[0]]!r} to {column!r}" if near else f"add {column!r}"
            raise UserError(
                f"{path} must have the columns image and label, but got "
                f"{list_names(list(names), SHOWN) or 'none'}: {hint}"
            )
        if near:
            raise UserError(
                f"{path}: column {lower[near[0]]!r} is probably meant to be {column!r}: rename it to "
                "that, or to something else"
            )


def _read_parts(path: Path, words: Sequence[str]) -> list[str]:
    unknown = Counter(word for word in words if word.lower() not in PART_WORDS)
    if unknown:
        shown = [f"{word!r} ({count_noun(num, 'row')})" for word, num in unknown.most_common()]
        raise UserError(
            f"{path}: split must be train, test or validation (val, valid), but got "
            f"{list_names(shown, SHOWN)}: correct it, or remove the column and set split"
        )
    return [PART_WORDS[word.lower()] for word in words]


def _check_filled(path: Path, columns: Columns) -> None:
    for name in ("image", "label", "group"):
        empty = [index for index, value in enumerate(columns.get(name, ())) if not value]
        if empty:
            rows = list_names([str(index + 1) for index in empty], SHOWN)
            what = " (give an image without a group one of its own)" if name == "group" else ""
            raise UserError(
                f"{path}: every row must have a value in column {name!r}, but "
                f"{count_noun(len(empty), 'row')} (counted without the first line: {rows}) "
                f"{'has' if len(empty) == 1 else 'have'} none: fill it in{what}, or remove the row"
            )


def _check_distinct(rows: Rows) -> None:
    twice = [path for path, num in Counter(rows.paths).items() if num > 1]
    if not twice:
        return
    labels: dict[Path, set[str]] = {}
    for path, label in zip(rows.paths, rows.labels, strict=True):
        labels.setdefault(path, set()).add(label)
    shown = [
        f"{_show(path, rows.root)} ({' and '.join(sorted(labels[path]))})" for path in twice[:SHOWN]
    ]
    more = f" and {len(twice) - SHOWN:,} more" if len(twice) > SHOWN else ""
    raise UserError(
        f"{rows.where}: every image must have one row, but {count_noun(len(twice), 'image')} "
        f"{'has' if len(twice) == 1 else 'have'} several: {', '.join(shown)}{more}: keep one row of each"
    )


def _check_there(rows: Rows, report: Path | None, stated: bool) -> None:
    missing = [_show(path, rows.root) for path in rows.paths if not path.is_file()]
    if not missing:
        return
    where = ""
    if report is not None and len(missing) > SHOWN:
        report.parent.mkdir(parents=True, exist_ok=True)
        write_text(report, "".join(f"{name}\n" for name in missing))
        where = f", all in {report}"
    advice = "correct root" if stated else "set root, the folder that paths are relative to"
    raise UserError(
        f"{rows.where}: every image must exist, but {len(missing)} of {len(rows.paths)} are missing "
        f"in {rows.root}: {list_names(missing, SHOWN)}{where}: {advice}, or remove the rows"
    )


def _show(path: Path, root: Path) -> str:
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()
