"""Where a fine-tuning starts. Weights of the hub are a file that was fetched before: no job downloads."""

import pytest
import torch

from resnest_bench.errors import UserError
from resnest_bench.models import build_model
from resnest_bench.models.weights import file_sha256, save_weights
from resnest_bench.paths import DataPaths, Job, StudyPaths
from resnest_bench.specs import study_from_config
from resnest_bench.training.initial import build_initial, expected_stats

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
    model, seen = build_initial(study, JOB, StudyPaths(tmp_path), 2, 32)
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
        build_initial(study, JOB, StudyPaths(tmp_path), 2, 32)
    assert str(fetched) in str(seen.value)
    assert "resnest-bench weights --study STUDY --hub resnest50d.in1k" in str(seen.value)


def test_weights_of_rgb_start_a_network_for_gray_images(study, fetched, tmp_path):
    trained = build_model(study.variant("A"), 1000)
    save_weights(fetched, trained)
    model, seen = build_initial(study, JOB, StudyPaths(tmp_path), 2, 32, in_chans=1)
    assert seen.converted == ["conv1.0.weight"]
    summed = trained.conv1[0].weight.sum(1, keepdim=True)
    torch.testing.assert_close(model.conv1[0].weight, summed)
    mean, std = expected_stats(study, JOB, model, in_chans=1)
    assert mean == pytest.approx(((0.485 + 0.456 + 0.406) / 3,))
    assert std == pytest.approx(((0.229 + 0.224 + 0.225) / 3,))
    assert expected_stats(study, JOB, model, in_chans=4) is None


def test_a_start_from_scratch_needs_no_file(study, tmp_path):
    _, seen = build_initial(
        study, Job("finetune", "high", "from_scratch", "A", 0), StudyPaths(tmp_path), 2, 32
    )
    assert seen is None


def file_study(config, path, **more):
    config["finetune"][0]["weights"] = {"A": {"file": str(path), **more}}
    return study_from_config(config, "test")


@pytest.mark.parametrize("key", [None, "state_dict_ema"])
def test_what_was_taken_of_a_checkpoint_is_in_the_record(config, tmp_path, key):
    path = tmp_path / "checkpoint.pth.tar"
    torch.manual_seed(7)
    trained = build_model(file_study(config, path).variant("A"), 1000).state_dict()
    wrapped = {f"module.{name}": tensor for name, tensor in trained.items()}
    zeros = {name: torch.zeros_like(tensor) for name, tensor in trained.items()}
    torch.save({"state_dict": wrapped, "state_dict_ema": zeros}, path)
    study = file_study(config, path, **({"key": key} if key else {}))
    model, seen = build_initial(study, JOB, StudyPaths(tmp_path), 2, 32)
    assert seen.key == (key or "state_dict")
    assert seen.renamed == ({} if key else {"module.": len(trained)})
    assert seen.ignored == []
    weight = model.state_dict()["layer1.0.conv1.weight"]
    assert torch.equal(weight, (zeros if key else trained)["layer1.0.conv1.weight"])


@pytest.mark.parametrize("source", [{"hub": "resnest50d.in1k"}, {"train": "low/r"}])
def test_a_key_belongs_to_a_file(config, source):
    config["finetune"][0]["weights"] = {"A": {**source, "key": "state_dict_ema"}}
    with pytest.raises(UserError, match="key names an entry of a weights file"):
        study_from_config(config, "test")


def test_a_network_made_for_another_size_starts_at_the_datasets(config, tmp_path):
    vit = {"name": "V", "family": "timm", "model": "test_vit2"}
    config["variants"].append(vit)
    study = study_from_config(config, "test")
    model, _ = build_initial(study, Job("train", "low", "r", "V", 0), StudyPaths(tmp_path), 3, 32)
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 3)
