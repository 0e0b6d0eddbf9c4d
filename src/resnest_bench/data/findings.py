"""What was found while a folder of images was read: counted for the record, told in the log."""

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

# Images whose brightest value is in the lower half are nearly black to a network.
DIM_BELOW = 128
USE_OF_VALIDATION = (
    "validation: hold_out measures on it where a recipe has a validation_fraction; validation: train "
    "adds it to the training images"
)


def describe_files(paths: Iterable[Path]) -> dict[Path, str]:
    """Paths with what they hold, where it is an image of a format that is not read."""
    contents = {path: describe_content(path) if path.is_file() else "" for path in paths}
    return {path: text if "not read" in text else "" for path, text in contents.items()}


@dataclass
class Findings:
    """One reading of a dataset: grows while the images are decoded, in their order.

    Attributes:
        reports: the folder of the files that list everything where a message can't.
        files: part to the names of its images relative to the root, in order, without broken ones.
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
        # A table may name images that lie elsewhere.
        return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()

    def add_pixels(self, pixels: Pixels) -> None:
        self.num_transparent += pixels.transparent
        self.num_deep += pixels.deep
        self.brightest = max(self.brightest, int(pixels.image_HWC.max()))

    def add_broken(self, part: str, path: Path, error: ImageError) -> None:
        self.broken.append((path, error.reason))
        self.files[part].remove(self.show(path))

    def finish(self) -> ImageReading:
        """What the record says, once every image was asked for. Raises UserError where one was broken.

        With `skip_broken` it is raised only where a class has no image left.
        """
        self._tell_broken()
        self._tell_pixels()
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

    def _tell_broken(self) -> None:
        if not self.broken:
            return
        reasons = dict(self.broken)
        named = self.list_files("broken", reasons)
        num = f"{len(reasons)} of {len(reasons) + sum(map(len, self.files.values()))} images"
        if not self.skip_broken:
            raise UserError(
                f"datasets.{self.name}: every image must be whole, but {num} cannot be used: "
                f"{named}. Repair them or take them out, or leave them out with broken: skip"
            )
        log.warning(
            "%s: %s cannot be used and are left out (%s): %s",
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
                        f"datasets.{self.name}: a class must have at least one image that can be "
                        f"used, but {part}/{name} has none: repair one, or remove the class"
                    )

    def _tell_pixels(self) -> None:
        if self.num_transparent:
            log.info(
                "%s: images with transparent pixels, which are shown on white: %d",
                self.name,
                self.num_transparent,
            )
        if self.white is not None:
            log.info(
                "%s: images of more than 8 bits a channel: %d; white is their value %g (max_value: "
                "says another one)",
                self.name,
                self.num_deep,
                self.white,
            )
        if self.brightest < DIM_BELOW:
            log.warning(
                "%s: no pixel is brighter than %d of 255, so that all images are nearly black: "
                "brighten the files if that is a mistake",
                self.name,
                self.brightest,
            )

    def tell_left_out(self) -> None:
        """Say which files and folders are not read, with their number for each class."""
        left_out = self.tree.left_out
        if left_out.files:
            self._warn(
                "left-out", "left out, by their endings no images", describe_files(left_out.files)
            )
        if left_out.misnamed:
            kinds = {path: f"a {kind} image" for path, kind in left_out.misnamed.items()}
            self._warn(
                "misnamed",
                "left out for their endings, but they hold an image (rename them to use them)",
                kinds,
            )
        if left_out.clutter:
            self._warn(
                "folders",
                "left out, folders that are hidden or of other programs",
                dict.fromkeys(left_out.clutter, ""),
            )
        for folder, num in left_out.unused.items():
            log.warning(
                "%s: %s/ is not used (images in it: %d): only train/ and test/ are read. %s",
                self.name,
                folder,
                num,
                USE_OF_VALIDATION
                if folder.lower() in VALIDATION_NAMES
                else "validation_fraction in a recipe holds out a part of train/",
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
        """'train/cat 3, test/dog 1': files for each class."""
        places = Counter("/".join(self.show(path).split("/")[:-1][:2]) or "." for path in paths)
        return ", ".join(f"{place} {num}" for place, num in sorted(places.items()))

    def list_files(self, kind: str, reasons: Mapping[Path, str]) -> str:
        """The first ten, with the reason; all of them go into the report where there are more."""
        lines = [
            self.show(path) + (f" ({why.removeprefix('it is ')})" if why else "")
            for path, why in reasons.items()
        ]
        if len(lines) <= SHOWN:
            return ", ".join(lines)
        report = self.reports / f"{self.name}-{kind}.txt"
        write_text(report, "".join(line + "\n" for line in lines))
        return f"{list_names(lines, SHOWN)}, all in {report}"
