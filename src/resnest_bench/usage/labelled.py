"""Labelled images of a further test set: a folder with one folder per class, or a table."""

import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from resnest_bench.data.class_names import fold
from resnest_bench.data.folders import SHOWN, scan_classes
from resnest_bench.data.images import ImageError
from resnest_bench.data.pixel_files import image_endings
from resnest_bench.data.prepared import Split, fingerprint
from resnest_bench.data.table import read_columns
from resnest_bench.errors import UserError
from resnest_bench.specs import describe_missing
from resnest_bench.usage.preprocessing import Preprocessing, read_batches
from resnest_bench.words import count_noun, list_names

log = logging.getLogger(__name__)

READ_AT_ONCE = 128
TABLES = (".csv", ".tsv", ".parquet")


@dataclass(frozen=True, eq=False)
class LabelledFiles:
    """N image files with the index of their class."""

    origin: Path
    paths: list[Path]
    labels_N: np.ndarray


@dataclass(frozen=True, eq=False)
class TestImages:
    """N images (N, S, S, C) uint8 with their labels, and the fingerprint of both."""

    __test__ = False

    images: np.ndarray
    labels_N: np.ndarray
    fingerprint: str
    num_broken: int


def find_labelled(path: Path, classes: Sequence[str], channels: int) -> LabelledFiles:
    """Find the images of `path`: a folder with <class>/, or a table with the columns image and label.

    Of a table with a column split, only test images are taken. Raises UserError unless its classes are those
    of the training.
    """
    if not path.exists():
        raise UserError(
            f"--data must be a folder or a table, but {describe_missing(path)}: change the path"
        )
    if path.is_file():
        pairs = _read_table(path)
    else:
        _check_parts(path, classes)
        files, left_out = scan_classes(path, image_endings(channels))
        pairs = [(image, name) for name, images in files.items() for image in images]
        if left_out.misnamed:
            log.warning(
                "%s: left out, since their endings are none of images: %s",
                path,
                list_names(map(str, left_out.misnamed), SHOWN),
            )
    _check_classes(path, {name for _, name in pairs}, classes)
    labels = [list(classes).index(name) for _, name in pairs]
    return LabelledFiles(path, [image for image, _ in pairs], np.array(labels, dtype=np.int64))


def _check_parts(folder: Path, classes: Sequence[str]) -> None:
    inside = {path.name for path in folder.iterdir() if path.is_dir()}
    if "test" in inside and "test" not in classes:
        raise UserError(
            f"--data must hold one folder for each class, but {folder} has test/: name {folder / 'test'}"
        )


def _read_table(path: Path) -> list[tuple[Path, str]]:
    if path.suffix.lower() not in TABLES:
        raise UserError(
            f"--data must be a folder or a table ({', '.join(TABLES)}), but got {path}: name another"
        )
    columns = read_columns(path)
    rows = list(zip(columns["image"], columns["label"], strict=True))
    if "split" in columns:
        parts = columns["split"]
        rows = [row for row, part in zip(rows, parts, strict=True) if part.lower() == "test"]
    if not rows:
        raise UserError(f"{path} must name test images, but has none: add some")
    pairs = [(Path(os.path.normpath(path.parent / image)), label) for image, label in rows]
    missing = [str(image) for image, _ in pairs if not image.is_file()]
    if missing:
        raise UserError(
            f"{path}: every image must exist, but {len(missing)} of {len(pairs)} are missing: "
            f"{list_names(missing, SHOWN)}: paths are relative to the table; correct or remove the rows"
        )
    return pairs


def _check_classes(path: Path, came: set[str], classes: Sequence[str]) -> None:
    strange, missing = sorted(came - set(classes)), [c for c in classes if c not in came]
    if not strange and not missing:
        return
    parts = [f"{list_names(map(repr, strange), SHOWN)} (unknown)"] if strange else []
    parts += [f"no image of {list_names(map(repr, missing), SHOWN)}"] if missing else []
    near = [f"{a!r} and {b!r}" for a in strange for b in missing if fold(a) == fold(b)]
    advice = f" (nearly alike: {list_names(near, SHOWN)})" if near else ""
    raise UserError(
        f"the classes of {path} must be those of the training, {list_names(map(repr, classes), SHOWN)}, but it has "
        f"{' and '.join(parts)}: rename, add or remove folders or labels{advice}"
    )


@contextmanager
def decode_images(
    found: LabelledFiles,
    preprocessing: Preprocessing,
    classes: tuple[str, ...],
    skip_broken: bool,
    report: Callable[[int], None] = lambda num: None,
) -> Iterator[TestImages]:
    """Yield the images, decoded once into a temporary file, so that they need not fit into memory.

    Raises UserError that names the images that can't be used, unless they are to be skipped.
    """
    side, channels = preprocessing.crop, preprocessing.channels
    shape = (len(found.paths), side, side, channels)
    with tempfile.TemporaryDirectory(prefix="resnest-bench-") as folder:
        file = Path(folder) / "images.npy"
        images = np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=shape)
        good: list[int] = []
        broken: list[str] = []
        number = 0
        for batch in read_batches(preprocessing, found.paths, READ_AT_ONCE):
            for path, image in batch:
                if isinstance(image, ImageError):
                    broken.append(f"{path}: {image.reason}")
                else:
                    images[len(good)] = image
                    good.append(number)
                number += 1
            report(len(batch))
        _check_broken(found, broken, len(good), skip_broken)
        kept, labels_N = images[: len(good)], found.labels_N[good]
        none = Split(kept[:0], labels_N[:0], channels=channels)
        digest = fingerprint(none, Split(kept, labels_N, channels=channels), classes)
        yield TestImages(kept, labels_N, digest, len(broken))


def _check_broken(
    found: LabelledFiles, broken: list[str], num_good: int, skip_broken: bool
) -> None:
    for line in broken:
        log.warning("%s", line)
    if broken and not skip_broken:
        raise UserError(
            f"every image of {found.origin} must be complete, but {count_noun(len(broken), 'image')} can't be used "
            f"({list_names(broken, 3, '; ')}): repair or remove them, or leave them out by --skip-broken"
        )
    if not num_good:
        raise UserError(
            f"{found.origin} must have an image that can be used, but has none: add some"
        )
