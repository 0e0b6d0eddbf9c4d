"""Which image files a folder of `train/<class>/` and `test/<class>/` holds, and what is left out."""

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from resnest_bench.data.images import EXTENSIONS, identify
from resnest_bench.data.prepared import PARTS
from resnest_bench.errors import UserError

# What file managers, disk stations and archives put into folders: thumbnails, bins, resource forks.
CLUTTER_FOLDERS = frozenset(
    {
        "__macosx",
        "@eadir",
        "@tmp",
        "#recycle",
        "#snapshot",
        "$recycle.bin",
        "lost+found",
        "system volume information",
        "__pycache__",
    }
)
OTHER_NAMES = {"val": "test", "valid": "test", "validation": "test", "training": "train"}
SHOWN = 10


@dataclass
class LeftOut:
    """Files and folders of a dataset that are not read.

    Attributes:
        files: not images by their endings.
        misnamed: images by their content, with an ending that no image has; with their format.
        clutter: folders that some program put there, and hidden ones.
        unused: folders beside train/ and test/ with the number of images in them.
    """

    files: list[Path] = field(default_factory=list)
    misnamed: dict[Path, str] = field(default_factory=dict)
    clutter: list[Path] = field(default_factory=list)
    unused: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Tree:
    """The image files below a root, by part and class; both in sorted order."""

    root: Path
    classes: tuple[str, ...]
    files: dict[str, dict[str, list[Path]]]
    left_out: LeftOut

    def paths(self, part: str) -> list[tuple[Path, int]]:
        """Every image of a part with its class index."""
        return [
            (path, label)
            for label, name in enumerate(self.classes)
            for path in self.files[part][name]
        ]


def find_root(folder: Path) -> Path:
    """The folder that holds train/ and test/: `folder` itself or one inside it. Raises UserError."""
    inside = [path for path in _list_folder(folder) if _is_class(path)]
    if _has_parts(folder):
        return folder
    roots = [path for path in inside if _has_parts(path)]
    if len(roots) > 1:
        raise UserError(
            f"{folder} must hold train/ and test/ once, but {_quoted(p.name for p in roots)} each "
            "have both: name one of them in the dataset's path"
        )
    if not roots:
        raise UserError(
            f"{folder} must hold train/ and test/, directly or one level down, but holds "
            f"{', '.join(path.name for path in inside) or 'no folder'}: make train/<class>/ and "
            f"test/<class>/ there{_hint_parts(inside)}"
        )
    return roots[0]


def _has_parts(folder: Path) -> bool:
    return all((folder / part).is_dir() for part in PARTS)


def _hint_parts(inside: list[Path]) -> str:
    for folder in (None, *inside):
        names = [path.name for path in (inside if folder is None else _list_folder(folder))]
        for name in names:
            meant = OTHER_NAMES.get(name.lower().strip(), name.lower().strip())
            if meant in PARTS and meant not in names:
                return f" (rename {name!r} to {meant!r})"
    return ""


def scan(root: Path) -> Tree:
    """List the images of both parts. Raises UserError for a class that can't be trained or tested."""
    left_out = LeftOut()
    places = {part: _enter_part(root, part) for part in PARTS}
    files = {part: _list_classes(places[part], left_out) for part in PARTS}
    for path in _list_folder(root):
        if path.is_dir() and path.name not in PARTS:
            _note_unused(path, left_out)
    check_classes(root, files)
    return Tree(root, tuple(files["train"]), files, left_out)


def _note_unused(folder: Path, left_out: LeftOut) -> None:
    if not _is_class(folder):
        left_out.clutter.append(folder)
        return
    left_out.unused[folder.name] = sum(
        Path(name).suffix.lower() in EXTENSIONS
        for _, _, names in walk_folders(folder)
        for name in names
    )


def _enter_part(root: Path, part: str) -> Path:
    """train/, or train/train/ where train/ holds nothing else: archives are often made so."""
    folder = root / part
    inside = [path for path in _list_folder(folder) if _is_class(path)]
    return inside[0] if [path.name for path in inside] == [part] else folder


def _list_folder(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir(), key=lambda path: path.name)
    except OSError as error:
        raise _unreadable(folder, error) from error


def _unreadable(folder: Path | str, error: OSError) -> UserError:
    return UserError(
        f"every folder of the data must be readable, but {folder} is not ({error.strerror}): make "
        "it readable, or move it away"
    )


def _list_classes(folder: Path, left_out: LeftOut) -> dict[str, list[Path]]:
    classes: dict[str, Path] = {}
    for path in _list_folder(folder):
        if not path.is_dir():
            left_out.files.append(path)
        elif not _is_class(path):
            left_out.clutter.append(path)
        else:
            name = unicodedata.normalize("NFC", path.name)
            if name in classes:
                raise UserError(
                    f"{folder} must hold one folder for each class, but has two for {name!r}, in "
                    "two Unicode spellings that look the same: merge them"
                )
            classes[name] = path
    return {name: _list_images(classes[name], left_out) for name in sorted(classes)}


def _list_images(folder: Path, left_out: LeftOut) -> list[Path]:
    images: list[Path] = []
    for place, folders, names in walk_folders(folder, strict=True):
        kept = [name for name in folders if _is_class(Path(place, name))]
        left_out.clutter += [Path(place, name) for name in folders if name not in kept]
        folders[:] = kept
        for name in names:
            path = Path(place, name)
            if _is_image(path):
                images.append(path)
            else:
                _leave_out(path, left_out)
    # By text: the order must not depend on the file system.
    return sorted(images, key=str)


def _is_image(path: Path) -> bool:
    if path.suffix.lower() not in EXTENSIONS or path.name.startswith("."):
        return False
    # A link to nowhere is a broken image. A pipe is none: whoever opens it waits for ever.
    return path.is_file() or not path.exists()


def _leave_out(path: Path, left_out: LeftOut) -> None:
    # A hidden file is some program's own, a thumbnail or what macOS adds, even with an image in it.
    hidden = path.name.startswith(".")
    kind = identify(path) if path.is_file() and not hidden else ""
    if kind:
        left_out.misnamed[path] = kind
    else:
        left_out.files.append(path)


def _is_class(path: Path) -> bool:
    return (
        path.is_dir() and not path.name.startswith(".") and path.name.lower() not in CLUTTER_FOLDERS
    )


def walk_folders(folder: Path, strict: bool = False) -> Iterator[tuple[str, list[str], list[str]]]:
    """`os.walk` in sorted order that follows links. The folders' list may be changed, as there.

    A link to a folder that it lies in has no end: it is left out. With `strict`, UserError is raised
    for it and for a folder that can't be read.
    """

    def fail(error: OSError) -> None:
        if strict:
            raise _unreadable(error.filename, error) from error

    for place, folders, names in os.walk(folder, followlinks=True, onerror=fail):
        loops = [name for name in folders if _is_loop(os.path.join(place, name))]
        if loops and strict:
            raise UserError(
                f"a link must not lead to a folder that it lies in, but "
                f"{os.path.join(place, loops[0])} does: remove it"
            )
        folders[:] = sorted(name for name in folders if name not in loops)
        yield place, folders, sorted(names)


def _is_loop(path: str) -> bool:
    if not os.path.islink(path):
        return False
    place, target = os.path.realpath(os.path.dirname(path)), os.path.realpath(path)
    return place == target or place.startswith(target.rstrip(os.sep) + os.sep)


def check_classes(root: Path, files: dict[str, dict[str, list[Path]]]) -> None:
    """Raise UserError unless both parts have the same two or more classes, each with an image."""
    train, test = (set(files[part]) for part in PARTS)
    for here, there, names in (("test", "train", test - train), ("train", "test", train - test)):
        if names:
            others = train if there == "train" else test
            raise UserError(
                f"{root}: train/ and test/ must have the same classes, but {here}/ has "
                f"{_quoted(names)}, which {there}/ lacks: add it to {there}/ or remove it"
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
                raise UserError(
                    f"{root / part / name} must hold at least one image, but holds none: add one "
                    f"({', '.join(sorted(EXTENSIONS))}) or remove the class"
                )
            _check_text(root / part, name)


def _check_text(folder: Path, name: str) -> None:
    if not name.isprintable():
        raise UserError(f"{folder}: a class is named {name!r}, which can't be printed: rename it")


def _hint_names(names: set[str], others: set[str], there: str) -> str:
    pairs = [(a, b) for a in sorted(names) for b in sorted(others) if fold(a) == fold(b)]
    listed = ", ".join(f"{a!r} and {b!r}" for a, b in pairs)
    return f". Near matches in {there}/: {listed}: rename one of each" if pairs else ""


def fold(name: str) -> str:
    """A class name without what the eye misses: case, blanks and hyphens, forms of a character."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    return "".join(c for c in plain if not c.isspace() and c not in "-_")


def find_lookalikes(classes: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Groups of two or more classes whose names differ by case, blanks or hyphens alone."""
    alike = Counter(fold(name) for name in classes)
    return [
        tuple(name for name in classes if fold(name) == key)
        for key, num in alike.items()
        if num > 1
    ]


def _quoted(names: Iterator[str] | set[str]) -> str:
    return ", ".join(repr(name) if name != name.strip() else name for name in sorted(names))
