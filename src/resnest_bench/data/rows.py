"""Check rows of (image, label, part, group) and turn them into training and test images.

Tables, Hugging Face datasets and folders without parts are such rows.
"""

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from resnest_bench.data.class_names import check_text, quote_names
from resnest_bench.data.folders import SHOWN, VALIDATION_NAMES, LeftOut, Tree, join_validation
from resnest_bench.data.prepared import PARTS
from resnest_bench.data.splits import choose_test_images
from resnest_bench.errors import UserError
from resnest_bench.files import write_text
from resnest_bench.records.observations import MadeSplit
from resnest_bench.specs import SplitSpec
from resnest_bench.words import list_names

PART_WORDS = {
    "train": "train",
    "training": "train",
    "test": "test",
    **dict.fromkeys(VALIDATION_NAMES, "validation"),
}


@dataclass(frozen=True)
class Rows:
    """N images with their labels.

    Attributes:
        where: the origin of the rows in messages, like the path of a table.
        root: paths of images are shown relative to it.
        parts: train, test or validation; None if the data don't say.
        groups: None if the data have none.
        classes: the order of the classes; None: by number if all are numbers, else by text.
    """

    where: str
    root: Path
    paths: Sequence[Path]
    labels: Sequence[str]
    parts: Sequence[str] | None = None
    groups: Sequence[str] | None = None
    classes: Sequence[str] | None = None


def make_tree(
    rows: Rows, split: SplitSpec | None, validation: str, report: Path | None = None
) -> Tree:
    """Return the images by part and class. Raises UserError for impossible parts or groups.

    If the data are split here, the split is written to `report`, as a table that can be read again.
    """
    if not rows.paths:
        raise UserError(f"{rows.where} must name images, but got none: add some")
    classes = tuple(order_classes(rows.labels, rows.classes))
    for name in classes:
        check_text(Path(rows.where), name)
    # Data with only a part train still have to be split.
    if rows.parts is None or (split is not None and set(rows.parts) == {"train"}):
        return _divide(rows, classes, split, report)
    if split is not None:
        raise UserError(
            f"split is for data without parts, but {rows.where} has a part for each image: remove "
            "split"
        )
    parts = _assign_parts(rows, validation)
    if rows.groups is not None:
        check_groups(rows.where, rows.groups, parts)
    files = {part: _by_class(rows, parts, part) for part in (*PARTS, "validation")}
    given = files.pop("validation")
    _check_labels(rows.where, files, given)
    complete = {part: {name: files[part].get(name, []) for name in classes} for part in PARTS}
    left_out = LeftOut()
    if validation == "ignore" and given:
        left_out.unused["validation"] = sum(map(len, given.values()))
        given = {}
    return join_validation(Tree(rows.root, classes, complete, left_out), given, validation)


def divide_classes(
    root: Path,
    files: Mapping[str, list[Path]],
    left_out: LeftOut,
    split: SplitSpec,
    report: Path | None = None,
) -> Tree:
    """Split a folder with `<class>/` by `split`."""
    pairs = [(path, name) for name, paths in files.items() for path in paths]
    paths, labels = zip(*pairs, strict=True)
    tree = _divide(Rows(str(root), root, paths, labels), tuple(files), split, report)
    return Tree(root, tree.classes, tree.files, left_out, split=tree.split)


def order_classes(labels: Iterable[str], given: Sequence[str] | None = None) -> list[str]:
    """Sort the distinct labels: in the order of `given`, by number if all are numbers, else by text."""
    there = set(labels)
    if given is not None:
        return [name for name in given if name in there]
    if all(label.isascii() and label.isdecimal() for label in there):
        return sorted(there, key=lambda label: (int(label), label))
    return sorted(there)


def _assign_parts(rows: Rows, validation: str) -> list[str]:
    """Return the part of each image."""
    assert rows.parts is not None
    existing = set(rows.parts)
    if validation != "ignore" and "validation" not in existing:
        raise UserError(
            f"validation: {validation} needs a validation part, but {rows.where} has none: remove "
            "validation"
        )
    if validation == "test" and "test" in existing:
        raise UserError(
            f"validation: test is for data without a test part, but {rows.where} has one: choose ignore, "
            "hold_out or train"
        )
    target = {"train": "train", "test": "test"}.get(validation, "validation")
    return [target if part == "validation" else part for part in rows.parts]


def check_groups(where: str, groups: Sequence[str], parts: Sequence[str]) -> None:
    """Raise UserError if the images of a group are in several parts."""
    parts_by_group = defaultdict(set)
    for group, part in zip(groups, parts, strict=True):
        parts_by_group[group].add(part)
    bad = [
        f"{group} ({' and '.join(sorted(names))})"
        for group, names in sorted(parts_by_group.items())
        if len(names) > 1
    ]
    if bad:
        raise UserError(
            f"{where}: all images of a group must be in one part, but {len(bad)} of "
            f"{len(parts_by_group)} groups are in several: {list_names(bad, SHOWN)}: move them to one "
            "part, or remove the parts and set split"
        )


def _by_class(rows: Rows, parts: Sequence[str], part: str) -> dict[str, list[Path]]:
    files: dict[str, list[Path]] = {}
    for path, label, own_part in zip(rows.paths, rows.labels, parts, strict=True):
        if own_part == part:
            files.setdefault(label, []).append(path)
    return files


def _check_labels(
    where: str, files: Mapping[str, Mapping[str, list[Path]]], given: Mapping[str, list[Path]]
) -> None:
    train, test = set(files["train"]), set(files["test"])
    for part, names in (("train", train), ("test", test)):
        if not names:
            hint = ", or set validation: test" if part == "test" and given else ""
            raise UserError(
                f"{where} must have training and test images, but got none for {part}: add some{hint}"
            )
    for here, there, lacking in (("test", "train", test - train), ("train", "test", train - test)):
        if lacking:
            raise UserError(
                f"{where}: train and test must have the same labels, but {here} has "
                f"{quote_names(lacking)}, which {there} lacks: add images of it to {there}, or "
                "remove it"
            )
    if len(train) < 2:
        raise UserError(
            f"{where} must have at least two different labels, but has {quote_names(train)}: add one"
        )


def _divide(
    rows: Rows, classes: tuple[str, ...], split: SplitSpec | None, report: Path | None
) -> Tree:
    if split is None:
        raise UserError(
            f"{rows.where} must say which images are for testing, but does not: add the part of each "
            "image (column split), or set split: {test_fraction: 0.2, seed: 0}"
        )
    if len(classes) < 2:
        raise UserError(
            f"{rows.where} must have at least two different labels, but has {quote_names(classes)}: "
            "add one"
        )
    numbers = {name: number for number, name in enumerate(classes)}
    labels_N = np.array([numbers[label] for label in rows.labels])
    groups_N = None
    if rows.groups is not None:
        groups_N = np.unique(np.array(rows.groups), return_inverse=True)[1]
    try:
        in_test_N = choose_test_images(labels_N, groups_N, split.test_fraction, split.seed, classes)
    except UserError as error:
        raise UserError(f"{rows.where}: {error}") from error
    files: dict[str, dict[str, list[Path]]] = {
        part: {name: [] for name in classes} for part in PARTS
    }
    for path, label, in_test in zip(rows.paths, rows.labels, in_test_N, strict=True):
        files["test" if in_test else "train"][label].append(path)
    if report is not None:
        _write_split(rows, in_test_N, report)
    made = MadeSplit(
        test_fraction=split.test_fraction,
        seed=split.seed,
        num_groups=None if groups_N is None else int(groups_N.max()) + 1,
    )
    return Tree(rows.root, classes, files, LeftOut(), split=made)


def _write_split(rows: Rows, in_test_N: np.ndarray, report: Path) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "label", "split", *(["group"] if rows.groups else [])])
    for index, path in enumerate(rows.paths):
        shown = path.relative_to(rows.root) if path.is_relative_to(rows.root) else path
        row = [shown.as_posix(), rows.labels[index], "test" if in_test_N[index] else "train"]
        writer.writerow([*row, *([rows.groups[index]] if rows.groups else [])])
    report.parent.mkdir(parents=True, exist_ok=True)
    write_text(report, text.getvalue())
