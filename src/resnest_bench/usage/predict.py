"""Predict the classes of image files with the trained networks of a study."""

import csv
import glob
import io
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from resnest_bench.data.folders import CLUTTER_FOLDERS, walk_folders
from resnest_bench.data.images import ImageError
from resnest_bench.data.pixel_files import image_endings
from resnest_bench.errors import UserError
from resnest_bench.usage.preprocessing import read_batches
from resnest_bench.usage.trained import TrainedNetwork

STANDARD_INPUT = "-"
LIST_SIGN = "@"
WILDCARDS = frozenset("*?[")


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """Image files in the order in which they were named, and what was named but is no image file."""

    paths: list[Path]
    problems: dict[str, str] = field(default_factory=dict)


def find_images(
    named: Iterable[str], channels: int, read_input: Callable[[], str] | None = None
) -> ImageFiles:
    """Find image files by name, folder (with subfolders), glob pattern, @LIST with one per line, or '-'.

    Args:
        channels: of the network's images, which decide what endings a folder's images have.
        read_input: returns the lines that '-' stands for.

    Raises UserError for a list that can't be read.
    """
    found: dict[Path, None] = {}
    problems: dict[str, str] = {}
    for name in _expand_lists(named, read_input):
        path = Path(name)
        if path.is_dir():
            inside = _list_folder(path, channels)
            if not inside:
                problems[name] = "the folder has no image"
            found.update(dict.fromkeys(inside))
        elif path.exists():
            found[path] = None
        elif WILDCARDS & set(name):
            matches = sorted(Path(match) for match in glob.glob(name, recursive=True))
            if not matches:
                problems[name] = "no file matches"
            found.update(dict.fromkeys(match for match in matches if match.is_file()))
        else:
            problems[name] = "there is no such file"
    return ImageFiles(list(found), problems)


def _expand_lists(named: Iterable[str], read_input: Callable[[], str] | None) -> list[str]:
    names: list[str] = []
    for name in named:
        if name == STANDARD_INPUT and read_input is not None:
            names += _lines(read_input())
        elif name.startswith(LIST_SIGN) and not Path(name).exists():
            try:
                names += _lines(Path(name[1:]).read_text(encoding="utf-8-sig"))
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
                raise UserError(
                    f"{name} must name a list with one image per line, but {name[1:]} cannot be read ({reason}): "
                    "check the path"
                ) from error
        else:
            names.append(name)
    return names


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _list_folder(folder: Path, channels: int) -> list[Path]:
    endings = image_endings(channels)
    images: list[Path] = []
    for place, folders, names in walk_folders(folder, strict=True):
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and name.lower() not in CLUTTER_FOLDERS
        ]
        images += [
            Path(place, name)
            for name in names
            if Path(name).suffix.lower() in endings and not name.startswith(".")
        ]
    return images


@dataclass(frozen=True, eq=False)
class PredictedImages:
    """The probabilities (N, K) of the images `paths`, and which files have none, with the reason."""

    paths: list[Path]
    probabilities_NK: np.ndarray
    problems: dict[str, str]
    classes: tuple[str, ...]


def predict_images(
    networks: Sequence[TrainedNetwork],
    files: ImageFiles,
    device: torch.device,
    batch_size: int,
    report: Callable[[int], None] = lambda num: None,
) -> PredictedImages:
    """Predict with one network, or with the mean of the probabilities of several.

    A file that can't be used is named in the result, and the others go on. `report` is called with the number
    of images of each batch.
    """
    first = networks[0]
    paths: list[Path] = []
    problems = dict(files.problems)
    parts: list[np.ndarray] = [np.empty((0, len(first.classes)))]
    for batch in read_batches(first.preprocessing, files.paths, batch_size):
        images = []
        for path, image in batch:
            if isinstance(image, ImageError):
                problems[str(path)] = image.reason
            else:
                paths.append(path)
                images.append(image)
        if images:
            images_BHWC = np.stack(images)
            each = [network.probabilities(images_BHWC, device) for network in networks]
            parts.append(np.mean(each, axis=0))
        report(len(batch))
    return PredictedImages(paths, np.concatenate(parts), problems, first.classes)


def rank_classes(probabilities_K: np.ndarray, most: int) -> list[int]:
    """The most probable classes, the first of equal ones first."""
    order: list[int] = np.argsort(-probabilities_K, kind="stable")[:most].tolist()
    return order


def format_csv(found: PredictedImages, top_k: int = 1, every_class: bool = False) -> str:
    """One row per image: file, class, probability; then class_2 and so on, or one column for each class."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    header = ["file", "class", "probability"]
    header += [f"{name}_{rank}" for rank in range(2, top_k + 1) for name in header[1:3]]
    writer.writerow(header + [f"probability_{name}" for name in found.classes if every_class])
    for path, row_K in zip(found.paths, found.probabilities_NK, strict=True):
        cells: list[Any] = [path]
        for label in rank_classes(row_K, top_k):
            cells += [found.classes[label], _round(row_K[label])]
        writer.writerow(cells + [_round(value) for value in row_K if every_class])
    return text.getvalue()


def format_json(
    found: PredictedImages,
    networks: Sequence[TrainedNetwork],
    study: str,
    top_k: int = 1,
    every_class: bool = False,
) -> str:
    """The images with their classes, what predicted them, and which files failed."""
    first = networks[0].job
    images = []
    for path, row_K in zip(found.paths, found.probabilities_NK, strict=True):
        top = [
            {"class": found.classes[label], "probability": _round(row_K[label])}
            for label in rank_classes(row_K, top_k)
        ]
        image: dict[str, Any] = {"file": str(path), **top[0]}
        if top_k > 1:
            image["top"] = top
        if every_class:
            image["probabilities"] = dict(zip(found.classes, map(_round, row_K), strict=True))
        images.append(image)
    content = {
        "study": study,
        "variant": first.variant,
        "dataset": first.dataset,
        "recipe": first.recipe,
        "kind": first.kind,
        "seeds": [network.job.seed for network in networks],
        "weights_sha256": [network.sha256 for network in networks],
        "images": images,
        "failed": [{"file": name, "problem": text} for name, text in found.problems.items()],
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _round(probability: float) -> float:
    # Of 32-bit arithmetic, so that more digits say nothing.
    return round(float(probability), 6)
