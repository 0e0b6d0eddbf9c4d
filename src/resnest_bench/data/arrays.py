"""Write prepared arrays image by image, so that a dataset need not fit into memory."""

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from resnest_bench.data.prepared import (
    FORMAT_VERSION,
    PARTS,
    ChannelValues,
    PreparedMeta,
    Split,
    array_file,
    counts_per_class,
    fingerprint,
    load_split,
    write_meta,
)
from resnest_bench.files import write_text
from resnest_bench.paths import image_names_file
from resnest_bench.records.observations import ImageReading

log = logging.getLogger(__name__)

REPORT_EVERY = 10_000

# (H, W, C) uint8 and its class index.
Items = Iterable[tuple[np.ndarray, int]]


@dataclass(frozen=True)
class Content:
    """The images of both parts in a fixed order, with their metadata, as a source provides them.

    `mean` and `std` have one value per channel, from 0 to 1; None: measured on the training images.
    """

    label: str
    classes: tuple[str, ...]
    image_size: int
    resize: int
    mean: ChannelValues | None
    std: ChannelValues | None
    uniform: bool
    train: Items
    test: Items
    channels: int = 3
    # File names by part, in the order of the images; None if images have no files of their own.
    files: Mapping[str, Sequence[str]] | None = None
    # Called after both parts were read; raises UserError if an image was broken.
    finish: Callable[[], ImageReading] = ImageReading


class NpyAppender:
    """A .npy file that grows along its first axis. `item_shape` is the shape of the other axes."""

    def __init__(self, path: Path, dtype: type, item_shape: tuple[int, ...] = ()) -> None:
        self.dtype, self.item_shape, self.num = np.dtype(dtype), item_shape, 0
        self.file = path.open("wb")
        self._write_header()
        self.header_bytes = self.file.tell()

    def _write_header(self) -> None:
        # numpy pads a header so that its first axis can grow in place.
        header = {
            "descr": np.lib.format.dtype_to_descr(self.dtype),
            "fortran_order": False,
            "shape": (self.num, *self.item_shape),
        }
        np.lib.format.write_array_header_1_0(self.file, header)

    def append(self, values: np.ndarray) -> None:
        """Append `values` of shape (any, *item_shape)."""
        assert values.shape[1:] == self.item_shape, (values.shape, self.item_shape)
        self.file.write(np.ascontiguousarray(values, dtype=self.dtype).tobytes())
        self.num += len(values)

    def __enter__(self) -> "NpyAppender":
        return self

    def __exit__(
        self, kind: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self.file:
            if error is None:
                self.file.seek(0)
                self._write_header()
                assert self.file.tell() == self.header_bytes, "the header of a .npy file grew"


def write_split(
    folder: Path, part: str, items: Items, uniform: bool, size: int, channels: int = 3
) -> None:
    """Write the images of one part in the given order."""
    labels, shapes = [], []
    item_shape = (size, size, channels) if uniform else ()
    with NpyAppender(array_file(folder, part, "images"), np.uint8, item_shape) as images:
        for image_HWC, label in items:
            images.append(image_HWC[None] if uniform else image_HWC.reshape(-1))
            labels.append(label)
            shapes.append(image_HWC.shape[:2])
            if len(labels) % REPORT_EVERY == 0:
                log.info("%s: %d images so far", part, len(labels))
    np.save(array_file(folder, part, "labels"), np.array(labels, dtype=np.int64))
    if not uniform:
        _write_shapes(folder, part, np.array(shapes, dtype=np.int32).reshape(-1, 2), channels)


def _write_shapes(folder: Path, part: str, shapes_N2: np.ndarray, channels: int) -> None:
    sizes_N = shapes_N2.astype(np.int64).prod(axis=1) * channels
    np.save(array_file(folder, part, "shapes"), shapes_N2)
    np.save(array_file(folder, part, "offsets"), np.cumsum(sizes_N) - sizes_N)


def write_prepared(folder: Path, name: str, content: Content, source: str) -> PreparedMeta:
    """Write both parts of `content` into the empty `folder`, then meta.json."""
    channels = content.channels
    for part in PARTS:
        items = getattr(content, part)
        write_split(folder, part, items, content.uniform, content.image_size, channels)
    reading = content.finish()
    splits: dict[str, Split] = {}
    for part in PARTS:
        splits[part] = load_split(folder, part, content.uniform, channels)
        log.info("%s: %d %s images", name, len(splits[part]), part)
    mean, std = content.mean, content.std
    if mean is None or std is None:
        measured_mean, measured_std = measure_channels(splits["train"])
        mean, std = mean or measured_mean, std or measured_std
    meta = PreparedMeta(
        format_version=FORMAT_VERSION,
        name=name,
        label=content.label,
        classes=content.classes,
        image_size=content.image_size,
        resize=content.resize,
        mean=mean,
        std=std,
        uniform=content.uniform,
        counts_per_class={
            part: counts_per_class(split.labels, content.classes) for part, split in splits.items()
        },
        fingerprint=fingerprint(splits["train"], splits["test"], content.classes),
        source=source,
        reading=reading,
    )
    if content.files is not None:
        # Only for display: no job needs it.
        write_text(image_names_file(folder), json.dumps(list(content.files["test"])))
    write_meta(folder, meta)
    return meta


def measure_channels(split: Split) -> tuple[ChannelValues, ChannelValues]:
    """Return mean and standard deviation of each channel over all pixels of all images, from 0 to 1.

    Each pixel has the same weight. The standard deviation is at least 1/255, since images are divided by
    it.
    """
    num, sums_C, squares_C = 0, np.zeros(split.channels), np.zeros(split.channels)
    for index in range(len(split)):
        pixels_PC = split.image(index).reshape(-1, split.channels).astype(np.float64) / 255
        num += len(pixels_PC)
        sums_C += pixels_PC.sum(axis=0)
        squares_C += (pixels_PC**2).sum(axis=0)
    mean_C = sums_C / max(num, 1)
    std_C = np.sqrt(np.maximum(squares_C / max(num, 1) - mean_C**2, 0))
    return _rounded(mean_C), _rounded(np.maximum(std_C, 1 / 255))


def _rounded(values_C: np.ndarray) -> ChannelValues:
    return tuple(round(float(value), 4) for value in values_C)
