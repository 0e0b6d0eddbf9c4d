"""The bytes that a study downloads and writes, as far as known without network access."""

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

# Size of the official archive, as reported by its server.
CIFAR10_BYTES = 170_498_071
FLOAT_BYTES = 4
# The weights and their momentum.
COPIES_IN_CHECKPOINT = 2


@dataclass(frozen=True)
class Download:
    """A file to download; `num_bytes` is None if its size is unknown."""

    name: str
    num_bytes: int | None


@dataclass(frozen=True)
class Need:
    """Bytes that will be written below `folder`; `what` describes them."""

    what: str
    folder: Path
    num_bytes: int


def list_downloads(study: StudySpec, jobs: Iterable[Job]) -> list[Download]:
    """Return the archives and hub weights that these jobs need and that are not on this machine."""
    jobs = list(jobs)
    data = DataPaths(Path(study.data_dir))
    archives = []
    for name in dict.fromkeys(job.dataset for job in jobs):
        spec = study.dataset(name)
        if (study.prepared(name) / "meta.json").exists() or getattr(spec, "path", None):
            continue
        if isinstance(spec, Cifar10Dataset) and not (data.downloads / ARCHIVE).exists():
            archives.append(Download("CIFAR-10", CIFAR10_BYTES))
        elif isinstance(spec, ImageFolderDataset):
            archives.append(Download(f"the archive of {name}", None))
        elif isinstance(spec, HuggingFaceDataset | TorchvisionDataset):
            archives.append(Download(f"the files of {name}", None))
    weights = [study.weights(job) for job in jobs]
    hubs = dict.fromkeys(w.hub for w in weights if w and w.hub)
    missing = [hub for hub in hubs if not data.hub_weights(hub).exists()]
    return archives + [Download(hub, count_hub_bytes(hub)) for hub in missing]


def count_hub_bytes(name: str) -> int | None:
    """Estimate the size of a pretrained network's file from its parameters; None for an unknown one."""
    try:
        # The meta device allocates no memory.
        with torch.device("meta"):
            model = timm.create_model(name)
        num_values: int = sum(value.numel() for value in model.state_dict().values())
    # A network may raise any exception.
    except Exception:
        return None
    return FLOAT_BYTES * num_values


def list_needs(
    study: StudySpec, results: Path, jobs: Iterable[Job], estimate: Estimate
) -> list[Need]:
    """Return what these jobs write: downloads, arrays, kept weights, and checkpoints while they run."""
    jobs = list(jobs)
    data, root = Path(study.data_dir), study.paths(results).root
    arrays = sum(facts.prepare_bytes for facts in estimate.datasets.values())
    sizes = {group: price.num_params * FLOAT_BYTES for group, price in estimate.prices.items()}
    kept = sum(
        sizes[group]
        for group, members in group_jobs(jobs).items()
        if group in sizes
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
    """Return the folder itself, or its nearest parent that exists."""
    existing = folder.absolute()
    while not existing.exists():
        existing = existing.parent
    return existing


def sum_by_disk(needs: Iterable[Need]) -> Mapping[Path, int]:
    """Return the bytes by disk. The key is an existing folder on the disk."""
    totals: dict[int, int] = {}
    folders: dict[int, Path] = {}
    for need in needs:
        folder = find_existing(need.folder)
        disk = folder.stat().st_dev
        totals[disk] = totals.get(disk, 0) + need.num_bytes
        folders.setdefault(disk, folder)
    return {folders[disk]: total for disk, total in totals.items()}


def list_shortages(needs: Iterable[Need]) -> list[tuple[Path, int, int]]:
    """Return folder, needed bytes and free bytes for each disk with too little space."""
    shortages = []
    for folder, total in sum_by_disk(needs).items():
        free = shutil.disk_usage(folder).free
        if total > free:
            shortages.append((folder, total, free))
    return shortages
