"""What is known of a dataset before it is prepared: how many images, and what preparing them costs."""

import shutil
import tarfile
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from resnest_bench.data import SOURCES, is_prepared, open_prepared
from resnest_bench.data.folders import find_root, scan
from resnest_bench.data.imagefolder import DECODERS
from resnest_bench.data.images import EXTENSIONS, ImageError, read_header, read_resized
from resnest_bench.data.prepared import PARTS
from resnest_bench.errors import UserError
from resnest_bench.planning.clock import Clock
from resnest_bench.specs import ImageFolderDataset, StudySpec, local_path

SAMPLE_IMAGES = 16
# What lists a compressed archive reads all of it: of a large one that is no quick look.
LARGEST_COMPRESSED_BYTES = 500_000_000


@dataclass(frozen=True)
class DatasetFacts:
    """Images of a dataset.

    Attributes:
        stored_shape: height and width of a prepared image, of the average one where they differ.
        prepare_seconds: what preparing takes; 0 where it is done, None where nobody knows.
        prepare_bytes: what the arrays take on the disk; 0 where they are there.
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


@dataclass(frozen=True)
class Listing:
    """Image files of train/ and test/, and the time and shape of a sample of them."""

    counts: Counter[str]
    classes: frozenset[str]
    image_seconds: float
    shape: tuple[int, int]


def inspect_dataset(study: StudySpec, name: str, clock: Clock) -> DatasetFacts:
    """Look at a dataset without preparing it. Raises UserError with the reason where that can't be."""
    if is_prepared(study, name):
        return _inspect_prepared(study.prepared(name))
    spec = study.dataset(name)
    if not isinstance(spec, ImageFolderDataset):
        return _inspect_known(study, name)
    path = local_path(spec)
    if path is None:
        raise UserError("its images are counted once the archive is here (resnest-bench data)")
    side = spec.resize or spec.image_size
    listing = list_images(path, side, spec.max_value, clock)
    num = sum(listing.counts.values())
    height, width = listing.shape
    return DatasetFacts(
        num_train=listing.counts["train"],
        num_test=listing.counts["test"],
        image_size=spec.image_size,
        num_classes=max(len(listing.classes), 2),
        stored_shape=listing.shape,
        uniform=side == spec.image_size and height == width,
        num_channels=spec.num_channels,
        prepare_seconds=num * listing.image_seconds,
        prepare_bytes=num * height * width * spec.num_channels,
    )


def _inspect_prepared(folder: Path) -> DatasetFacts:
    data = open_prepared(folder)
    side, num = data.meta.resize, max(len(data.train), 1)
    shape = (side, side)
    if data.train.shapes is not None:
        # The average number of pixels; the shorter side is `resize`.
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
    )


def _inspect_known(study: StudySpec, name: str) -> DatasetFacts:
    """A source whose sizes are the same for everybody."""
    spec = study.dataset(name)
    source = SOURCES[spec.source]
    assert source.sizes is not None, "only image folders have unknown sizes"
    assert source.classes is not None, "as are the classes"
    num_train, num_test, side = source.sizes
    num_classes = len(getattr(spec, "classes", source.classes))
    # Of some of its classes a source has about as large a share of the images.
    share = num_classes / len(source.classes)
    num_train, num_test = round(num_train * share), round(num_test * share)
    return DatasetFacts(
        num_train=num_train,
        num_test=num_test,
        image_size=side,
        num_classes=num_classes,
        stored_shape=(side, side),
        num_channels=spec.num_channels,
        # The digits take a second; of CIFAR-10 nobody knows how long the download takes.
        prepare_seconds=0.0 if spec.source == "digits" else None,
        prepare_bytes=(num_train + num_test) * side * side * spec.num_channels,
    )


def list_images(path: Path, side: int, white: float | None, clock: Clock) -> Listing:
    """Count the images of a folder or an archive, and decode some. Raises UserError."""
    if path.is_dir():
        tree = scan(find_root(path))
        files = {part: [file for file, _ in tree.paths(part)] for part in PARTS}
        every = [file for part in PARTS for file in files[part]]
        sample = every[:: max(1, len(every) // SAMPLE_IMAGES)][:SAMPLE_IMAGES]
        seconds, shape = measure_decoding(sample, side, white, clock)
        counts = Counter({part: len(files[part]) for part in PARTS})
        return Listing(counts, frozenset(tree.classes), seconds, shape)
    if not path.exists():
        raise UserError("its images can be counted once they are downloaded")
    with tempfile.TemporaryDirectory() as folder:
        try:
            counts, classes, sample = _list_archive(path, Path(folder))
        except UserError:
            raise
        # Foreign bytes: the readers of archives raise anything.
        except Exception as error:
            raise UserError(f"{path} cannot be listed: {error}") from error
        seconds, shape = measure_decoding(sample, side, white, clock)
    return Listing(counts, classes, seconds, shape)


def _list_archive(path: Path, folder: Path) -> tuple[Counter[str], frozenset[str], list[Path]]:
    """Images by part, the classes, and the first images as files in `folder`."""
    counts: Counter[str] = Counter()
    classes: set[str] = set()
    sample: list[Path] = []
    for name, write in _walk_archive(path):
        place = find_place(name)
        if place is None:
            continue
        part, label = place
        counts[part] += 1
        classes.add(label)
        if len(sample) < SAMPLE_IMAGES:
            file = folder / f"{len(sample)}{PurePosixPath(name).suffix}"
            write(file)
            sample.append(file)
    return counts, frozenset(classes), sample


def find_place(name: str) -> tuple[str, str] | None:
    """Part and class of an archive's member; None for what is no image of train/ or test/."""
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
        raise UserError("its images are counted once it is unpacked (resnest-bench data)")
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
    sample: list[Path], side: int, white: float | None, clock: Clock
) -> tuple[float, tuple[int, int]]:
    """Seconds of preparing one image by as many threads as prepare, and its height and width.

    Broken images cost nothing: preparing names them.
    """
    shapes: list[tuple[int, int]] = []

    def decode() -> None:
        for path in sample:
            try:
                read_header(path)
                width, height = read_resized(path, side, white or 255.0).image.size
            except ImageError:
                continue
            shapes.append((height, width))

    if not sample:
        return 0.0, (side, side)
    seconds = clock.measure(decode, rounds=1) / len(sample)
    if not shapes:
        return seconds, (side, side)
    height, width = (round(sum(values) / len(shapes)) for values in zip(*shapes, strict=True))
    return seconds / DECODERS, (height, width)
