"""Any tree of `train/<class>/` and `test/<class>/` with images in it: a folder or an archive."""

import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np

from resnest_bench.data.archives import unpack
from resnest_bench.data.arrays import Content
from resnest_bench.data.download import Checksum, fetch
from resnest_bench.data.findings import Findings
from resnest_bench.data.folders import find_root, scan
from resnest_bench.data.images import Header, ImageError, Photo, read_header, read_resized
from resnest_bench.data.prepared import PARTS
from resnest_bench.data.ranges import choose_white
from resnest_bench.errors import UserError
from resnest_bench.specs import ImageFolderDataset, describe_missing, expand_path

DECODERS = min(8, os.cpu_count() or 1)
# Decoded images that may wait for the writer.
IN_FLIGHT = 128


def read(spec: ImageFolderDataset, name: str, downloads: Path) -> Content:
    """Scan the tree and check it; the images are decoded as they are asked for."""
    tree = scan(find_root(locate(spec, name, downloads)))
    findings = Findings(name, tree, downloads.parent / "reports", spec.broken == "skip")
    findings.tell_left_out()
    side = spec.resize or spec.image_size
    same_size, deep = survey([path for part in PARTS for path, _ in tree.paths(part)], side)
    with ThreadPoolExecutor(DECODERS) as pool:
        findings.white = choose_white(deep, spec.max_value, name, pool)
    return Content(
        label=spec.label or name,
        classes=tree.classes,
        image_size=spec.image_size,
        resize=side,
        mean=spec.mean,
        std=spec.std,
        uniform=side == spec.image_size and same_size,
        train=decode(findings, "train", side),
        test=decode(findings, "test", side),
        files=findings.files,
        finish=findings.finish,
    )


def locate(spec: ImageFolderDataset, name: str, downloads: Path) -> Path:
    """The dataset's folder, downloaded and unpacked where it has to be. Raises UserError."""
    checksum = Checksum.parse(spec.checksum) if spec.checksum else None
    if spec.path is None:
        assert checksum is not None, "a spec with urls has one"
        file = unquote(urlsplit(spec.urls[0]).path).rsplit("/", 1)[-1]
        target = downloads / f"{checksum.value[:12]}-{re.sub(r'[^A-Za-z0-9._-]', '_', file)}"
        return unpack(fetch(spec.urls, target, checksum), downloads)
    path = expand_path(spec.path)
    if path.is_dir():
        return path
    if not path.exists():
        raise UserError(
            f"datasets.{name}.path: {describe_missing(path)}: put the data there, or change the path"
        )
    problem = checksum and checksum.problem(path)
    if problem:
        raise UserError(
            f"datasets.{name}.path: {path} {problem}: get the archive again, or correct checksum"
        )
    return unpack(path, downloads)


def survey(paths: list[Path], side: int) -> tuple[bool, list[Path]]:
    """Read all headers: whether each image is `side` x `side` pixels, and which are `Header.deep`."""
    with ThreadPoolExecutor(DECODERS) as pool:
        headers = list(pool.map(_try_header, paths))
    same_size = all(header.size == (side, side) for header in headers if header)
    deep = [path for path, header in zip(paths, headers, strict=True) if header and header.deep]
    return same_size, deep


def _try_header(path: Path) -> Header | None:
    try:
        return read_header(path)
    except ImageError:  # reported when its pixels are read
        return None


def decode(findings: Findings, part: str, side: int) -> Iterator[tuple[np.ndarray, int]]:
    """Images as (H, W, 3) uint8 with their shorter side at `side`, in order, with their class.

    Broken ones are left out and noted in `findings`.
    """
    paths = findings.tree.paths(part)
    with ThreadPoolExecutor(DECODERS) as pool:
        for start in range(0, len(paths), IN_FLIGHT):
            some = paths[start : start + IN_FLIGHT]
            photos = pool.map(
                _decode, (path for path, _ in some), repeat(side), repeat(findings.white)
            )
            for (path, label), photo in zip(some, photos, strict=True):
                if isinstance(photo, ImageError):
                    findings.add_broken(part, path, photo)
                    continue
                image_HWC = np.asarray(photo.image)
                findings.add_photo(photo, int(image_HWC.max()))
                yield image_HWC, label


def _decode(path: Path, side: int, white: float | None) -> Photo | ImageError:
    try:
        return read_resized(path, side, white)
    except ImageError as error:
        return error
