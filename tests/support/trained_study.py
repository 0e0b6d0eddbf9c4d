"""A study that has trained two tiny networks on real photos: `from support.trained_study import train_study`."""

import tarfile
from pathlib import Path

import torch
import yaml
from PIL import Image, ImageEnhance

from resnest_bench.data import prepare
from resnest_bench.files import write_text
from resnest_bench.paths import DataPaths, StudyPaths
from resnest_bench.specs import StudySpec, dump_study, load_study
from resnest_bench.training.jobs import run_job

ARCHIVE = "cifar10-subset-png.tar"
CLASSES = ("cat", "ship")
NUM_TRAIN, NUM_TEST = 40, 20
CONFIG = {
    "study": "photos",
    "seeds": [0, 1, 2],
    "variants": [
        {
            "name": name,
            "family": "resnest",
            "layers": [1],
            "radix": radix,
            "width": 8,
            "stem": "small",
        }
        for name, radix in (("A", 2), ("B", 0))
    ],
    "datasets": {
        "pets": {"source": "imagefolder", "path": "images", "image_size": 16, "resize": 20},
    },
    "recipes": {
        "quick": {
            "epochs": 1,
            "batch_size": 16,
            "learning_rate": 0.05,
            "layout": "contiguous",
            "mode": "eager",
        }
    },
    "train": [{"dataset": "pets", "recipe": "quick"}],
}


def unpack_photos(archive: Path, folder: Path) -> None:
    """A few photos of two classes, as train/<class>/ and test/<class>/."""
    left = {(p, c): n for p, n in (("train", NUM_TRAIN), ("test", NUM_TEST)) for c in CLASSES}
    with tarfile.open(archive) as tar:
        for member in tar:
            parts = Path(member.name).parts[-3:-1]
            if member.isfile() and left.get(parts):
                left[parts] -= 1
                target = folder.joinpath(*parts, Path(member.name).name)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(tar.extractfile(member).read())
    assert not any(left.values()), left


def train_study(folder: Path, test_data: Path) -> tuple[StudySpec, StudyPaths]:
    """Write, prepare and train the study in `folder`, which must be the working directory."""
    unpack_photos(test_data / ARCHIVE, folder / "images")
    config = folder / "config" / "config.yaml"
    write_text(config, yaml.safe_dump(CONFIG, sort_keys=False))
    study = load_study(config)
    paths = study.paths(Path("results"))
    write_text(paths.study, dump_study(study))
    prepare(
        study.dataset("pets"), "pets", study.prepared("pets"), DataPaths(Path("data")).downloads
    )
    for name in study.variant_names:
        run_job(study, "train", "pets", "quick", name, torch.device("cpu"))
    return study, paths


def make_dark(images: Path, folder: Path) -> None:
    """A shifted test set: the photos at a third of their brightness."""
    for file in images.rglob("*.png"):
        target = folder / file.relative_to(images)
        target.parent.mkdir(parents=True, exist_ok=True)
        ImageEnhance.Brightness(Image.open(file)).enhance(0.33).save(target)
