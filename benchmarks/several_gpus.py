"""One training on one GPU and on several: do the losses agree, and how many images per second are trained?

    python benchmarks/several_gpus.py --out results/several.json

Says so and ends well where there are fewer than two GPUs. `--device cpu` takes two CPUs for them.
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from reporting import markdown
from sklearn.datasets import load_digits

from resnest_bench.data import prepare
from resnest_bench.paths import DataPaths
from resnest_bench.specs import StudySpec, study_from_config
from resnest_bench.training.jobs import run_job

# Side in pixels and images per batch: many short steps, and fewer long ones.
CASES = {"small images": (32, 256), "photos": (224, 64)}
MODELS = ("resnet18", "resnet50")


def write_digits(folder: Path, side: int) -> None:
    """Write scikit-learn's digits as image files of any size."""
    digits = load_digits()
    for number, (image_HW, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        part = folder / ("test" if number % 6 == 0 else "train") / str(label)
        part.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray((image_HW * 15.9).astype(np.uint8)).convert("RGB")
        image.resize((side, side)).save(part / f"{number}.png")


def make_study(folder: Path, side: int, batch_size: int, models: tuple[str, ...]) -> StudySpec:
    images = folder / "images"
    write_digits(images, side)
    source = {"source": "imagefolder", "path": str(images), "image_size": side, "resize": side}
    config = {
        "study": "several",
        "seeds": [0],
        "data_dir": str(folder / "data"),
        "variants": [{"name": name, "family": "timm", "model": name} for name in models],
        "datasets": {"digits": source},
        "recipes": {"r": {"epochs": 2, "batch_size": batch_size, "learning_rate": 0.01}},
        "train": [{"dataset": "digits", "recipe": "r"}],
    }
    study = study_from_config(config, "several_gpus.py")
    data = study.prepared("digits")
    prepare(study.dataset("digits"), "digits", data, DataPaths(folder / "data").downloads)
    return study


def compare(folder: Path, case: str, models: tuple[str, ...], devices: list[torch.device]) -> list:
    """One row per network: images per second of the second epoch, and how far the losses are apart."""
    side, batch_size = CASES[case]
    study, rows = make_study(folder / case, side, batch_size, models), []
    for model in models:
        start = study, "train", "digits", "r", model, devices[0]
        epochs = []
        for more in ((), devices[1:]):
            (record,) = run_job(*start, folder / case / str(len(more)), more_devices=more)
            assert record.train is not None, record.failure
            epochs.append(record.train.epochs)
        speeds = [seen[-1].images_per_second for seen in epochs]
        apart = abs(epochs[0][0].train_loss - epochs[1][0].train_loss) / epochs[0][0].train_loss
        rows.append(
            [case, model, *(round(s) for s in speeds), round(speeds[1] / speeds[0], 2), apart]
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--cases", default=",".join(CASES), help="names with commas between")
    parser.add_argument(
        "--models", default=",".join(MODELS), help="timm's names with commas between"
    )
    parser.add_argument("--out", type=Path, help="write the rows as JSON")
    asked = parser.parse_args()
    devices = [torch.device("cuda", index) for index in range(torch.cuda.device_count())]
    if asked.device == "cpu":
        devices = [torch.device("cpu")] * 2
    if len(devices) < 2:
        print(f"needs two GPUs, but there are {len(devices)}: nothing was measured")
        sys.exit(0)
    folder, models = Path(tempfile.mkdtemp()), tuple(asked.models.split(","))
    try:
        rows = [
            row for case in asked.cases.split(",") for row in compare(folder, case, models, devices)
        ]
    finally:
        shutil.rmtree(folder)
    head = [
        "case",
        "network",
        "1: images/s",
        f"{len(devices)}: images/s",
        "ratio",
        "first losses apart",
    ]
    print(markdown(head, [[str(cell) for cell in row] for row in rows]))
    if asked.out:
        asked.out.write_text(
            json.dumps([dict(zip(head, row, strict=True)) for row in rows], indent=1)
        )


if __name__ == "__main__":
    main()
