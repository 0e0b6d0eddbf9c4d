"""Any tree of `train/<class>/` and `test/<class>/` with images in it: a folder or an archive."""

import logging
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np

from resnest_bench.data.archives import unpack
from resnest_bench.data.arrays import Content
from resnest_bench.data.download import Checksum, fetch
from resnest_bench.data.images import EXTENSIONS, oriented_size, read_resized
from resnest_bench.data.prepared import PARTS
from resnest_bench.errors import UserError
from resnest_bench.specs import ImageFolderDataset

log = logging.getLogger(__name__)

DECODERS = min(8, os.cpu_count() or 1)
# Decoded images that may wait for the writer, and names of skipped files that a log line shows.
IN_FLIGHT, SHOWN = 128, 3


@dataclass(frozen=True)
class Tree:
    """The image files below a root, by part and class; both in sorted order."""

    classes: tuple[str, ...]
    files: dict[str, dict[str, list[Path]]]

    def paths(self, part: str) -> list[tuple[Path, int]]:
        """Every image of a part with its class index."""
        return [
            (path, label)
            for label, name in enumerate(self.classes)
            for path in self.files[part][name]
        ]


def read(spec: ImageFolderDataset, name: str, downloads: Path) -> Content:
    """Scan the tree and check it; the images are decoded as they are asked for."""
    tree = scan(find_root(locate(spec, name, downloads)))
    side = spec.resize or spec.image_size
    uniform = side == spec.image_size and all_of_size(tree, side)
    return Content(
        label=spec.label or name,
        classes=tree.classes,
        image_size=spec.image_size,
        resize=side,
        mean=spec.mean,
        std=spec.std,
        uniform=uniform,
        train=decoded(tree.paths("train"), side),
        test=decoded(tree.paths("test"), side),
    )


def locate(spec: ImageFolderDataset, name: str, downloads: Path) -> Path:
    """The dataset's folder, downloaded and unpacked where it has to be. Raises UserError."""
    checksum = Checksum.parse(spec.checksum) if spec.checksum else None
    if spec.path is None:
        assert checksum is not None, "a spec with urls has one"
        file = unquote(urlsplit(spec.urls[0]).path).rsplit("/", 1)[-1]
        target = downloads / f"{checksum.value[:12]}-{re.sub(r'[^A-Za-z0-9._-]', '_', file)}"
        return unpack(fetch(spec.urls, target, checksum), downloads)
    path = Path(spec.path)
    if path.is_dir():
        return path
    if not path.exists():
        raise UserError(
            f"datasets.{name}.path: {path} does not exist: put the data there, or change the path"
        )
    problem = checksum and checksum.problem(path)
    if problem:
        raise UserError(
            f"datasets.{name}.path: {path} {problem}: get the archive again, or correct checksum"
        )
    return unpack(path, downloads)


def find_root(folder: Path) -> Path:
    """The folder that holds train/ and test/: `folder` itself or one inside it."""
    inside = sorted(path for path in folder.iterdir() if path.is_dir() and not _hidden(path.name))
    roots = [root for root in (folder, *inside) if all((root / part).is_dir() for part in PARTS)]
    if not roots:
        came = ", ".join(path.name for path in inside) or "no folder"
        raise UserError(
            f"{folder} must hold train/ and test/, directly or one level down, but holds {came}: "
            "make train/<class>/ and test/<class>/ there"
        )
    return roots[0]


def scan(root: Path) -> Tree:
    """List the images of both parts. Raises UserError for a class that can't be trained or tested.

    Hidden files and files without an image's extension are left out, which is logged.
    """
    skipped: list[Path] = []
    files = {part: _classes_of(root / part, skipped) for part in PARTS}
    if skipped:
        names = ", ".join(str(path.relative_to(root)) for path in skipped[:SHOWN])
        more = ", ..." if len(skipped) > SHOWN else ""
        log.warning(
            "%s: skipped %d files that are no images: %s%s", root, len(skipped), names, more
        )
    _check_classes(root, files)
    return Tree(tuple(files["train"]), files)


def _classes_of(folder: Path, skipped: list[Path]) -> dict[str, list[Path]]:
    entries = sorted(folder.iterdir(), key=lambda path: path.name)
    classes = [path for path in entries if path.is_dir() and not _hidden(path.name)]
    skipped += [path for path in entries if not path.is_dir()]
    return {path.name: _images_of(path, skipped) for path in classes}


def _images_of(folder: Path, skipped: list[Path]) -> list[Path]:
    found: list[Path] = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not _hidden(name)]
        for name in names:
            is_image = not _hidden(name) and Path(name).suffix.lower() in EXTENSIONS
            (found if is_image else skipped).append(Path(place, name))
    # By text: the order must not depend on the file system.
    return sorted(found, key=str)


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _check_classes(root: Path, files: dict[str, dict[str, list[Path]]]) -> None:
    train, test = (set(files[part]) for part in PARTS)
    for here, there, names in (("test", "train", test - train), ("train", "test", train - test)):
        if names:
            raise UserError(
                f"{root}: train/ and test/ must have the same classes, but {here}/ has "
                f"{', '.join(sorted(names))}, which {there}/ lacks: add it to {there}/ or remove it"
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
                    f"{root / part / name} must hold at least one image, but holds none "
                    f"({', '.join(sorted(EXTENSIONS))}): add images or remove the class"
                )
            _check_text(root / part, name)


def _check_text(folder: Path, name: str) -> None:
    if not name.isprintable():
        raise UserError(f"{folder}: a class is named {name!r}, which can't be printed: rename it")


def all_of_size(tree: Tree, side: int) -> bool:
    """Whether every image is `side` x `side` pixels; the first that isn't ends the search."""
    paths = (path for part in PARTS for path, _ in tree.paths(part))
    return all(oriented_size(path) == (side, side) for path in paths)


def decoded(paths: list[tuple[Path, int]], side: int) -> Iterator[tuple[np.ndarray, int]]:
    """Images as (H, W, 3) uint8 with their shorter side at `side`, in order, with their class."""
    with ThreadPoolExecutor(DECODERS) as pool:
        for start in range(0, len(paths), IN_FLIGHT):
            files, labels = zip(*paths[start : start + IN_FLIGHT], strict=True)
            yield from zip(pool.map(_decode, files, repeat(side)), labels, strict=True)


def _decode(path: Path, side: int) -> np.ndarray:
    return np.asarray(read_resized(path, side))
