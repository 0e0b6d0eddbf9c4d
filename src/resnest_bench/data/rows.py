"""From rows (image, label, part, group) to a tree of training and test images, checked.

Tables and the data sets of Hugging Face are such rows; a folder without parts is one too.
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
    """Images with their labels; N of each.

    Attributes:
        where: what messages call the rows' origin, like a table's path.
        root: what the images' paths are shown relative to.
        parts: train, test or validation; None where the data don't say.
        groups: None where the data have none.
        classes: their order; None: numbers by value, others by text.
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
    """The images by part and class. Raises UserError for parts or groups that can't be.

    A split that is made here is written to `report` if given, as a table that can be read again.
    """
    if not rows.paths:
        raise UserError(f"{rows.where} must name images, but names none: add them")
    classes = tuple(order_classes(rows.labels, rows.classes))
    for name in classes:
        check_text(Path(rows.where), name)
    # Data that name the part train alone are as undivided as those that name none.
    if rows.parts is None or (split is not None and set(rows.parts) == {"train"}):
        return _divide(rows, classes, split, report)
    if split is not None:
        raise UserError(
            f"split is for data without parts, but {rows.where} says the part of each image: leave "
            "out split"
        )
    parts = _place(rows, validation)
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
    """Divide a folder of `<class>/` by `split`."""
    pairs = [(path, name) for name, paths in files.items() for path in paths]
    paths, labels = zip(*pairs, strict=True)
    tree = _divide(Rows(str(root), root, paths, labels), tuple(files), split, report)
    return Tree(root, tree.classes, tree.files, left_out, split=tree.split)


def order_classes(labels: Iterable[str], given: Sequence[str] | None = None) -> list[str]:
    """Each label once: in the order of `given`, by number where all are whole numbers, else by text."""
    there = set(labels)
    if given is not None:
        return [name for name in given if name in there]
    if all(label.isascii() and label.isdecimal() for label in there):
        return sorted(there, key=lambda label: (int(label), label))
    return sorted(there)


def _place(rows: Rows, validation: str) -> list[str]:
    """The part that each image goes to."""
    assert rows.parts is not None
    came = set(rows.parts)
    if validation != "ignore" and "validation" not in came:
        raise UserError(
            f"validation: {validation} needs a validation part, but {rows.where} has none: leave out "
            "validation"
        )
    if validation == "test" and "test" in came:
        raise UserError(
            f"validation: test is for data without a test part, but {rows.where} has one: say ignore, "
            "hold_out or train"
        )
    target = {"train": "train", "test": "test"}.get(validation, "validation")
    return [target if part == "validation" else part for part in rows.parts]


def check_groups(where: str, groups: Sequence[str], parts: Sequence[str]) -> None:
    """Raise UserError where images of one group are in several parts."""
    seen = defaultdict(set)
    for group, part in zip(groups, parts, strict=True):
        seen[group].add(part)
    bad = [
        f"{group} ({' and '.join(sorted(p))})" for group, p in sorted(seen.items()) if len(p) > 1
    ]
    if bad:
        raise UserError(
            f"{where}: all images of a group must be in one part, but {len(bad)} of {len(seen)} groups "
            f"are in several: {list_names(bad, SHOWN)}: move them to one, or leave out the parts and "
            "state split"
        )


def _by_class(rows: Rows, parts: Sequence[str], part: str) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path, label, place in zip(rows.paths, rows.labels, parts, strict=True):
        if place == part:
            found.setdefault(label, []).append(path)
    return found


def _check_labels(
    where: str, files: Mapping[str, Mapping[str, list[Path]]], given: Mapping[str, list[Path]]
) -> None:
    train, test = set(files["train"]), set(files["test"])
    for part, names in (("train", train), ("test", test)):
        if not names:
            hint = ", or say validation: test" if part == "test" and given else ""
            raise UserError(
                f"{where} must have images of train and of test, but has none of {part}: add them{hint}"
            )
    for here, there, lacking in (("test", "train", test - train), ("train", "test", train - test)):
        if lacking:
            raise UserError(
                f"{where}: train and test must have the same labels, but {here} has "
                f"{quote_names(lacking)}, which {there} lacks: add images of it to {there}, or take "
                "it out"
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
            "image (column split), or state split: {test_fraction: 0.2, seed: 0}"
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
