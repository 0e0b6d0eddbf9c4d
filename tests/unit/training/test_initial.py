"""Where a fine-tuning starts. Weights of the hub are a file that was fetched before: no job downloads."""

import dataclasses

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from resnest_bench import records
from resnest_bench.data.batches import BatchLoader
from resnest_bench.errors import UserError
from resnest_bench.models import build_model
from resnest_bench.models.weights import file_sha256, save_weights
from resnest_bench.paths import DataPaths, Job, StudyPaths
from resnest_bench.specs import study_from_config
from resnest_bench.training import initial, loop
from resnest_bench.training.initial import build_initial, expected_stats, initialise_from_data
from resnest_bench.training.jobs import run_seed

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


AIRBENCH = {"name": "N", "family": "airbench", "widths": [8, 8, 8]}
FAST = {
    "epochs": 2,
    "batch_size": 64,
    "learning_rate": 0.5,
    "norm_bias_learning_rate_factor": 8,
    "crop": "reflect2",
    "flip": "alternating",
    "evaluate_every": 2,
    "layout": "channels_last",
    "mode": "eager",
}


@pytest.fixture
def fast_context(make_context, config):
    config["variants"].append(AIRBENCH)
    config["recipes"]["fast_here"] = FAST
    config["train"].append({"dataset": "low", "recipe": "fast_here", "variants": ["N"]})
    config["finetune"][0]["weights"] = {"N": {"train": "low/fast_here"}}
    return make_context(config)


def initial_stem(context, seed, indices):
    study = context.study
    job = Job("train", "low", "fast_here", "N", seed)
    model, _ = build_initial(study, job, context.paths, 3, 32)
    loader = BatchLoader(context.data.train, context.data.meta, None, torch.device("cpu"))
    random = model.stem.weight.clone()
    seen = initialise_from_data(model, loader, indices, seed)
    assert not torch.equal(model.stem.weight, random)
    return model.stem.weight, seen


def test_a_stem_is_computed_from_training_images_chosen_by_the_seed(fast_context, monkeypatch):
    monkeypatch.setattr(initial, "INIT_IMAGES", 50)
    num = len(fast_context.data.train)
    first, seen = initial_stem(fast_context, 0, np.arange(num))
    assert seen.model_dump() == {"layers": ["stem"], "num_images": 50}
    assert torch.equal(first, initial_stem(fast_context, 0, np.arange(num))[0])
    assert not torch.equal(first, initial_stem(fast_context, 1, np.arange(num))[0])
    _, seen = initial_stem(fast_context, 0, np.arange(20))
    assert seen.num_images == 20


def test_a_network_without_such_a_layer_is_left_alone(fast_context):
    study = fast_context.study
    model, _ = build_initial(study, Job("train", "low", "r", "A", 0), fast_context.paths, 3, 32)
    before = [tensor.clone() for tensor in model.state_dict().values()]
    loader = BatchLoader(fast_context.data.train, fast_context.data.meta, None, torch.device("cpu"))
    assert initialise_from_data(model, loader, np.arange(9), 0) is None
    assert all(map(torch.equal, before, model.state_dict().values()))


def test_a_fast_training_resumes_to_the_same_bits_and_its_stem_is_fine_tuned_from(
    fast_context, monkeypatch
):
    """One test for all of it, since each needs the training."""
    job = Job("train", "low", "fast_here", "N", 0)
    whole = run_seed(fast_context, job)
    assert whole.train.data_init.num_images == len(fast_context.data.train)
    assert [epoch.test_accuracy is None for epoch in whole.train.epochs] == [True, False]
    records.write(fast_context.paths.record(job), whole)
    kept = load_file(fast_context.paths.weights(job))
    stem, _ = initial_stem(fast_context, 0, np.arange(len(fast_context.data.train)))
    assert torch.equal(kept["stem.weight"], stem)

    tuned, _ = build_initial(
        fast_context.study, Job("finetune", "high", "tune", "N", 0), fast_context.paths, 2, 32
    )
    assert torch.equal(tuned.stem.weight, stem)

    paths = fast_context.study.paths(fast_context.paths.root.parent / "other")
    other = dataclasses.replace(fast_context, paths=paths)
    original = loop.train_epoch

    def killed(*arguments):
        if arguments[3] == 2:
            raise KeyboardInterrupt
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "train_epoch", killed)
        with pytest.raises(KeyboardInterrupt):
            run_seed(other, job)
    resumed = run_seed(other, job)
    assert resumed.train.num_resumes == 1
    assert resumed.train.final_weights_sha256 == whole.train.final_weights_sha256


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
