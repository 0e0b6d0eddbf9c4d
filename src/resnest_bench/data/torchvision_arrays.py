"""torchvision datasets that are a few files of arrays, read without torchvision's loaders.

torchvision unpickles CIFAR and old `.pt` files of MNIST, which can run any code. Addresses and checksums
are torchvision's. Sources: A. Krizhevsky, Learning Multiple Layers of
Features from Tiny Images, 2009; Y. LeCun et al., MNIST, http://yann.lecun.com/exdb/mnist/, for the
format idx; H. Xiao et al., Fashion-MNIST, arXiv:1708.07747; T. Clanuwat et al., KMNIST,
arXiv:1812.01718; Y. Netzer et al., Reading Digits in Natural Images (SVHN), 2011.
"""

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from resnest_bench.data import cifar
from resnest_bench.data.arrays import Content
from resnest_bench.data.download import Checksum, fetch
from resnest_bench.data.pixels import fit_arrays
from resnest_bench.data.prepared import PARTS
from resnest_bench.errors import UserError
from resnest_bench.specs import TorchvisionDataset, describe_missing, expand_path

DIGITS = tuple("0123456789")
MNIST_NAMES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
IDX_UINT8 = 8


@dataclass(frozen=True)
class File:
    """A file to download: its addresses in order of preference, and its MD5."""

    name: str
    urls: tuple[str, ...]
    md5: str


# Images (N, H, H) or (N, H, H, 3) uint8 and labels (N,).
Arrays = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class ArraySet:
    """A dataset of arrays.

    Attributes:
        label: its name in figures.
        folders: where its files may be below torchvision's `root`.
        names: the names of its files, in the same order as for `list_files` and `read`.
        sizes: number of training images, of test images, and side in pixels.
        look_for_near: whether similar images count as copies; digits often look alike.
        read: reads the arrays of 'train' or 'test' from its files.
        list_files: lists the downloads.
        read_classes: returns the names of the classes, from the files if they have them.
    """

    label: str
    folders: tuple[str, ...]
    names: tuple[str, ...]
    sizes: tuple[int, int, int]
    num_classes: int
    look_for_near: bool
    list_files: Callable[[], list[File]]
    read: Callable[[list[Path], str], Arrays]
    read_classes: Callable[[list[Path]], tuple[str, ...]]


def read_idx(path: Path) -> np.ndarray:
    """Read a uint8 array in idx format, gzipped or not. Raises UserError."""
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        zeros, kind, num_axes = content[:2], content[2], content[3]
        if zeros != b"\0\0" or kind != IDX_UINT8 or not num_axes:
            raise ValueError("it does not begin like an idx file of bytes")
        start = 4 + 4 * num_axes
        shape = np.frombuffer(content[4:start], dtype=">u4")
        values = np.frombuffer(content, dtype=np.uint8, offset=start)
        if len(shape) != num_axes or len(values) != np.prod(shape, dtype=np.int64):
            raise ValueError(f"it states the shape {shape.tolist()}, but holds {len(values)} bytes")
    except Exception as error:  # untrusted bytes can raise anything
        raise UserError(
            f"{path} must be a complete idx file, but: {error}: download it again"
        ) from error
    return values.reshape(shape.astype(np.int64).tolist())


def _mnist_files(class_name: str) -> Callable[[], list[File]]:
    def list_files() -> list[File]:
        source = _torchvision_class(class_name)
        return [
            File(name, tuple(f"{mirror}{name}" for mirror in source.mirrors), md5)
            for name, md5 in source.resources
        ]

    return list_files


def _read_mnist(files: list[Path], part: str) -> Arrays:
    """Read MNIST's four files: images and labels of train, then of test."""
    images, labels = files[:2] if part == "train" else files[2:]
    return read_idx(images), read_idx(labels)


def _mnist_like(label: str, class_name: str, classes: tuple[str, ...]) -> ArraySet:
    return ArraySet(
        label=label,
        folders=(f"{class_name}/raw", "raw", "."),
        names=MNIST_NAMES,
        sizes=(60_000, 10_000, 28),
        num_classes=len(classes),
        look_for_near=False,
        list_files=_mnist_files(class_name),
        read=_read_mnist,
        read_classes=lambda files: classes,
    )


def _svhn_files() -> list[File]:
    source = _torchvision_class("SVHN")
    parts = (source.split_list[part] for part in PARTS)
    return [File(name, (url,), md5) for url, name, md5 in parts]


def _read_svhn(files: list[Path], part: str) -> Arrays:
    from scipy.io import loadmat

    path = files[PARTS.index(part)]
    try:
        content = loadmat(path)
        images_NHWC, labels_N = content["X"].transpose(3, 0, 1, 2), content["y"].reshape(-1)
        if images_NHWC.dtype != np.uint8 or not set(labels_N.tolist()) <= set(range(1, 11)):
            raise ValueError("pixels must be uint8 and labels 1 to 10")
    except Exception as error:  # untrusted bytes can raise anything
        raise UserError(
            f"{path} must be a file of SVHN, but: {error}: download it again"
        ) from error
    # Label 10 is the digit 0.
    return images_NHWC, labels_N.astype(np.int64) % 10


def _cifar100_files() -> list[File]:
    source = _torchvision_class("CIFAR100")
    return [File(source.filename, (source.url,), source.tgz_md5)]


def _read_cifar100(files: list[Path], part: str) -> Arrays:
    images, labels = cifar.read_batch(
        files[0], f"cifar-100-python/{part}", "fine_labels", 100, "CIFAR-100"
    )
    return images, np.array(labels)


def _read_cifar100_classes(files: list[Path]) -> tuple[str, ...]:
    try:
        names = tuple(cifar.load_member(files[0], "cifar-100-python/meta")["fine_label_names"])
        if len(set(names)) != 100 or not all(isinstance(name, str) for name in names):
            raise ValueError("it must name 100 classes")
    except Exception as error:  # untrusted bytes can raise anything
        raise UserError(
            f"{files[0]}: cifar-100-python/meta is damaged: {error}: get the official archive"
        ) from error
    return names


FASHION = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
KANA = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")

ARRAY_SETS = {
    "cifar100": ArraySet(
        label="CIFAR-100",
        folders=(".",),
        names=("cifar-100-python.tar.gz",),
        sizes=(50_000, 10_000, 32),
        num_classes=100,
        look_for_near=True,
        list_files=_cifar100_files,
        read=_read_cifar100,
        read_classes=_read_cifar100_classes,
    ),
    "mnist": _mnist_like("MNIST", "MNIST", DIGITS),
    "fashion_mnist": _mnist_like("Fashion-MNIST", "FashionMNIST", FASHION),
    "kmnist": _mnist_like("KMNIST", "KMNIST", KANA),
    "svhn": ArraySet(
        label="SVHN",
        folders=(".",),
        names=("train_32x32.mat", "test_32x32.mat"),
        sizes=(73_257, 26_032, 32),
        num_classes=10,
        look_for_near=False,
        list_files=_svhn_files,
        read=_read_svhn,
        read_classes=lambda files: DIGITS,
    ),
}


def _torchvision_class(name: str) -> Any:
    # Import torchvision, and with it torch, only to prepare data.
    from torchvision import datasets

    return getattr(datasets, name)


def read_arrays(spec: TorchvisionDataset, name: str, downloads: Path) -> Content:
    """Read the images in the order of the files. Raises UserError."""
    known = ARRAY_SETS[spec.name]
    files = find_files(spec, name, downloads)
    side = spec.image_size or known.sizes[2]
    arrays = {part: _check_arrays(known, files, part) for part in PARTS}
    train, test = (fit_arrays(*arrays[part], side, spec.channels) for part in PARTS)
    return Content(
        label=spec.label or known.label,
        classes=known.read_classes(files),
        image_size=side,
        resize=side,
        mean=spec.mean,
        std=spec.std,
        uniform=True,
        train=train,
        test=test,
        channels=spec.channels,
    )


def _check_arrays(known: ArraySet, files: list[Path], part: str) -> Arrays:
    images, labels_N = known.read(files, part)
    side = known.sizes[2]
    shape_fits = images.ndim >= 3 and images.shape[1:3] == (side, side)
    if not shape_fits or labels_N.shape != images.shape[:1] or not len(labels_N):
        raise UserError(
            f"{files[0].parent}: {known.label} must have images of {side}x{side} pixels with one label "
            f"each, but got {images.shape} with labels {labels_N.shape} for {part}: download it again"
        )
    if int(labels_N.max()) >= known.num_classes:
        raise UserError(
            f"{files[0].parent}: labels of {known.label} must be 0 to {known.num_classes - 1}, but got "
            f"{labels_N.max()} in {part}: download it again"
        )
    return images, labels_N


def find_files(spec: TorchvisionDataset, name: str, downloads: Path) -> list[Path]:
    """Return the local files of the dataset, or download them. Raises UserError."""
    wanted = ARRAY_SETS[spec.name].list_files()
    if spec.path is None:
        advice = (
            f"Download the files on another machine, and set datasets.{name}.path to their folder"
        )
        folder = downloads / spec.name
        return [
            fetch(file.urls, folder / file.name, Checksum("md5", file.md5), advice)
            for file in wanted
        ]
    files = find_local(spec)
    if files is None:
        path = expand_path(spec.path)
        problem = f"{path} does not" if path.exists() else describe_missing(path)
        raise UserError(
            f"datasets.{name}.path must hold {', '.join(file.name for file in wanted)}, directly or as "
            f"torchvision keeps them, but {problem}: correct the path, or leave it out to download"
        )
    for file, path in zip(wanted, files, strict=True):
        # Unpacked files have no official checksum; their format is checked when they are read.
        wrong = Checksum("md5", file.md5).problem(path) if path.name == file.name else None
        if wrong:
            raise UserError(f"datasets.{name}.path: {path} {wrong}: get the official file")
    return files


def find_local(spec: TorchvisionDataset) -> list[Path] | None:
    """Find all files of the dataset, unpacked or as .gz, in one folder; None if there is no such folder."""
    path, names = expand_path(spec.path or ""), ARRAY_SETS[spec.name].names
    if path.is_file() and (path.name,) == names:
        return [path]
    for folder in ARRAY_SETS[spec.name].folders:
        place = path / folder
        options = [(place / name, place / name.removesuffix(".gz")) for name in names]
        chosen = [next((file for file in pair if file.is_file()), None) for pair in options]
        if all(chosen):
            return [file for file in chosen if file is not None]
    return None
