"""Data sets of torchvision that are photos in files: torchvision says which file has which label.

None of these loaders opens a pickle. Photos are decoded as those of any folder are.
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
    """A set of photos.

    Attributes:
        class_name: in `torchvision.datasets`.
        folder: below torchvision's `root`.
        parts: train, test and validation to torchvision's words for them; empty: it has no parts.
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
    # What it calls val is what everybody tests on.
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
    """The set's photos. Raises UserError where they are not there or can't be downloaded."""
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
    """Files of a part with their class indices, and the names of the classes. Raises UserError."""
    from torchvision import datasets

    known = PHOTO_SETS[spec.name]
    make: Callable[..., Any] = getattr(datasets, known.class_name)
    split = {"split": word} if word else {}
    # The files' names in place of their pixels; of pets there is no such argument.
    loader = {} if spec.name == "oxford_iiit_pet" else {"loader": Path}
    try:
        found = make(root=str(root), download=spec.path is None, **split, **loader)
        if spec.name == "oxford_iiit_pet":
            pairs = list(zip(map(Path, found._images), found._labels, strict=True))
        else:
            pairs = [found[index] for index in range(len(found))]
    # torchvision raises RuntimeError and what networks, archives and files raise.
    except Exception as error:
        advice = (
            "correct the path (it is what torchvision calls root), or leave it out to download"
            if spec.path
            else "get it on another machine and give its folder as path"
        )
        raise UserError(
            f"datasets.{name}: torchvision finds no {known.label} in {root}: {first_line(error)}: "
            f"{advice}"
        ) from error
    # Imagenette has several names for each class.
    classes = [c if isinstance(c, str) else c[0] for c in found.classes]
    return pairs, classes
