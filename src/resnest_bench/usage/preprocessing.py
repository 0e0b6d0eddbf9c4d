"""From an image file to a network's input, exactly as the test images of its training were prepared."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from resnest_bench.data.augment import center_crop
from resnest_bench.data.images import Header, ImageError
from resnest_bench.data.photos import DECODERS
from resnest_bench.data.pixel_files import find_extremes, read_header, read_pixels
from resnest_bench.data.prepared import ChannelValues, PreparedMeta
from resnest_bench.data.ranges import choose_white


@dataclass(frozen=True)
class Preprocessing:
    """How images become the input of a network.

    Attributes:
        resize: the shorter side is resized to so many pixels: bilinear, antialiased.
        crop: side of the central square that is cut out.
        channels: 3 for RGB, 1 for gray; others are read from arrays and TIFF files.
        mean, std: one value per channel: the input is (value / 255 - mean) / std.
        white: the value of white in images with more than 8 bits per channel; None: no such image yet.
    """

    resize: int
    crop: int
    channels: int
    mean: ChannelValues
    std: ChannelValues
    white: float | None = None

    @classmethod
    def of(cls, meta: PreparedMeta, stats: tuple | None = None) -> "Preprocessing":
        """That of prepared data; `stats` are the mean and std that pretrained weights expect."""
        mean, std = stats or (meta.mean, meta.std)
        return cls(
            meta.resize,
            meta.image_size,
            meta.num_channels,
            tuple(mean),
            tuple(std),
            meta.reading.white_value,
        )

    def as_dict(self) -> dict[str, Any]:
        """Values for JSON, with those that a reader elsewhere has to be told."""
        return {
            **asdict(self),
            "interpolation": "bilinear, antialiased",
            "color": {3: "RGB", 1: "gray"}.get(self.channels, f"{self.channels} channels"),
            "layout": "NCHW",
            "dtype": "float32",
            "scale": 1 / 255,
        }

    def read(self, path: Path) -> np.ndarray:
        """Read an image file as (crop, crop, C) uint8. Raises ImageError."""
        image_HWC = read_pixels(path, self.resize, self.white, self.channels).image_HWC
        return center_crop(image_HWC, self.crop)

    def normalise(self, images_BHWC: np.ndarray, device: torch.device) -> Tensor:
        """uint8 images to the network's input (B, C, H, W) float32, by the arithmetic of `BatchLoader`."""
        mean_C11 = torch.tensor(self.mean, device=device).view(-1, 1, 1)
        std_C11 = torch.tensor(self.std, device=device).view(-1, 1, 1)
        images = torch.from_numpy(np.ascontiguousarray(images_BHWC)).to(device)
        return (images.permute(0, 3, 1, 2).contiguous().float() / 255 - mean_C11) / std_C11

    def with_white(
        self, paths: Sequence[Path], max_value: float | None, name: str
    ) -> "Preprocessing":
        """Know the value of white, if some of these images have more than 8 bits and the training had none.

        It is then `max_value`, or what the largest value of all these images shows, as for a training.
        Raises UserError if it does not show.
        """
        if self.white is not None:
            return self
        with ThreadPoolExecutor(DECODERS) as pool:
            headers = pool.map(_try_header, paths, repeat(self.channels))
            deep = [
                path for path, header in zip(paths, headers, strict=True) if header and header.deep
            ]
            if not deep:
                return self
            find = partial(find_extremes, channels=self.channels)
            return replace(self, white=choose_white(deep, max_value, name, pool, find))


def _try_header(path: Path, channels: int) -> Header | None:
    try:
        return read_header(path, channels)
    except ImageError:  # named when its pixels are read
        return None


def read_batches(
    preprocessing: Preprocessing, paths: Sequence[Path], batch_size: int
) -> Iterator[list[tuple[Path, np.ndarray | ImageError]]]:
    """Yield the images of each batch in order, or why one can't be used. Threads decode them."""
    with ThreadPoolExecutor(DECODERS) as pool:
        for start in range(0, len(paths), batch_size):
            some = paths[start : start + batch_size]
            yield list(zip(some, pool.map(partial(_try_read, preprocessing), some), strict=True))


def _try_read(preprocessing: Preprocessing, path: Path) -> np.ndarray | ImageError:
    try:
        return preprocessing.read(path)
    except ImageError as error:
        return error
