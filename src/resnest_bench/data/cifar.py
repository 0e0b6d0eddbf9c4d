"""CIFAR-10 from its official archive.

Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009;
https://www.cs.toronto.edu/~kriz/cifar.html gives the archive's md5.
"""

import pickle
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from resnest_bench.data.arrays import Content
from resnest_bench.data.download import Checksum, fetch
from resnest_bench.errors import UserError
from resnest_bench.specs import Cifar10Dataset, expand_path

ARCHIVE = "cifar-10-python.tar.gz"
MD5 = "c58f30108f718f92721af3b95e74349a"
SIDE = 32
CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
TRAIN_FILES = tuple(f"cifar-10-batches-py/data_batch_{number}" for number in range(1, 6))
TEST_FILES = ("cifar-10-batches-py/test_batch",)
# Per channel over the 50,000 training images, from 0 to 1: the usual constants.
MEAN = (0.4914, 0.4822, 0.4465)
STD = (0.2470, 0.2435, 0.2616)


def read(spec: Cifar10Dataset, name: str, downloads: Path) -> Content:
    """Read the archive's images, training batches 1 to 5 in order. Raises UserError."""
    archive = find_archive(spec, name, downloads)
    return Content(
        label="CIFAR-10",
        classes=CLASSES,
        image_size=SIDE,
        resize=SIDE,
        mean=MEAN,
        std=STD,
        uniform=True,
        train=_items(archive, TRAIN_FILES),
        test=_items(archive, TEST_FILES),
    )


def find_archive(spec: Cifar10Dataset, name: str, downloads: Path) -> Path:
    """Return the local or the downloaded archive. Raises UserError unless it has the official md5."""
    checksum = Checksum("md5", MD5)
    if spec.path is None:
        return fetch(spec.urls, downloads / ARCHIVE, checksum)
    path = expand_path(spec.path)
    if not path.is_file():
        raise UserError(
            f"datasets.{name}.path must be the file {ARCHIVE}, but {path} is "
            f"{'a folder' if path.is_dir() else 'not there'}: correct the path, or leave it out to "
            "download"
        )
    problem = checksum.problem(path)
    if problem:
        raise UserError(f"datasets.{name}.path: {path} {problem}: get the official archive")
    return path


def _items(archive: Path, members: tuple[str, ...]) -> Iterator[tuple[np.ndarray, int]]:
    for member in members:
        images_NHWC, labels = read_batch(archive, member)
        yield from zip(images_NHWC, labels, strict=True)


def read_batch(
    archive: Path,
    member: str,
    key: str = "labels",
    num_classes: int = len(CLASSES),
    label: str = "CIFAR-10",
) -> tuple[np.ndarray, list[int]]:
    """Return one batch as (N, 32, 32, 3) uint8 and N class indices. Raises UserError."""
    try:
        batch = load_member(archive, member)
        rows_ND, labels = batch["data"], batch[key]
        images_NCHW = rows_ND.reshape(len(labels), 3, SIDE, SIDE)
        # Check the type too: True and 1.0 are equal to 1, but not labels.
        whole = all(type(value) is int and 0 <= value < num_classes for value in labels)
        if images_NCHW.dtype != np.uint8 or not whole:
            raise ValueError(f"pixels must be uint8 and labels 0 to {num_classes - 1}")
    # Untrusted bytes can raise anything, even MemoryError: the archive is at fault.
    except Exception as error:
        raise UserError(
            f"{archive}: {member} is not a batch of {label}: {error}: get the official archive"
        ) from error
    return images_NCHW.transpose(0, 2, 3, 1), labels


def load_member(archive: Path, member: str) -> Any:
    """Load plain values and uint8 arrays from a member of the archive. Raises any kind of error."""
    with tarfile.open(archive) as tar:
        file = tar.extractfile(member)
        if file is None:
            raise ValueError("it is not a file")
        with file:
            return load_arrays(file)


def _uint8_dtype(name: str, align: int = 0, copy: int = 0) -> np.dtype:
    # Python 2 wrote integers for these two arguments, which numpy 2.4 warns about.
    if name not in ("u1", "|u1", "uint8"):
        raise pickle.UnpicklingError(f"only arrays of uint8 are read, not of {name!r}")
    return np.dtype(np.uint8)


_RECONSTRUCT = np.zeros(1).__reduce__()[0]
ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): _uint8_dtype,
}


class _ArrayUnpickler(pickle.Unpickler):
    """Builds numbers, text, lists, dicts and uint8 arrays, and nothing else.

    A pickle can run any code, and an md5 can be forged, so no other name is ever looked up.
    """

    def find_class(self, module: str, name: str) -> Any:
        try:
            return ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is refused") from None


def load_arrays(file: IO[bytes]) -> Any:
    """Load a pickle of plain values and uint8 arrays. Raises UnpicklingError for anything else."""
    return _ArrayUnpickler(file, encoding="latin1").load()
