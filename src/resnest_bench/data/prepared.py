"""The prepared format: uint8 arrays on disk, opened as memory maps and checked with meta.json.

A folder holds, for `train` and `test`:

- `*_labels.npy`: (N,) int64.
- uniform data, all images of one size: `*_images.npy`, (N, H, W, C) uint8.
- ragged data: `*_images.npy`, all pixels as one uint8 vector; `*_shapes.npy`, (N, 2) int32, heights and
  widths; and `*_offsets.npy`, (N,) int64, where each image starts.

`meta.json` is written last.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from resnest_bench.errors import UserError, first_problem
from resnest_bench.files import write_text
from resnest_bench.records.observations import DuplicateCounts, ImageReading

FORMAT_VERSION = 1
PARTS = ("train", "test")
HASH_CHUNK_BYTES = 1 << 26

# One value per channel.
ChannelValues = tuple[float, ...]


class PreparedMeta(BaseModel):
    """The contents of meta.json, which describes the arrays next to it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int
    name: str
    label: str
    classes: tuple[str, ...]
    image_size: int  # side of the square that a network sees, in pixels
    resize: int  # shorter side of a stored image, in pixels
    mean: ChannelValues  # from 0 to 1
    std: ChannelValues
    uniform: bool
    counts_per_class: dict[str, dict[str, int]]  # number of images by part and class
    fingerprint: str
    source: str  # source_fingerprint of the files that were read
    duplicates: DuplicateCounts | None = None  # None: not checked yet
    reading: ImageReading = ImageReading()

    @property
    def num_channels(self) -> int:
        """Channels of an image, and so of every network's input (`in_chans`)."""
        return len(self.mean)


@dataclass(frozen=True)
class Split:
    """One part of a dataset. `shapes` and `offsets` are None if the data are uniform."""

    images: np.ndarray
    labels: np.ndarray
    shapes: np.ndarray | None = None
    offsets: np.ndarray | None = None
    channels: int = 3

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def uniform(self) -> bool:
        return self.shapes is None

    def image(self, index: int) -> np.ndarray:
        """Return image `index` as (H, W, C) uint8, without copying it."""
        if self.shapes is None or self.offsets is None:
            image_HWC: np.ndarray = self.images[index]
            return image_HWC
        height, width = (int(side) for side in self.shapes[index])
        start, shape = int(self.offsets[index]), (height, width, self.channels)
        return self.images[start : start + height * width * self.channels].reshape(shape)


@dataclass(frozen=True)
class PreparedDataset:
    meta: PreparedMeta
    train: Split
    test: Split


def array_names(uniform: bool) -> tuple[str, ...]:
    return ("images", "labels") if uniform else ("images", "labels", "shapes", "offsets")


def array_file(folder: Path, part: str, array: str) -> Path:
    return folder / f"{part}_{array}.npy"


def load_split(folder: Path, part: str, uniform: bool, channels: int = 3) -> Split:
    """Open one part. Raises UserError naming a file that is missing or not an array."""
    arrays = {}
    for array in array_names(uniform):
        path = array_file(folder, part, array)
        try:
            arrays[array] = np.load(
                path, mmap_mode="r" if array == "images" else None, allow_pickle=False
            )
        except Exception as error:
            # A header is a Python literal: a damaged one raises TokenError, SyntaxError, MemoryError...
            raise _broken(path, f"must be a complete .npy array, but: {error}") from error
    return Split(**arrays, channels=channels)


def fingerprint(train: Split, test: Split, classes: tuple[str, ...]) -> str:
    """Return the SHA-256 (hex) of images, labels and shapes of both parts, and the class names."""
    digest = hashlib.sha256(json.dumps(list(classes)).encode())
    for split in (train, test):
        for array in (split.images, split.labels, split.shapes):
            if array is not None:
                digest.update(f"{array.dtype} {array.shape}".encode())
                for chunk in _chunks(array):
                    digest.update(chunk.data)
    return digest.hexdigest()


def _chunks(array: np.ndarray) -> Iterator[np.ndarray]:
    # In chunks, since a memory map need not fit into memory.
    flat = array.reshape(-1).view(np.uint8)
    for start in range(0, len(flat), HASH_CHUNK_BYTES):
        yield flat[start : start + HASH_CHUNK_BYTES]


def read_meta(folder: Path) -> PreparedMeta:
    """Read and check meta.json. Raises UserError."""
    path = folder / "meta.json"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(
            f"{folder} must hold prepared data, but has no meta.json: prepare it with "
            "`resnest-bench data`"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise _broken(path, f"must be JSON, but: {error}") from error
    version = raw.get("format_version") if isinstance(raw, dict) else None
    if type(version) is not int or version != FORMAT_VERSION:
        raise _broken(path, f"format_version must be {FORMAT_VERSION}, but got {version!r}")
    try:
        return PreparedMeta.model_validate(raw)
    except ValidationError as error:
        raise _broken(path, first_problem(error)) from error


def write_meta(folder: Path, meta: PreparedMeta) -> None:
    text = json.dumps(meta.model_dump(mode="json"), indent=1) + "\n"
    write_text(folder / "meta.json", text)


def open_prepared(folder: Path) -> PreparedDataset:
    """Open prepared data, with images memory-mapped.

    Raises UserError naming the file if the type, shape or length of an array doesn't match meta.json. The
    pixels are not read: `verify` does that.
    """
    meta = read_meta(folder)
    parts = {part: load_split(folder, part, meta.uniform, meta.num_channels) for part in PARTS}
    for part, split in parts.items():
        _check_labels(folder, part, split, meta)
        if meta.uniform:
            shape = (len(split), meta.image_size, meta.image_size, meta.num_channels)
            _expect(folder, part, "images", split.images, np.uint8, shape)
        else:
            _check_ragged(folder, part, split)
    return PreparedDataset(meta, **parts)


def verify(folder: Path) -> PreparedMeta:
    """Read every pixel and check the stored fingerprint. Raises UserError."""
    data = open_prepared(folder)
    actual = fingerprint(data.train, data.test, data.meta.classes)
    if actual != data.meta.fingerprint:
        raise _broken(
            folder,
            f"must have fingerprint {data.meta.fingerprint}, but got {actual}: it was changed",
        )
    return data.meta


def counts_per_class(labels_N: np.ndarray, classes: tuple[str, ...]) -> dict[str, int]:
    counts = np.bincount(labels_N, minlength=len(classes))
    return {name: int(count) for name, count in zip(classes, counts, strict=True)}


def _check_labels(folder: Path, part: str, split: Split, meta: PreparedMeta) -> None:
    path, labels = array_file(folder, part, "labels"), split.labels
    wanted = meta.counts_per_class.get(part, {})
    _expect(folder, part, "labels", labels, np.int64, (sum(wanted.values()),))
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(meta.classes):
        raise _broken(path, f"labels must be 0 to {len(meta.classes) - 1}, but got others")
    if counts_per_class(labels, meta.classes) != wanted:
        raise _broken(path, "must hold as many images of each class as meta.json says, but doesn't")


def _check_ragged(folder: Path, part: str, split: Split) -> None:
    num, shapes, offsets = len(split), split.shapes, split.offsets
    assert shapes is not None
    assert offsets is not None
    _expect(folder, part, "shapes", shapes, np.int32, (num, 2))
    _expect(folder, part, "offsets", offsets, np.int64, (num,))
    ends = np.cumsum(shapes.astype(np.int64).prod(axis=1) * split.channels)
    starts = np.concatenate([[0], ends[:-1]])[:num]
    if np.any(shapes < 1) or not np.array_equal(offsets, starts):
        raise _broken(
            array_file(folder, part, "offsets"), "must follow from the shapes, but doesn't"
        )
    _expect(folder, part, "images", split.images, np.uint8, (int(ends[-1]) if num else 0,))


def _expect(
    folder: Path, part: str, name: str, array: np.ndarray, dtype: type, shape: tuple[int, ...]
) -> None:
    if array.dtype != dtype or array.shape != shape:
        raise _broken(
            array_file(folder, part, name),
            f"must be {np.dtype(dtype)} of shape {shape}, but got {array.dtype} of {array.shape}",
        )


def _broken(path: Path, problem: str) -> UserError:
    folder = path if path.is_dir() else path.parent
    return UserError(
        f"{path}: {problem}. Delete the folder {folder} and prepare the data again with "
        "`resnest-bench data`"
    )
