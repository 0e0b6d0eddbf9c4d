"""Turn image files into arrays: read all headers first, then the pixels one by one."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import repeat
from pathlib import Path

import numpy as np

from resnest_bench.data.arrays import Content
from resnest_bench.data.findings import Findings
from resnest_bench.data.folders import Tree
from resnest_bench.data.images import Header, ImageError
from resnest_bench.data.pixel_files import Pixels, find_extremes, read_header, read_pixels
from resnest_bench.data.prepared import PARTS
from resnest_bench.data.ranges import choose_white
from resnest_bench.specs import PhotoDataset

DECODERS = min(8, os.cpu_count() or 1)
# Number of decoded images that may wait to be written.
IN_FLIGHT = 128


def read_photos(spec: PhotoDataset, name: str, tree: Tree, downloads: Path) -> Content:
    """Return the images of `tree`, which are decoded one by one as they are needed."""
    findings = Findings(name, tree, downloads.parent / "reports", spec.broken == "skip")
    findings.report_left_out()
    side = spec.resize or spec.image_size
    every = [path for part in PARTS for path, _ in tree.paths(part)]
    same_size, deep = survey(every, side, spec.channels)
    find = partial(find_extremes, channels=spec.channels)
    with ThreadPoolExecutor(DECODERS) as pool:
        findings.white = choose_white(deep, spec.max_value, name, pool, find)
    return Content(
        label=spec.label or name,
        classes=tree.classes,
        image_size=spec.image_size,
        resize=side,
        mean=spec.mean,
        std=spec.std,
        uniform=side == spec.image_size and same_size,
        train=decode(findings, "train", side, spec.channels),
        test=decode(findings, "test", side, spec.channels),
        channels=spec.channels,
        files=findings.files,
        finish=findings.finish,
    )


def survey(paths: list[Path], side: int, channels: int = 3) -> tuple[bool, list[Path]]:
    """Read all headers: whether each image is `side` x `side` pixels, and which are `Header.deep`."""
    with ThreadPoolExecutor(DECODERS) as pool:
        headers = list(pool.map(_try_header, paths, repeat(channels)))
    same_size = all(header.size == (side, side) for header in headers if header)
    deep = [path for path, header in zip(paths, headers, strict=True) if header and header.deep]
    return same_size, deep


def _try_header(path: Path, channels: int) -> Header | None:
    try:
        return read_header(path, channels)
    except ImageError:  # reported when its pixels are read
        return None


def decode(
    findings: Findings, part: str, side: int, channels: int = 3
) -> Iterator[tuple[np.ndarray, int]]:
    """Yield images as (H, W, C) uint8 with a shorter side of `side` pixels, in order, with their class.

    Broken images are skipped and added to `findings`.
    """
    paths = findings.tree.paths(part)
    read = partial(_decode, side=side, white=findings.white, channels=channels)
    with ThreadPoolExecutor(DECODERS) as pool:
        for start in range(0, len(paths), IN_FLIGHT):
            some = paths[start : start + IN_FLIGHT]
            for (path, label), pixels in zip(
                some, pool.map(read, (path for path, _ in some)), strict=True
            ):
                if isinstance(pixels, ImageError):
                    findings.add_broken(part, path, pixels)
                    continue
                findings.add_pixels(pixels)
                yield pixels.image_HWC, label


def _decode(path: Path, side: int, white: float | None, channels: int) -> Pixels | ImageError:
    try:
        return read_pixels(path, side, white, channels)
    except ImageError as error:
        return error
