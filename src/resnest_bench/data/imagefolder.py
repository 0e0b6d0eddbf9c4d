"""A folder or an archive of images: `train/<class>/` and `test/<class>/`, or `<class>/` to be split."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from resnest_bench.data.archives import unpack
from resnest_bench.data.arrays import Content
from resnest_bench.data.download import Checksum, fetch
from resnest_bench.data.folders import Tree, find_class_root, find_root, scan, scan_classes
from resnest_bench.data.photos import read_photos
from resnest_bench.data.pixel_files import image_endings
from resnest_bench.data.rows import divide_classes
from resnest_bench.errors import UserError
from resnest_bench.specs import ImageFolderDataset, describe_missing, expand_path


def read(spec: ImageFolderDataset, name: str, downloads: Path) -> Content:
    """List and check the files; the images are decoded later, one by one."""
    folder = locate(spec, name, downloads)
    tree = list_images(spec, folder, downloads.parent / "reports" / f"{name}-split.csv")
    return read_photos(spec, name, tree, downloads)


def list_images(spec: ImageFolderDataset, folder: Path, report: Path | None = None) -> Tree:
    """List the images in `folder`. A split is written to `report`. Raises UserError."""
    endings = image_endings(spec.channels)
    if spec.split is None:
        return scan(find_root(folder, spec.validation), spec.validation, endings)
    root = find_class_root(folder)
    files, left_out = scan_classes(root, endings)
    return divide_classes(root, files, left_out, spec.split, report)


def locate(spec: ImageFolderDataset, name: str, downloads: Path) -> Path:
    """Return the dataset's folder, downloaded and unpacked if necessary. Raises UserError."""
    checksum = Checksum.parse(spec.checksum) if spec.checksum else None
    if spec.path is None:
        assert checksum is not None, "a spec with urls has a checksum"
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
            f"datasets.{name}.path: {path} {problem}: download the archive again, or correct checksum"
        )
    return unpack(path, downloads)
