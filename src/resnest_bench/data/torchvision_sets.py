"""The torchvision datasets, by name."""

from collections.abc import Iterator
from pathlib import Path

from resnest_bench.data.arrays import Content
from resnest_bench.data.folders import walk_files
from resnest_bench.data.torchvision_arrays import ARRAY_SETS, find_local, read_arrays
from resnest_bench.data.torchvision_photos import PHOTO_SETS, read_photo_set
from resnest_bench.specs import TorchvisionDataset, expand_path


def read(spec: TorchvisionDataset, name: str, downloads: Path) -> Content:
    """Read the dataset `spec.name` from local or downloaded files. Raises UserError."""
    reader = read_arrays if spec.name in ARRAY_SETS else read_photo_set
    return reader(spec, name, downloads)


def list_files(spec: TorchvisionDataset) -> Iterator[tuple[str, Path]]:
    """Yield the files of the dataset: torchvision's root may have many others."""
    if spec.name in ARRAY_SETS:
        for file in find_local(spec) or ():
            yield file.name, file
    else:
        yield from walk_files(expand_path(spec.path or "") / PHOTO_SETS[spec.name].folder)


def look_for_near(spec: TorchvisionDataset) -> bool:
    """Return whether similar images count as copies."""
    return spec.name not in ARRAY_SETS or ARRAY_SETS[spec.name].look_for_near
