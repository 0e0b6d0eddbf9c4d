"""Problems found while a folder of images is read: counted for the record, and logged."""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from resnest_bench.data.class_names import find_lookalikes
from resnest_bench.data.contents import describe_content
from resnest_bench.data.folders import SHOWN, VALIDATION_NAMES, Tree
from resnest_bench.data.images import ImageError
from resnest_bench.data.pixel_files import Pixels
from resnest_bench.data.prepared import PARTS
from resnest_bench.errors import UserError
from resnest_bench.files import write_text
from resnest_bench.records.observations import ImageReading
from resnest_bench.words import list_names

log = logging.getLogger(__name__)

# If the brightest value is in the lower half, a network sees nearly black images.
DIM_BELOW = 128
USE_OF_VALIDATION = (
    "Set validation: hold_out to measure on it if a recipe has a validation_fraction, or validation: "
    "train to add it to the training images"
)


def describe_files(paths: Iterable[Path]) -> dict[Path, str]:
    """Return what each path holds if it is an image in an unsupported format, else ''."""
    contents = {path: describe_content(path) if path.is_file() else "" for path in paths}
    return {path: text if "not read" in text else "" for path, text in contents.items()}


@dataclass
class Findings:
    """What is found while a dataset is read: it grows as the images are decoded, in their order.

    Attributes:
        reports: the folder for complete lists of files that are too long for a message.
        files: part to the names of its unbroken images relative to the root, in order.
    """

    name: str
    tree: Tree
    reports: Path
    skip_broken: bool
    white: float | None = None
    broken: list[tuple[Path, str]] = field(default_factory=list)
    num_transparent: int = 0
    num_deep: int = 0
    brightest: int = 0
    files: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for part in PARTS:
            self.files[part] = [self.show(path) for path, _ in self.tree.paths(part)]

    def show(self, path: Path) -> str:
        root = self.tree.root
        # A table may name images outside of the root.
        return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()

    def add_pixels(self, pixels: Pixels) -> None:
        self.num_transparent += pixels.transparent
        self.num_deep += pixels.deep
        self.brightest = max(self.brightest, int(pixels.image_HWC.max()))

    def add_broken(self, part: str, path: Path, error: ImageError) -> None:
        self.broken.append((path, error.reason))
        self.files[part].remove(self.show(path))

    def finish(self) -> ImageReading:
        """Return the counts for the record, after every image was read. Raises UserError if one was broken.

        With `skip_broken`, raises it only if a class has no image left.
        """
        self._report_broken()
        self._report_pixels()
        left_out = self.tree.left_out
        return ImageReading(
            num_skipped_files=len(left_out.files) + len(left_out.misnamed),
            num_misnamed_images=len(left_out.misnamed),
            num_broken_images=len(self.broken),
            num_transparent_images=self.num_transparent,
            num_deep_images=self.num_deep,
            white_value=self.white,
            unused_folders=left_out.unused,
            num_given_validation=self._count_held_out(),
            split=self.tree.split,
        )

    def _count_held_out(self) -> int:
        bad = {path for path, _ in self.broken}
        return sum(path not in bad for paths in self.tree.held_out.values() for path in paths)

    def _report_broken(self) -> None:
        if not self.broken:
            return
        reasons = dict(self.broken)
        named = self.list_files("broken", reasons)
        num = f"{len(reasons)} of {len(reasons) + sum(map(len, self.files.values()))} images"
        if not self.skip_broken:
            raise UserError(
                f"datasets.{self.name}: every image must be readable, but {num} are not: {named}. Repair "
                "or remove them, or skip them with broken: skip"
            )
        log.warning(
            "%s: %s cannot be read and are skipped (%s): %s",
            self.name,
            num,
            self._count_places(reasons),
            named,
        )
        self._check_emptied()

    def _check_emptied(self) -> None:
        bad = {path for path, _ in self.broken}
        for part in PARTS:
            for name, paths in self.tree.files[part].items():
                if bad.issuperset(paths):
                    raise UserError(
                        f"datasets.{self.name}: a class must have at least one readable image, "
                        f"but {part}/{name} has none: repair one, or remove the class"
                    )

    def _report_pixels(self) -> None:
        if self.num_transparent:
            log.info(
                "%s: images with transparent pixels, which are put on white: %d",
                self.name,
                self.num_transparent,
            )
        if self.white is not None:
            log.info(
                "%s: images with more than 8 bits per channel: %d; white is %g (set max_value: to change "
                "it)",
                self.name,
                self.num_deep,
                self.white,
            )
        if self.brightest < DIM_BELOW:
            log.warning(
                "%s: no pixel is brighter than %d of 255, so all images are nearly black: brighten the "
                "files if that is a mistake",
                self.name,
                self.brightest,
            )

    def report_left_out(self) -> None:
        """Log which files and folders are not read, with their number per class."""
        left_out = self.tree.left_out
        if left_out.files:
            self._warn(
                "left-out", "skipped, not images by extension", describe_files(left_out.files)
            )
        if left_out.misnamed:
            kinds = {path: f"a {kind} image" for path, kind in left_out.misnamed.items()}
            self._warn(
                "misnamed",
                "skipped because of their extensions, although they are images (rename them to use them)",
                kinds,
            )
        if left_out.clutter:
            self._warn(
                "folders",
                "skipped, folders that are hidden or belong to other programs",
                dict.fromkeys(left_out.clutter, ""),
            )
        for folder, num in left_out.unused.items():
            log.warning(
                "%s: %s/ is not used (images: %d): only train/ and test/ are read. %s",
                self.name,
                folder,
                num,
                USE_OF_VALIDATION
                if folder.lower() in VALIDATION_NAMES
                else "Set validation_fraction in a recipe to hold out a part of train/",
            )
        for names in find_lookalikes(self.tree.classes):
            log.warning(
                "%s: classes with nearly the same name: %s", self.name, ", ".join(map(repr, names))
            )

    def _warn(self, kind: str, head: str, reasons: Mapping[Path, str]) -> None:
        log.warning(
            "%s: %s: %d (%s): %s",
            self.name,
            head,
            len(reasons),
            self._count_places(reasons),
            self.list_files(kind, reasons),
        )

    def _count_places(self, paths: Iterable[Path]) -> str:
        """Return the number of files per class, like 'train/cat 3, test/dog 1'."""
        places = Counter("/".join(self.show(path).split("/")[:-1][:2]) or "." for path in paths)
        return ", ".join(f"{place} {num}" for place, num in sorted(places.items()))

    def list_files(self, kind: str, reasons: Mapping[Path, str]) -> str:
        """Name the first ten files with the reason. If there are more, write all of them to a report."""
        lines = [
            self.show(path) + (f" ({why.removeprefix('it is ')})" if why else "")
            for path, why in reasons.items()
        ]
        if len(lines) <= SHOWN:
            return ", ".join(lines)
        report = self.reports / f"{self.name}-{kind}.txt"
        write_text(report, "".join(line + "\n" for line in lines))
        return f"{list_names(lines, SHOWN)}, all in {report}"
