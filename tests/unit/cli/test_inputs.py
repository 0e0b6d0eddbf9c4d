"""Data and weights: one by name, or all of the study."""

import pytest
from huggingface_hub import constants

from resnest_bench.cli import inputs
from resnest_bench.errors import UserError
from resnest_bench.models import hub
from resnest_bench.specs import study_from_config
from support.hub import address_of_nobody

NAMES = ["test_resnet.r160_in1k", "test_vit.r160_in1k"]


@pytest.fixture
def study(tmp_path):
    variants = [
        {"name": name.partition(".")[0], "family": "timm", "model": name.partition(".")[0]}
        for name in NAMES
    ]
    config = {
        "study": "inputs",
        "seeds": [0],
        "data_dir": str(tmp_path / "data"),
        "variants": variants,
        "datasets": {
            "low": {"source": "digits", "classes": [0, 1]},
            "high": {"source": "digits", "classes": [2, 3]},
        },
        "finetune": [
            {
                "dataset": "high",
                "weights": {name.partition(".")[0]: {"hub": name} for name in NAMES},
            }
        ],
    }
    return study_from_config(config, "config.yaml")


@pytest.mark.parametrize(
    ("names", "prepared"), [([], {"low", "high"}), (["low"], {"low"}), (["high"], {"high"})]
)
def test_data_without_a_name_are_all_of_the_study(study, names, prepared):
    assert len(list(inputs.prepare_datasets(study, names))) >= len(prepared)
    there = {name for name in study.datasets if (study.prepared(name) / "meta.json").exists()}
    assert there == prepared


def test_a_dataset_that_the_study_lacks(study):
    with pytest.raises(UserError, match=r"'lower'.*'low'"):
        list(inputs.prepare_datasets(study, ["lower"]))


@pytest.mark.parametrize(("asked", "fetched"), [(None, NAMES[1:]), (NAMES[0], NAMES[:1])])
def test_weights_without_a_name_are_those_that_the_study_lacks(study, monkeypatch, asked, fetched):
    seen = []
    monkeypatch.setattr(hub, "fetch_weights", lambda name, path: seen.append(name) or "0" * 64)
    there = inputs.list_hub_weights(study)[NAMES[0]]
    there.parent.mkdir(parents=True)
    there.touch()
    texts = list(inputs.fetch_named_weights(study, asked))
    assert seen == fetched
    assert all(str(there.parent) in text for text in texts)


def test_missing_weights_are_said_before_the_run(study, monkeypatch):
    monkeypatch.setattr(hub, "find_hub_problem", lambda: None)
    assert all(name in inputs.describe_missing_weights(study) for name in NAMES)
    nobody = address_of_nobody()
    monkeypatch.setattr(constants, "ENDPOINT", nobody)
    monkeypatch.setattr(hub, "find_hub_problem", lambda: "no route")
    text = inputs.describe_missing_weights(study)
    folder = inputs.list_hub_weights(study)[NAMES[0]].parent
    for part in (*NAMES, nobody, "no route", "file:", "resnest-bench weights", str(folder)):
        assert part in text


def test_weights_that_are_there_ask_nobody(study, monkeypatch):
    monkeypatch.setattr(hub, "find_hub_problem", lambda: pytest.fail("the hub was asked"))
    for path in inputs.list_hub_weights(study).values():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert inputs.describe_missing_weights(study) == ""
