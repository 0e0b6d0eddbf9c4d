"""Where a fine-tuning starts. Weights of the hub are a file that was fetched before: no job downloads."""

import pytest
import torch

from resnest_bench.errors import UserError
from resnest_bench.models import build_model
from resnest_bench.models.weights import file_sha256, save_weights
from resnest_bench.paths import DataPaths, Job, StudyPaths
from resnest_bench.specs import study_from_config
from resnest_bench.training.initial import build_initial

JOB = Job("finetune", "high", "tune", "A", 0)


@pytest.fixture
def study(config, tmp_path, monkeypatch):
    def no_hub(*arguments, **options):
        raise AssertionError("a job asks the hub")

    monkeypatch.setattr("resnest_bench.models.weights.load_hub_weights", no_hub)
    config["finetune"][0]["weights"] = {"A": {"hub": "resnest50d.in1k"}}
    return study_from_config({**config, "data_dir": str(tmp_path / "data")}, "test")


@pytest.fixture
def fetched(tmp_path):
    return DataPaths(tmp_path / "data").hub_weights("resnest50d.in1k")


def test_hub_weights_are_read_from_the_file_and_known_by_its_digest(study, fetched, tmp_path):
    torch.manual_seed(7)
    trained = build_model(study.variant("A"), 1000)
    save_weights(fetched, trained)
    model, seen = build_initial(study, JOB, StudyPaths(tmp_path), 2)
    assert seen.source == "hub resnest50d.in1k"
    assert seen.sha256 == file_sha256(fetched)
    # timm's model card of resnest50d.in1k says apache-2.0.
    assert seen.license == "apache-2.0"
    wanted, came = trained.state_dict(), model.state_dict()
    backbone = [name for name in came if not name.startswith("fc.")]
    assert len(backbone) > 10
    assert all(torch.equal(came[name], wanted[name]) for name in backbone)


def test_weights_that_were_not_fetched_are_an_error_that_names_the_command(
    study, fetched, tmp_path
):
    with pytest.raises(UserError) as seen:
        build_initial(study, JOB, StudyPaths(tmp_path), 2)
    assert str(fetched) in str(seen.value)
    assert "resnest-bench weights --study STUDY --hub resnest50d.in1k" in str(seen.value)


def test_a_start_from_scratch_needs_no_file(study, tmp_path):
    _, seen = build_initial(
        study, Job("finetune", "high", "from_scratch", "A", 0), StudyPaths(tmp_path), 2
    )
    assert seen is None
