"""The number of images in a dataset and the cost of preparing it, before it is prepared."""

import shutil
import tarfile
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from resnest_bench.data import SOURCES, imagefolder, is_prepared, medmnist, open_prepared, table
from resnest_bench.data.folders import Tree
from resnest_bench.data.images import EXTENSIONS, ImageError
from resnest_bench.data.photos import DECODERS
from resnest_bench.data.pixel_files import read_header, read_pixels
from resnest_bench.data.prepared import PARTS
from resnest_bench.data.torchvision_arrays import ARRAY_SETS
from resnest_bench.errors import UserError
from resnest_bench.planning.clock import Clock
from resnest_bench.specs import (
    DatasetSpec,
    ImageFolderDataset,
    MedmnistDataset,
    PhotoDataset,
    StudySpec,
    TableDataset,
    TorchvisionDataset,
    known_side,
    local_path,
)

SAMPLE_IMAGES = 16
# Listing a compressed archive means decompressing all of it, which takes too long for a large one.
LARGEST_COMPRESSED_BYTES = 500_000_000


@dataclass(frozen=True)
class DatasetFacts:
    """The size of a dataset.

    Attributes:
        stored_shape: height and width of a prepared image; the average if images differ.
        prepare_seconds: how long preparing takes; 0 if it is already prepared, None if unknown.
        prepare_bytes: the size of the arrays on disk; 0 if they already exist.
        counts: number of images by part and class; empty if not known yet.
        num_given_validation: how many of the last training images are the data's own validation part.
    """

    num_train: int
    num_test: int
    image_size: int
    num_classes: int
    stored_shape: tuple[int, int]
    uniform: bool = True
    num_channels: int = 3
    prepare_seconds: float | None = 0.0
    prepare_bytes: int = 0
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    num_given_validation: int = 0


@dataclass(frozen=True)
class Listing:
    """The number of images of train and test by class, and decoding time and mean shape of a sample."""

    counts: Mapping[str, Mapping[str, int]]
    image_seconds: float
    shape: tuple[int, int]
    num_given_validation: int = 0


def inspect_dataset(study: StudySpec, name: str, clock: Clock) -> DatasetFacts:
    """Inspect a dataset without preparing it. Raises UserError with the reason if that is impossible."""
    if is_prepared(study, name):
        return _inspect_prepared(study.prepared(name))
    spec = study.dataset(name)
    if find_sizes(spec):
        return _inspect_known(study, name)
    if isinstance(spec, MedmnistDataset):
        return _inspect_medmnist(spec, name)
    if not isinstance(spec, ImageFolderDataset | TableDataset):
        raise UserError("its images are counted once they are prepared (resnest-bench data)")
    path = local_path(spec)
    if path is None:
        raise UserError("its images can be counted only after the download (resnest-bench data)")
    side = spec.resize or spec.image_size
    listing = list_images(spec, name, path, clock)
    totals = {part: sum(listing.counts[part].values()) for part in PARTS}
    num = sum(totals.values())
    height, width = listing.shape
    return DatasetFacts(
        num_train=totals["train"],
        num_test=totals["test"],
        image_size=spec.image_size,
        num_classes=max(len(listing.counts["train"]), 2),
        stored_shape=listing.shape,
        uniform=side == spec.image_size and height == width,
        num_channels=spec.num_channels,
        prepare_seconds=num * listing.image_seconds,
        prepare_bytes=num * height * width * spec.num_channels,
        counts=listing.counts,
        num_given_validation=listing.num_given_validation,
    )


@dataclass(frozen=True)
class ImageCounts:
    """The number of images by part and class, and of the data's own validation part."""

    by_class: Mapping[str, Mapping[str, int]]
    num_given_validation: int


def count_images(study: StudySpec, name: str) -> ImageCounts | None:
    """Count images by part and class without decoding; None if an archive must be unpacked first.

    Raises UserError for data that can't be prepared.
    """
    spec, path = study.dataset(name), local_path(study.dataset(name))
    if is_prepared(study, name):
        meta = open_prepared(study.prepared(name)).meta
        return ImageCounts(meta.counts_per_class, meta.reading.num_given_validation)
    if isinstance(spec, MedmnistDataset):
        counts = medmnist.count_images(spec, name)
        return ImageCounts(counts.by_class, counts.num_given_validation)
    if isinstance(spec, TableDataset):
        tree = table.list_images(spec, name)
    elif isinstance(spec, ImageFolderDataset) and path is not None and path.is_dir():
        tree = imagefolder.list_images(spec, path)
    else:
        return None
    return ImageCounts(_count_tree(tree), _count_held_out(tree))


def find_sizes(spec: DatasetSpec) -> tuple[int, int, int] | None:
    """Return the numbers of train and test images and the side of a source with fixed sizes."""
    sizes = SOURCES[spec.source].sizes
    if isinstance(spec, TorchvisionDataset) and spec.name in ARRAY_SETS:
        num_train, num_test, side = ARRAY_SETS[spec.name].sizes
        return num_train, num_test, spec.image_size or side
    return sizes


def find_side(study: StudySpec, name: str) -> int:
    """Return the side of a dataset's images in pixels, without preparing them.

    Raises UserError if the file with the size can't be read.
    """
    spec = study.dataset(name)
    side = known_side(spec)
    if side is not None:
        return side
    assert isinstance(spec, MedmnistDataset), "other specs have the size"
    if is_prepared(study, name):
        return open_prepared(study.prepared(name)).meta.image_size
    return medmnist.read_shapes(medmnist.find_file(spec, name))["train_images"][1]


def _inspect_medmnist(spec: MedmnistDataset, name: str) -> DatasetFacts:
    counts = medmnist.count_images(spec, name)
    totals = {part: sum(counts.by_class[part].values()) for part in PARTS}
    side = spec.image_size or counts.side
    return DatasetFacts(
        num_train=totals["train"],
        num_test=totals["test"],
        image_size=side,
        num_classes=len(counts.by_class["train"]),
        stored_shape=(side, side),
        num_channels=spec.num_channels,
        prepare_bytes=sum(totals.values()) * side * side * spec.num_channels,
        counts=counts.by_class,
        num_given_validation=counts.num_given_validation,
    )


def _inspect_prepared(folder: Path) -> DatasetFacts:
    data = open_prepared(folder)
    side, num = data.meta.resize, max(len(data.train), 1)
    shape = (side, side)
    if data.train.shapes is not None:
        # A shape with the average number of pixels; the shorter side is `resize`.
        pixels = float(data.train.shapes.astype(np.int64).prod(axis=1).sum()) / num
        shape = (side, max(side, round(pixels / side)))
    return DatasetFacts(
        num_train=len(data.train),
        num_test=len(data.test),
        image_size=data.meta.image_size,
        num_classes=len(data.meta.classes),
        stored_shape=shape,
        uniform=data.meta.uniform,
        num_channels=data.meta.num_channels,
        counts=data.meta.counts_per_class,
        num_given_validation=data.meta.reading.num_given_validation,
    )


def _inspect_known(study: StudySpec, name: str) -> DatasetFacts:
    """Inspect a source with a fixed number of images."""
    spec = study.dataset(name)
    sizes = find_sizes(spec)
    assert sizes is not None, "only called for sources with known sizes"
    num_train, num_test, side = sizes
    every = SOURCES[spec.source].classes
    if isinstance(spec, TorchvisionDataset):
        num_every = num_classes = ARRAY_SETS[spec.name].num_classes
    else:
        assert every is not None, "sources with known sizes have known classes"
        num_every, num_classes = len(every), len(getattr(spec, "classes", every))
    # All classes have about the same number of images.
    share = num_classes / num_every
    num_train, num_test = round(num_train * share), round(num_test * share)
    return DatasetFacts(
        num_train=num_train,
        num_test=num_test,
        image_size=side,
        num_classes=num_classes,
        stored_shape=(side, side),
        num_channels=spec.num_channels,
        # Preparing the digits takes a second; the download time of CIFAR-10 is unknown.
        prepare_seconds=0.0 if spec.source == "digits" else None,
        prepare_bytes=(num_train + num_test) * side * side * spec.num_channels,
    )


def list_images(
    spec: ImageFolderDataset | TableDataset, name: str, path: Path, clock: Clock
) -> Listing:
    """Count the images of a table, a folder or an archive, and decode a sample.

    Raises UserError if that is impossible.
    """
    if isinstance(spec, TableDataset):
        return _list_tree(spec, table.list_images(spec, name), clock)
    if path.is_dir():
        return _list_tree(spec, imagefolder.list_images(spec, path), clock)
    if not path.exists():
        raise UserError("its images can be counted only after the download")
    if spec.split or spec.validation != "ignore":
        raise UserError("its images can be counted only after unpacking (resnest-bench data)")
    with tempfile.TemporaryDirectory() as folder:
        try:
            counts, sample = _list_archive(path, Path(folder))
        except UserError:
            raise
        # The archive libraries may raise any exception for a damaged file.
        except Exception as error:
            raise UserError(f"{path} cannot be listed: {error}") from error
        seconds, shape = measure_decoding(sample, spec, clock)
    return Listing(counts, seconds, shape)


def _list_tree(spec: PhotoDataset, tree: Tree, clock: Clock) -> Listing:
    every = [file for part in PARTS for file, _ in tree.paths(part)]
    sample = every[:: max(1, len(every) // SAMPLE_IMAGES)][:SAMPLE_IMAGES]
    seconds, shape = measure_decoding(sample, spec, clock)
    return Listing(_count_tree(tree), seconds, shape, _count_held_out(tree))


def _count_tree(tree: Tree) -> dict[str, dict[str, int]]:
    labels = {part: Counter(label for _, label in tree.paths(part)) for part in PARTS}
    return {
        part: {name: labels[part][number] for number, name in enumerate(tree.classes)}
        for part in PARTS
    }


def _count_held_out(tree: Tree) -> int:
    return sum(map(len, tree.held_out.values()))


def _list_archive(path: Path, folder: Path) -> tuple[dict[str, Counter[str]], list[Path]]:
    """Count images by part and class, and write the first ones to `folder`."""
    counts: dict[str, Counter[str]] = {part: Counter() for part in PARTS}
    sample: list[Path] = []
    for name, write in _walk_archive(path):
        place = find_part_and_class(name)
        if place is None:
            continue
        part, label = place
        counts[part][label] += 1
        if len(sample) < SAMPLE_IMAGES:
            file = folder / f"{len(sample)}{PurePosixPath(name).suffix}"
            write(file)
            sample.append(file)
    return counts, sample


def find_part_and_class(name: str) -> tuple[str, str] | None:
    """Return part and class of an archive's member, or None if it is not an image in train/ or test/."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts or PurePosixPath(parts[-1]).suffix.lower() not in EXTENSIONS:
        return None
    if parts[-1].startswith("."):
        return None
    for index, part in enumerate(parts[:2]):
        if part in PARTS and len(parts) > index + 2:
            return part, parts[index + 1]
    return None


def _walk_archive(path: Path) -> Iterator[tuple[str, "_Writer"]]:
    if zipfile.is_zipfile(path) and path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path) as file:
            for member in file.infolist():
                yield member.filename, _ZipWriter(file, member)
        return
    compressed = path.suffix.lower() not in (".tar", "")
    if compressed and path.stat().st_size > LARGEST_COMPRESSED_BYTES:
        raise UserError("its images can be counted only after unpacking (resnest-bench data)")
    with tarfile.open(path) as tar:
        for item in tar:
            if item.isfile():
                yield item.name, _TarWriter(tar, item)


class _ZipWriter:
    def __init__(self, file: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
        self.file, self.member = file, member

    def __call__(self, target: Path) -> None:
        with self.file.open(self.member) as source, target.open("wb") as out:
            shutil.copyfileobj(source, out)


class _TarWriter:
    def __init__(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        self.tar, self.member = tar, member

    def __call__(self, target: Path) -> None:
        source = self.tar.extractfile(self.member)
        with target.open("wb") as out:
            if source is not None:
                shutil.copyfileobj(source, out)


_Writer = _ZipWriter | _TarWriter


def measure_decoding(
    sample: list[Path], spec: PhotoDataset, clock: Clock
) -> tuple[float, tuple[int, int]]:
    """Return the seconds to prepare one image with all decoder threads, and the mean height and width.

    Broken images are skipped; preparing the dataset will report them.
    """
    shapes: list[tuple[int, int]] = []
    side = spec.resize or spec.image_size

    def decode() -> None:
        for path in sample:
            try:
                read_header(path, spec.channels)
                image_HWC = read_pixels(
                    path, side, spec.max_value or 255.0, spec.channels
                ).image_HWC
            except ImageError:
                continue
            shapes.append(image_HWC.shape[:2])

    if not sample:
        return 0.0, (side, side)
    seconds = clock.measure(decode, rounds=1) / len(sample)
    if not shapes:
        return seconds, (side, side)
    height, width = (round(sum(values) / len(shapes)) for values in zip(*shapes, strict=True))
    return seconds / DECODERS, (height, width)
