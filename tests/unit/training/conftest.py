"""A study of the digits 0, 1 and 2 that trains in a second, prepared once."""

import copy

import pytest
import torch

from resnest_bench.data import open_prepared, prepare
from resnest_bench.device.environment import describe
from resnest_bench.paths import DataPaths
from resnest_bench.specs import study_from_config
from resnest_bench.training.context import Context

CPU = torch.device("cpu")
# Two threads on a busy machine wait for each other; one is as fast on networks this small.
torch.set_num_threads(1)
# Two jobs that are compared to the bit must not each measure which layout is faster.
PINNED = {"layout": "channels_last", "mode": "eager"}
CONFIG = {
    "study": "unit",
    "seeds": [0, 1],
    "variants": [
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
        {
            "name": "B",
            "family": "resnest",
            "layers": [1],
            "radix": 0,
            "width": 16,
            "stem": "deep",
            "stem_width": 16,
        },
    ],
    "datasets": {
        "low": {"source": "digits", "classes": [0, 1, 2]},
        "high": {"source": "digits", "classes": [3, 4]},
    },
    "recipes": {
        "r": {
            "epochs": 3,
            "batch_size": 64,
            "learning_rate": 0.05,
            "crop": "pad4",
            "flip": True,
            "mixup_alpha": 0.2,
            "label_smoothing": 0.1,
            "warmup_epochs": 1,
            **PINNED,
        },
        "tune": {
            "epochs": 1,
            "batch_size": 64,
            "learning_rate": 0.01,
            "init": "pretrained",
            "head_learning_rate_factor": 10,
            **PINNED,
        },
        "head": {
            "epochs": 1,
            "batch_size": 64,
            "learning_rate": 0.01,
            "init": "pretrained",
            "trainable": "head",
            **PINNED,
        },
    },
    "train": [{"dataset": "low", "recipe": "r"}],
    "finetune": [
        {
            "dataset": "high",
            "recipes": ["tune", "head", "from_scratch"],
            "weights": {"A": {"train": "low/r"}},
        }
    ],
}


@pytest.fixture
def config():
    return copy.deepcopy(CONFIG)


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("prepared")


@pytest.fixture
def make_study(data_folder):
    """A study from a config, with its data prepared in the session's folder."""

    def make(config):
        study = study_from_config({**config, "data_dir": str(data_folder)}, "test")
        for name in study.datasets:
            prepare(
                study.dataset(name), name, study.prepared(name), DataPaths(data_folder).downloads
            )
        return study

    return make


@pytest.fixture
def make_context(make_study, tmp_path):
    def make(config, dataset="low"):
        study = make_study(config)
        data = open_prepared(study.prepared(dataset))
        return Context(study, study.paths(tmp_path / "results"), data, CPU, describe(CPU))

    return make
