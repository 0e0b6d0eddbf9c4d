"""torchvision datasets that are files of photos: torchvision lists the files and their labels.

None of these loaders reads pickles. Photos are decoded like those of any folder.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from resnest_bench.data.arrays import Content
from resnest_bench.data.photos import read_photos
from resnest_bench.data.rows import Rows, make_tree
from resnest_bench.errors import UserError, first_line
from resnest_bench.specs import TorchvisionDataset, expand_path


@dataclass(frozen=True)
class PhotoSet:
    """A dataset of photos.

    Attributes:
        class_name: its class in `torchvision.datasets`.
        folder: its folder below torchvision's `root`.
        parts: torchvision's names for train, test and validation; empty: it has no parts.
    """

    label: str
    class_name: str
    folder: str
    parts: dict[str, str]


THREE = {"train": "train", "test": "test", "validation": "val"}
PHOTO_SETS = {
    "flowers102": PhotoSet("Oxford Flowers-102", "Flowers102", "flowers-102", THREE),
    "food101": PhotoSet("Food-101", "Food101", "food-101", {"train": "train", "test": "test"}),
    "oxford_iiit_pet": PhotoSet(
        "Oxford-IIIT Pet", "OxfordIIITPet", "oxford-iiit-pet", {"train": "trainval", "test": "test"}
    ),
    "dtd": PhotoSet("DTD (partition 1)", "DTD", "dtd", THREE),
    "fgvc_aircraft": PhotoSet("FGVC-Aircraft", "FGVCAircraft", "fgvc-aircraft-2013b", THREE),
    "eurosat": PhotoSet("EuroSAT", "EuroSAT", "eurosat", {}),
    # Everybody uses its part val for testing.
    "imagenette": PhotoSet(
        "Imagenette", "Imagenette", "imagenette2", {"train": "train", "test": "val"}
    ),
    "country211": PhotoSet(
        "Country211",
        "Country211",
        "country211",
        {"train": "train", "test": "test", "validation": "valid"},
    ),
}


def read_photo_set(spec: TorchvisionDataset, name: str, downloads: Path) -> Content:
    """Read the photos. Raises UserError if they are missing or can't be downloaded."""
    known = PHOTO_SETS[spec.name]
    root = expand_path(spec.path) if spec.path else downloads / "torchvision"
    root.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    labels: list[str] = []
    parts: list[str] = []
    classes: list[str] = []
    with FileLock(downloads / f".torchvision-{spec.name}.lock"):
        for part, word in (known.parts or {"": ""}).items():
            found, classes = list_part(spec, name, root, word)
            paths += [path for path, _ in found]
            labels += [classes[label] for _, label in found]
            parts += [part] * len(found)
    rows = Rows(
        where=f"datasets.{name} ({known.label})",
        root=root,
        paths=paths,
        labels=labels,
        parts=parts if known.parts else None,
        classes=classes,
    )
    report = downloads.parent / "reports" / f"{name}-split.csv"
    tree = make_tree(rows, spec.split, spec.validation, report)
    named = spec if spec.label else spec.model_copy(update={"label": known.label})
    return read_photos(named, name, tree, downloads)


def list_part(
    spec: TorchvisionDataset, name: str, root: Path, word: str
) -> tuple[list[tuple[Path, int]], list[str]]:
    """List the files of a part with class indices, and the class names. Raises UserError."""
    from torchvision import datasets

    known = PHOTO_SETS[spec.name]
    make: Callable[..., Any] = getattr(datasets, known.class_name)
    split = {"split": word} if word else {}
    # Load names of files instead of pixels; the pets dataset doesn't have this argument.
    loader = {} if spec.name == "oxford_iiit_pet" else {"loader": Path}
    try:
        found = make(root=str(root), download=spec.path is None, **split, **loader)
        if spec.name == "oxford_iiit_pet":
            pairs = list(zip(map(Path, found._images), found._labels, strict=True))
        else:
            pairs = [found[index] for index in range(len(found))]
    # torchvision, the network, archives and files raise all kinds of errors.
    except Exception as error:
        advice = (
            "correct the path (it is what torchvision calls root), or leave it out to download"
            if spec.path
            else "download it on another machine and set path to its folder"
        )
        raise UserError(
            f"datasets.{name}: torchvision finds no {known.label} in {root}: {first_line(error)}: "
            f"{advice}"
        ) from error
    # Imagenette has several names per class.
    classes = [c if isinstance(c, str) else c[0] for c in found.classes]
    return pairs, classes
