"""What a study downloads and writes, in bytes, as far as it is known without asking anybody."""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import timm
import torch

from resnest_bench.data.cifar import ARCHIVE
from resnest_bench.paths import DataPaths, Job
from resnest_bench.planning.estimate import Estimate, group_jobs
from resnest_bench.specs import (
    Cifar10Dataset,
    HuggingFaceDataset,
    ImageFolderDataset,
    StudySpec,
    TorchvisionDataset,
)

# Of the official archive, as its server says.
CIFAR10_BYTES = 170_498_071
FLOAT_BYTES = 4
# The network and its momentum.
COPIES_IN_CHECKPOINT = 2


@dataclass(frozen=True)
class Download:
    """What is to be fetched; `num_bytes` is None where only its server knows."""

    name: str
    num_bytes: int | None


@dataclass(frozen=True)
class Need:
    """Bytes that will be written below `folder`, and what they are."""

    what: str
    folder: Path
    num_bytes: int


def list_downloads(study: StudySpec, jobs: Iterable[Job]) -> list[Download]:
    """Archives and hub weights that these jobs need and that are not here."""
    jobs = list(jobs)
    places = DataPaths(Path(study.data_dir))
    found = []
    for name in dict.fromkeys(job.dataset for job in jobs):
        spec = study.dataset(name)
        if (study.prepared(name) / "meta.json").exists() or getattr(spec, "path", None):
            continue
        if isinstance(spec, Cifar10Dataset) and not (places.downloads / ARCHIVE).exists():
            found.append(Download("CIFAR-10", CIFAR10_BYTES))
        elif isinstance(spec, ImageFolderDataset):
            found.append(Download(f"the archive of {name}", None))
        elif isinstance(spec, HuggingFaceDataset | TorchvisionDataset):
            found.append(Download(f"the files of {name}", None))
    weights = [study.weights(job) for job in jobs]
    hubs = dict.fromkeys(w.hub for w in weights if w and w.hub)
    missing = [hub for hub in hubs if not places.hub_weights(hub).exists()]
    return found + [Download(hub, count_hub_bytes(hub)) for hub in missing]


def count_hub_bytes(name: str) -> int | None:
    """About the size of a pretrained network's file, from its parameters; None for an unknown one."""
    try:
        # Without memory: a network of any size is counted at once.
        with torch.device("meta"):
            model = timm.create_model(name)
        num_values: int = sum(value.numel() for value in model.state_dict().values())
    # Foreign code: what it raises is anything.
    except Exception:
        return None
    return FLOAT_BYTES * num_values


def list_needs(
    study: StudySpec, results: Path, jobs: Iterable[Job], estimate: Estimate
) -> list[Need]:
    """What these jobs write: arrays, kept weights, downloads, and checkpoints while they run."""
    jobs = list(jobs)
    data, root = Path(study.data_dir), study.paths(results).root
    arrays = sum(facts.prepare_bytes for facts in estimate.datasets.values())
    sizes = {group: price.num_params * FLOAT_BYTES for group, price in estimate.prices.items()}
    kept = sum(
        sizes[group]
        for group, members in group_jobs(jobs).items()
        if group in sizes and group.kind == "train"
        for job in members
        if study.keeps_weights(job)
    )
    largest = max(sizes.values(), default=0) * COPIES_IN_CHECKPOINT * estimate.side_by_side
    fetched = sum(download.num_bytes or 0 for download in list_downloads(study, jobs))
    needs = [
        Need("downloads", data, fetched),
        Need("prepared images", data, arrays),
        Need("kept weights", root, kept),
        Need("checkpoints", root, largest),
    ]
    return [need for need in needs if need.num_bytes]


def find_existing(folder: Path) -> Path:
    """The folder itself, or the nearest one above it that is there."""
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    return place


def sum_by_disk(needs: Iterable[Need]) -> Mapping[Path, int]:
    """Bytes by disk: a folder that lies on it."""
    totals: dict[int, int] = {}
    places: dict[int, Path] = {}
    for need in needs:
        place = find_existing(need.folder)
        disk = place.stat().st_dev
        totals[disk] = totals.get(disk, 0) + need.num_bytes
        places.setdefault(disk, place)
    return {places[disk]: total for disk, total in totals.items()}


def list_shortages(needs: Iterable[Need]) -> list[tuple[Path, int, int]]:
    """Folder, bytes needed and bytes free of each disk where they don't fit."""
    found = []
    for place, total in sum_by_disk(needs).items():
        free = shutil.disk_usage(place).free
        if total > free:
            found.append((place, total, free))
    return found
