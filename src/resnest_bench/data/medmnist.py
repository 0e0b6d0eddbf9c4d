"""MedMNIST: medical images of equal size in a .npz file.

Source: J. Yang et al., MedMNIST v2, Scientific Data 10:41, 2023, arXiv:2110.14795; the files are at
https://zenodo.org/records/10519652. Supported are the 2D sets with one label per image.
"""

import logging
import zipfile
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from resnest_bench.data.arrays import Content, Items
from resnest_bench.data.pixels import fit_arrays
from resnest_bench.data.prepared import counts_per_class
from resnest_bench.errors import UserError
from resnest_bench.records.observations import ImageReading
from resnest_bench.specs import MedmnistDataset, describe_missing, expand_path
from resnest_bench.words import list_names

log = logging.getLogger(__name__)

KEYS = ("train", "val", "test")


def read(spec: MedmnistDataset, name: str, downloads: Path) -> Content:
    """Read the images in the order of the file. Raises UserError."""
    path = find_file(spec, name)
    shapes = read_shapes(path)
    parts = choose_parts(path, spec.validation, shapes)
    labels = {key: read_labels(path, key) for key in chain(*parts.values())}
    num_classes = len(spec.class_names) or 1 + max(int(values.max()) for values in labels.values())
    classes = spec.class_names or tuple(map(str, range(num_classes)))
    check_labels(path, labels, num_classes)
    native = shapes[f"{parts['train'][0]}_images"][1]
    side = spec.image_size or native

    def items(part: str) -> Items:
        for key in parts[part]:
            images = _load(path, f"{key}_images")
            yield from fit_arrays(images, labels[key], side, spec.channels)

    num_val = shapes.get("val_images", (0,))[0]
    unused = spec.validation == "ignore" and num_val
    if unused:
        log.warning("%s: the %d validation images are not used (validation: ignore)", name, num_val)
    reading = ImageReading(
        unused_folders={"validation": num_val} if unused else {},
        num_given_validation=num_val if spec.validation == "hold_out" else 0,
    )
    return Content(
        label=spec.label or name,
        classes=classes,
        image_size=side,
        resize=side,
        mean=spec.mean,
        std=spec.std,
        uniform=True,
        train=items("train"),
        test=items("test"),
        channels=spec.channels,
        finish=lambda: reading,
    )


def find_file(spec: MedmnistDataset, name: str) -> Path:
    path = expand_path(spec.path)
    if not path.is_file():
        problem = f"{path} is a folder" if path.is_dir() else describe_missing(path)
        raise UserError(
            f"datasets.{name}.path must be a MedMNIST .npz file, but {problem}: change the path"
        )
    return path


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Read the shape of each array, from the headers only. Raises UserError unless it is a 2D set."""
    try:
        with zipfile.ZipFile(path) as file:
            shapes = {
                member.removesuffix(".npy"): _read_shape(file, member) for member in file.namelist()
            }
    except Exception as error:  # untrusted bytes can raise anything
        raise _broken(path, error) from error
    if "train_images" not in shapes:
        raise UserError(
            f"{path} must hold train_images, train_labels, test_images and so on, as MedMNIST's files "
            f"do, but got {list_names(sorted(shapes), 10) or 'nothing'}: give another file"
        )
    for key, shape in shapes.items():
        color = len(shape) == 4 and shape[3] == 3
        if key.endswith("_images") and not ((len(shape) == 3 or color) and shape[1] == shape[2]):
            raise UserError(
                f"{path}: images must be (N, H, H) or (N, H, H, 3), but got {shape} for {key}: use a 2D "
                "set"
            )
    return shapes


def _read_shape(file: zipfile.ZipFile, member: str) -> tuple[int, ...]:
    with file.open(member) as array:
        version = np.lib.format.read_magic(array)
        read = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(array)
    if dtype.hasobject:
        raise ValueError(f"{member} holds Python objects, which are never loaded")
    return tuple(shape)


def choose_parts(
    path: Path, validation: str, shapes: dict[str, tuple[int, ...]]
) -> dict[str, tuple[str, ...]]:
    """Choose which of the file's parts (train, val, test) are used as train and test."""
    there = {key for key in KEYS if f"{key}_images" in shapes and f"{key}_labels" in shapes}
    if validation != "ignore" and "val" not in there:
        raise UserError(
            f"validation: {validation} needs val_images and val_labels, but {path} has none: remove "
            "validation"
        )
    if validation == "test" and "test" in there:
        raise UserError(
            f"validation: test is for data without a test part, but {path} has test_images: choose "
            "ignore, hold_out or train"
        )
    test = "val" if validation == "test" else "test"
    if not {"train", test} <= there:
        raise UserError(
            f"{path} must hold images and labels of train and {test}, but got "
            f"{list_names(sorted(there), 3) or 'none'}: give another file"
        )
    joined = validation in ("train", "hold_out")
    return {"train": ("train", "val") if joined else ("train",), "test": (test,)}


def read_labels(path: Path, key: str) -> np.ndarray:
    """Read the class indices (N,) of a part. Raises UserError if an image has several labels."""
    labels = _load(path, f"{key}_labels")
    if labels.ndim == 2 and labels.shape[1] > 1:
        raise UserError(
            f"{path}: every image must have one label, but got {labels.shape} for {key}_labels: use a "
            "set with one label per image"
        )
    return labels.reshape(-1)


def check_labels(path: Path, labels: dict[str, np.ndarray], num_classes: int) -> None:
    for key, labels_N in labels.items():
        whole = labels_N.dtype.kind in "iu"
        if not whole or (len(labels_N) and not 0 <= labels_N.min() <= labels_N.max() < num_classes):
            raise UserError(
                f"{path}: labels must be whole numbers from 0 to {num_classes - 1}, but {key}_labels "
                f"are {labels_N.min()} to {labels_N.max()}: correct class_names, or the file"
            )


def _load(path: Path, key: str) -> np.ndarray:
    try:
        with np.load(path, allow_pickle=False) as file:
            array: np.ndarray = file[key]
    except Exception as error:  # untrusted bytes can raise anything
        raise _broken(path, error) from error
    if key.endswith("_images") and array.dtype != np.uint8:
        raise UserError(f"{path}: {key} must be uint8, but got {array.dtype}: give another file")
    return array


def _broken(path: Path, error: Exception) -> UserError:
    return UserError(
        f"{path} must be a complete .npz file of arrays, but: {error}: download it again"
    )


@dataclass(frozen=True)
class Counts:
    """The number of images in a file.

    Attributes:
        by_class: number of images by part and class.
        num_given_validation: how many of the last training images are the file's validation part.
        side: side of the images in the file, in pixels.
    """

    by_class: dict[str, dict[str, int]]
    num_given_validation: int
    side: int


def count_images(spec: MedmnistDataset, name: str) -> Counts:
    """Count a file's images without reading a pixel. Raises UserError."""
    path = find_file(spec, name)
    shapes = read_shapes(path)
    parts = choose_parts(path, spec.validation, shapes)
    labels = {
        part: np.concatenate([read_labels(path, key) for key in keys])
        for part, keys in parts.items()
    }
    num_classes = len(spec.class_names) or 1 + max(int(values.max()) for values in labels.values())
    check_labels(path, labels, num_classes)
    classes = spec.class_names or tuple(map(str, range(num_classes)))
    return Counts(
        by_class={part: counts_per_class(values, classes) for part, values in labels.items()},
        num_given_validation=shapes["val_images"][0] if spec.validation == "hold_out" else 0,
        side=shapes["train_images"][1],
    )
