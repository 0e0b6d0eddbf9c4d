"""Report images that are in both parts of a dataset or under two labels, or refuse the dataset."""

import csv
import io
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from resnest_bench.data.duplicates import (
    BothParts,
    Pair,
    count_duplicates,
    find_duplicates,
    list_pairs,
)
from resnest_bench.data.prepared import (
    PARTS,
    PreparedDataset,
    PreparedMeta,
    open_prepared,
    write_meta,
)
from resnest_bench.errors import UserError
from resnest_bench.files import write_text
from resnest_bench.records.observations import DuplicateCounts
from resnest_bench.specs import DatasetSpec

log = logging.getLogger(__name__)

NAMED = 10
REPORT_COLUMNS = (
    "file",
    "class",
    "other_file",
    "other_class",
    "copy",
    "correlation",
    "in_both_parts",
    "two_labels",
)
Files = Mapping[str, Sequence[str]]


def report_file(folder: Path) -> Path:
    """Return the file that lists copies in `folder`. It is next to it, to survive if the data are refused."""
    return folder.with_name(f"{folder.name}.duplicates.csv")


def add_duplicates(
    folder: Path, files: Files | None, look_for_near: bool, report: Path
) -> PreparedMeta:
    """Look for copies in prepared data, list them in `report`, and write their counts to meta.json.

    The arrays and the time of meta.json don't change, so that results don't become outdated. If there are
    no copies, an older `report` is deleted.
    """
    data = open_prepared(folder)
    log.info("%s: looking for duplicate images", data.meta.name)
    found = find_duplicates(BothParts(data), look_for_near)
    labels_N = np.concatenate([data.train.labels, data.test.labels])
    in_test_N = np.arange(len(labels_N)) >= len(data.train)
    counts = count_duplicates(found, labels_N, in_test_N)
    if look_for_near and counts.test_near is None:
        log.warning(
            "%s: so many images look alike that only exact duplicates are reported", data.meta.name
        )
    pairs = list_pairs(found, labels_N, in_test_N)
    _write_report(
        report, _report_rows(pairs, _file_names(data, files), labels_N, data.meta.classes)
    )
    meta = data.meta.model_copy(update={"duplicates": counts})
    _write_in_place(folder, meta)
    return meta


def _write_in_place(folder: Path, meta: PreparedMeta) -> None:
    stat = (folder / "meta.json").stat()
    write_meta(folder, meta)
    # The workflow reruns jobs whose results are older than their input.
    os.utime(folder / "meta.json", ns=(stat.st_atime_ns, stat.st_mtime_ns))


def _file_names(data: PreparedDataset, files: Files | None) -> list[str]:
    """The images' names as in `BothParts`: their files', or like train[123]."""
    names: list[str] = []
    for part in PARTS:
        count = len(getattr(data, part))
        given = list(files[part]) if files else []
        names += given if len(given) == count else [f"{part}[{index}]" for index in range(count)]
    return [_printable(name) for name in names]


def _printable(name: str) -> str:
    """Escape a file name so that it is one line of UTF-8."""
    return name if name.isprintable() else name.encode("unicode_escape").decode()


def _report_rows(
    pairs: Sequence[Pair], names: Sequence[str], labels_N: np.ndarray, classes: Sequence[str]
) -> list[dict[str, str]]:
    return [
        {
            "file": names[pair.image],
            "class": classes[labels_N[pair.image]],
            "other_file": names[pair.other],
            "other_class": classes[labels_N[pair.other]],
            "copy": "exact" if pair.correlation is None else "near",
            "correlation": "" if pair.correlation is None else f"{pair.correlation:.4f}",
            "in_both_parts": "yes" if pair.crosses_parts else "no",
            "two_labels": "yes" if pair.differs_in_label else "no",
        }
        for pair in pairs
    ]


def _write_report(report: Path, rows: Sequence[Mapping[str, str]]) -> None:
    if not rows:
        report.unlink(missing_ok=True)
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, REPORT_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(report, text.getvalue())


def check_leakage(spec: DatasetSpec, meta: PreparedMeta, report: Path) -> None:
    """Raise UserError if the dataset has `leakage: error`, and it has copies or wasn't checked."""
    if spec.leakage != "error":
        return
    if meta.duplicates is None:
        raise UserError(
            f"datasets.{meta.name}: leakage: error needs data that were checked for copies, but these "
            f"were prepared by an older release: run `resnest-bench data --dataset {meta.name}`"
        )
    if _is_bad(meta.duplicates):
        raise UserError(
            f"datasets.{meta.name}: leakage: error allows no image in both train and test, and none "
            f"under two labels, but got {_summarise_copies(meta.duplicates, report)}. Remove the copies (listed in "
            f"{report}), or set leakage: warn"
        )


def warn_of_leakage(spec: DatasetSpec, meta: PreparedMeta, report: Path) -> None:
    """Log the number of copies and the first ones, unless the dataset has `leakage: allow`."""
    if meta.duplicates and _is_bad(meta.duplicates) and spec.leakage != "allow":
        text = _summarise_copies(meta.duplicates, report)
        log.warning("%s: %s. All are listed in %s", meta.name, text, report)


def _summarise_copies(counts: DuplicateCounts, report: Path) -> str:
    return f"{counts_text(counts)}: {'; '.join(_first_lines(report)) or 'the list is missing'}"


def _is_bad(counts: DuplicateCounts) -> bool:
    return bool(counts.test_exact or counts.test_near or counts.two_labels)


def counts_text(counts: DuplicateCounts) -> str:
    """'3 test images are also training images (1 exactly, 2 nearly), 0 images are under two labels'."""
    near = "near copies not checked"
    if counts.test_near is not None:
        near = f"{counts.test_near} nearly"
    return (
        f"{counts.test_exact + (counts.test_near or 0)} test images are also training images "
        f"({counts.test_exact} exactly, {near}), {counts.two_labels} images have a copy under "
        "another label"
    )


def _first_lines(report: Path) -> list[str]:
    """Return the first harmful copies in the report; empty if the file is missing."""
    try:
        with report.open(encoding="utf-8", newline="") as file:
            rows = [row for _, row in zip(range(NAMED), csv.DictReader(file), strict=False)]
    except OSError:
        return []
    bad = [row for row in rows if "yes" in (row.get("in_both_parts"), row.get("two_labels"))]
    return [
        f"{_name_image(row, 'file', 'class')} = {_name_image(row, 'other_file', 'other_class')}"
        for row in bad
    ]


def _name_image(row: Mapping[str, str], file: str, label: str) -> str:
    return f"{row.get(file)} ({row.get(label)})"
