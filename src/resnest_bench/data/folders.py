"""List the image files in a folder with `train/<class>/` and `test/<class>/`, and what is skipped.

A folder with only `<class>/` is listed as a whole, and split later.
"""

import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from resnest_bench.data.class_names import check_classes, check_text, explain_empty, quote_names
from resnest_bench.data.images import EXTENSIONS, identify
from resnest_bench.data.prepared import PARTS
from resnest_bench.errors import UserError
from resnest_bench.records.observations import MadeSplit

# Folders that file managers, NAS devices and archivers create: thumbnails, bins, resource forks.
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
VALIDATION_NAMES = ("val", "valid", "validation")
OTHER_NAMES = {**dict.fromkeys(VALIDATION_NAMES, "test"), "training": "train"}
SHOWN = 10


@dataclass
class LeftOut:
    """Files and folders of a dataset that are not read.

    Attributes:
        files: files without the extension of an image.
        misnamed: images without the extension of an image, with their format.
        clutter: hidden folders and those of other programs.
        unused: folders next to train/ and test/, with their numbers of images.
    """

    files: list[Path] = field(default_factory=list)
    misnamed: dict[Path, str] = field(default_factory=dict)
    clutter: list[Path] = field(default_factory=list)
    unused: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Tree:
    """The image files below a root, by part and class.

    Attributes:
        held_out: images of the data's own validation part by class. They come last in train.
        split: how train and test were made, if the data don't have parts.
    """

    root: Path
    classes: tuple[str, ...]
    files: dict[str, dict[str, list[Path]]]
    left_out: LeftOut
    held_out: dict[str, list[Path]] = field(default_factory=dict)
    split: MadeSplit | None = None

    def paths(self, part: str) -> list[tuple[Path, int]]:
        """Return every image of a part with its class index."""
        groups = [self.files[part], self.held_out] if part == "train" else [self.files[part]]
        return [
            (path, label)
            for group in groups
            for label, name in enumerate(self.classes)
            for path in group.get(name, ())
        ]


def find_root(folder: Path, validation: str = "ignore") -> Path:
    """Find the folder with train/ and test/: `folder` itself or one inside it. Raises UserError.

    With `validation: test`, find a folder with train/ and a validation part.
    """
    inside = [path for path in _list_folder(folder) if _is_class(path)]
    if _has_parts(folder, validation):
        return folder
    roots = [path for path in inside if _has_parts(path, validation)]
    if len(roots) > 1:
        raise UserError(
            f"{folder} must have only one pair of train/ and test/, but got one in each of "
            f"{quote_names(p.name for p in roots)}: name one of them in the dataset's path"
        )
    if not roots:
        test = "val" if validation == "test" else "test"
        raise UserError(
            f"{folder} must have train/ and {test}/, directly or one level down, but got "
            f"{', '.join(path.name for path in inside) or 'no folder'}: make train/<class>/ and "
            f"{test}/<class>/ there{_hint_parts(inside)}{_hint_split(inside)}"
        )
    return roots[0]


def _has_parts(folder: Path, validation: str) -> bool:
    if validation == "test":
        return (folder / "train").is_dir() and bool(_list_validation(folder))
    return all((folder / part).is_dir() for part in PARTS)


def _list_validation(folder: Path) -> list[Path]:
    return [
        path
        for path in _list_folder(folder)
        if path.name.lower() in VALIDATION_NAMES and path.is_dir()
    ]


def _find_validation(root: Path, validation: str) -> Path:
    """Find the folder of validation images. Raises UserError unless there is exactly one."""
    found = _list_validation(root)
    if len(found) == 1:
        return found[0]
    names = quote_names(path.name for path in found) or "none"
    raise UserError(
        f"validation: {validation} needs one folder val/, valid/ or validation/ next to train/, but got "
        f"{names} in {root}: {'merge them' if found else 'add it'}, or remove validation"
    )


def _hint_split(inside: list[Path]) -> str:
    names = {path.name.lower() for path in inside}
    if len(names) < 2 or names & {*PARTS, *OTHER_NAMES}:
        return ""
    return ". If these folders are the classes, set split: {test_fraction: 0.2}"


def _hint_parts(inside: list[Path]) -> str:
    for folder in (None, *inside):
        names = [path.name for path in (inside if folder is None else _list_folder(folder))]
        for name in names:
            meant = OTHER_NAMES.get(name.lower().strip(), name.lower().strip())
            if meant in PARTS and meant not in names:
                also = ", or set validation: test" if meant == "test" else ""
                return f" (rename {name!r} to {meant!r}{also})"
    return ""


def scan(
    root: Path, validation: str = "ignore", endings: frozenset[str] | set[str] = EXTENSIONS
) -> Tree:
    """List the images of both parts. Raises UserError for a class that can't be trained or tested.

    Args:
        validation: how to use a validation part, as in a dataset's spec.
        endings: the extensions of image files.
    """
    left_out = LeftOut()
    names = {part: part for part in PARTS}
    if validation != "ignore":
        names["validation"] = _find_validation(root, validation).name
    if validation == "test":
        if (root / "test").is_dir():
            raise UserError(
                f"validation: test is for data without a test part, but {root} has test/: say "
                "ignore, hold_out or train"
            )
        names["test"] = names.pop("validation")
    places = {part: _enter_part(root, name) for part, name in names.items()}
    files = {part: _list_classes(place, left_out, endings) for part, place in places.items()}
    for path in _list_folder(root):
        if path.is_dir() and path.name not in names.values():
            _note_unused(path, left_out)
    check_classes(root, files)
    given = files.pop("validation", {})
    return join_validation(Tree(root, tuple(files["train"]), files, left_out), given, validation)


def join_validation(tree: Tree, given: dict[str, list[Path]], validation: str) -> Tree:
    """Add the images of a validation part to the tree as `validation` says."""
    strange = set(given) - set(tree.classes)
    if strange and validation in ("train", "hold_out"):
        raise UserError(
            f"{tree.root}: the validation part must have only classes of train, but got "
            f"{quote_names(strange)}: add them to train, or remove them"
        )
    if validation == "train":
        for name, paths in given.items():
            tree.files["train"][name] += paths
    return replace(tree, held_out=given) if validation == "hold_out" else tree


def find_class_root(folder: Path) -> Path:
    """Find the folder with one folder per class: `folder` or the only one inside it.

    Raises UserError if it already has parts.
    """
    inside = [path for path in _list_folder(folder) if _is_class(path)]
    if len(inside) == 1 and sum(_is_class(path) for path in _list_folder(inside[0])) > 1:
        return find_class_root(inside[0])
    names = {path.name.lower() for path in inside}
    if "train" in names and names & {"test", *VALIDATION_NAMES}:
        raise UserError(
            f"split is for data without parts, but got {quote_names(p.name for p in inside)} in {folder}: "
            "remove split"
        )
    return folder


def scan_classes(
    root: Path, endings: frozenset[str] | set[str] = EXTENSIONS
) -> tuple[dict[str, list[Path]], LeftOut]:
    """List the images of each class in a folder without parts. Raises UserError if a class has none."""
    left_out = LeftOut()
    files = _list_classes(root, left_out, endings)
    if len(files) < 2:
        raise UserError(
            f"{root} must have a folder for each of at least two classes, but has "
            f"{', '.join(files) or 'none'}: add one"
        )
    for name, paths in files.items():
        if not paths:
            raise explain_empty(root / name)
        check_text(root, name)
    return files, left_out


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
    """Return train/, or train/train/ if train/ holds nothing else, as in many archives."""
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


def _list_classes(
    folder: Path, left_out: LeftOut, endings: frozenset[str] | set[str]
) -> dict[str, list[Path]]:
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
    return {name: _list_images(classes[name], left_out, endings) for name in sorted(classes)}


def _list_images(folder: Path, left_out: LeftOut, endings: frozenset[str] | set[str]) -> list[Path]:
    images: list[Path] = []
    for place, folders, names in walk_folders(folder, strict=True):
        kept = [name for name in folders if _is_class(Path(place, name))]
        left_out.clutter += [Path(place, name) for name in folders if name not in kept]
        folders[:] = kept
        for name in names:
            path = Path(place, name)
            if _is_image(path, endings):
                images.append(path)
            else:
                _leave_out(path, left_out)
    # Sort by text: the order must not depend on the file system.
    return sorted(images, key=str)


def _is_image(path: Path, endings: frozenset[str] | set[str]) -> bool:
    if path.suffix.lower() not in endings or path.name.startswith("."):
        return False
    # A broken link counts as a broken image. A pipe doesn't count: opening it would block forever.
    return path.is_file() or not path.exists()


def _leave_out(path: Path, left_out: LeftOut) -> None:
    # Hidden files belong to other programs, even if they are images, like thumbnails.
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
    """Walk like `os.walk`, but sorted and following links. The caller may change the list of folders.

    A link to one of its own parent folders is skipped, since it never ends. With `strict`, raises UserError
    for such a link and for an unreadable folder.
    """

    def fail(error: OSError) -> None:
        if strict:
            raise _unreadable(error.filename, error) from error

    for place, folders, names in os.walk(folder, followlinks=True, onerror=fail):
        loops = [name for name in folders if _is_loop(os.path.join(place, name))]
        if loops and strict:
            raise UserError(
                "a link must not lead to one of its own parent folders, but got "
                f"{os.path.join(place, loops[0])}: remove it"
            )
        folders[:] = sorted(name for name in folders if name not in loops)
        yield place, folders, sorted(names)


def walk_files(path: Path) -> Iterator[tuple[str, Path]]:
    """Yield every file below `path`, sorted, with its relative name; '' if `path` is a file."""
    if path.is_file():
        # Without its name, since a renamed archive is the same.
        yield "", path
        return
    for place, _, names in walk_folders(path):
        for name in names:
            file = Path(place, name)
            yield os.path.relpath(file, path), file


def _is_loop(path: str) -> bool:
    if not os.path.islink(path):
        return False
    place, target = os.path.realpath(os.path.dirname(path)), os.path.realpath(path)
    return place == target or place.startswith(target.rstrip(os.sep) + os.sep)
