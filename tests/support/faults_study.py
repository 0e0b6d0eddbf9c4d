"""The study of tests/faults, whose trainings take a moment, and its commands."""

import json
from dataclasses import dataclass
from pathlib import Path

import yaml

CONFIG = {
    "study": "faults",
    "seeds": [0, 1],
    "variants": [
        # Dropout, mixup and augmentation: all that draws random numbers.
        {
            "name": "A",
            "family": "resnest",
            "layers": [1],
            "radix": 2,
            "width": 16,
            "stem": "deep",
            "stem_width": 16,
            "dropout": 0.2,
        },
    ],
    "datasets": {"low": {"source": "digits", "classes": [0, 1]}},
    "recipes": {
        # Two runs that are compared to the bit must not each measure which layout is faster.
        "r": {
            "epochs": 3,
            "batch_size": 48,
            "learning_rate": 0.05,
            "crop": "pad4",
            "flip": True,
            "mixup_alpha": 0.2,
            "label_smoothing": 0.1,
            "warmup_epochs": 1,
            "validation_fraction": 0.1,
            "layout": "channels_last",
            "mode": "eager",
        },
    },
    "protocols": {
        "quick": {
            "batch_sizes": [1],
            "min_samples": 5,
            "min_seconds": 0,
            "warmup_calls": 1,
            "warmup_seconds": 0,
            "paper_batch_size": None,
            "reference_samples": 3,
        },
    },
    "train": [{"dataset": "low", "recipe": "r"}],
    "latency": [{"dataset": "low", "protocol": "quick", "rounds": 1}],
}
# 285 images, a tenth of them held out, in batches of 48.
NUM_STEPS = 6
DATA = ("data", "--study", "config.yaml", "--dataset", "low")
TRAIN = (
    "train",
    "--study",
    "config.yaml",
    "--dataset",
    "low",
    "--recipe",
    "r",
    "--variant",
    "A",
    "--device",
    "cpu",
)
LATENCY = (
    "latency",
    "--study",
    "config.yaml",
    "--dataset",
    "low",
    "--protocol",
    "quick",
    "--variant",
    "A",
    "--device",
    "cpu",
)
TABLES = ("tables", "--study", "config.yaml")


@dataclass(frozen=True)
class Whole:
    """The uninterrupted run: `seconds` of it, and its records by seed, without times."""

    folder: Path
    data: Path
    seconds: float
    records: dict[int, dict]


def read_records(folder: Path) -> dict[int, dict]:
    """Records of A by seed: all but times, environment and how often it was resumed."""
    found = {}
    for path in (folder / "results/faults/records/train/low/r/A").glob("seed-*.json"):
        raw = json.loads(path.read_text())
        for key in ("environment", "started_at", "finished_at"):
            del raw[key]
        for key in ("wall_seconds", "num_resumes"):
            del raw["train"][key]
        for epoch in raw["train"]["epochs"]:
            for key in ("train_seconds", "evaluation_seconds", "images_per_second"):
                del epoch[key]
        found[raw["job"]["seed"]] = raw
    return found


def write_config(folder: Path, data: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump({**CONFIG, "data_dir": str(data)})
    (folder / "config.yaml").write_text(text)
