"""Check class names: the same in both parts, printable, and not easily confused."""

import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from resnest_bench.data.images import EXTENSIONS
from resnest_bench.data.prepared import PARTS
from resnest_bench.errors import UserError


def check_classes(root: Path, files: dict[str, dict[str, list[Path]]]) -> None:
    """Raise UserError unless both parts have the same two or more classes, each with an image."""
    train, test = (set(files[part]) for part in PARTS)
    for here, there, names in (("test", "train", test - train), ("train", "test", train - test)):
        if names:
            others = train if there == "train" else test
            raise UserError(
                f"{root}: train/ and test/ must have the same classes, but {here}/ has "
                f"{quote_names(names)}, which {there}/ lacks: add images to {there}/ or remove the folder"
                f"{_hint_names(names, others, there)}"
            )
    if len(train) < 2:
        raise UserError(
            f"{root}/train must have a folder for each of at least two classes, but has "
            f"{', '.join(sorted(train)) or 'none'}: add one"
        )
    for part in PARTS:
        for name, paths in files[part].items():
            if not paths:
                raise explain_empty(root / part / name)
            check_text(root / part, name)


def explain_empty(folder: Path) -> UserError:
    return UserError(
        f"{folder} must hold at least one image, but holds none: add one "
        f"({', '.join(sorted(EXTENSIONS))}) or remove the class"
    )


def check_text(folder: Path, name: str) -> None:
    if not name.isprintable():
        raise UserError(f"{folder}: a class is named {name!r}, which can't be printed: rename it")


def _hint_names(names: set[str], others: set[str], there: str) -> str:
    pairs = [(a, b) for a in sorted(names) for b in sorted(others) if fold(a) == fold(b)]
    listed = ", ".join(f"{a!r} and {b!r}" for a, b in pairs)
    return f". Near matches in {there}/: {listed}: rename one of each" if pairs else ""


def fold(name: str) -> str:
    """Reduce a class name for comparison: no case, blanks, hyphens or Unicode variants."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    return "".join(c for c in plain if not c.isspace() and c not in "-_")


def find_lookalikes(classes: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return groups of classes whose names differ only in case, blanks or hyphens."""
    alike = Counter(fold(name) for name in classes)
    return [
        tuple(name for name in classes if fold(name) == key)
        for key, num in alike.items()
        if num > 1
    ]


def quote_names(names: Iterable[str]) -> str:
    return ", ".join(repr(name) if name != name.strip() else name for name in sorted(names))
