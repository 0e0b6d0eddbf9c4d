"""Whole jobs on real digits: resumed equals uninterrupted, seeds are paired, failures are records."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from resnest_bench import records
from resnest_bench.device.environment import describe
from resnest_bench.errors import UserError
from resnest_bench.models import build_model, split_parameters
from resnest_bench.paths import Job
from resnest_bench.records import read, unpack_bits
from resnest_bench.records.predictions import read_predictions
from resnest_bench.records.progress import read_progress
from resnest_bench.training import jobs as jobs_module
from resnest_bench.training import loop, step
from resnest_bench.training.checkpoints import Checkpoint
from resnest_bench.training.initial import build_initial, renew_head
from resnest_bench.training.jobs import evaluation_batch, run_job

CPU = torch.device("cpu")
JOB = Job("train", "low", "r", "A", 0)


def run_seed(context, job):
    return jobs_module.run_seed(context, job)


def without_times(record):
    """All that must be equal, whatever happened on the way."""
    train = record.train.model_dump()
    for epoch in train["epochs"]:
        for key in ("train_seconds", "evaluation_seconds", "images_per_second"):
            epoch.pop(key)
    train.pop("wall_seconds")
    train.pop("num_resumes")
    return json.dumps([train, record.spec, record.status])


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


def killed_at_epoch(monkeypatch, number):
    original = loop.train_epoch

    def train_epoch(*args, **kwargs):
        if args[3] == number:
            raise Killed
        return original(*args, **kwargs)

    monkeypatch.setattr(loop, "train_epoch", train_epoch)


@pytest.mark.parametrize("killed_in", [1, 2, 3])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(
    make_context, config, tmp_path, killed_in, data_folder
):
    whole = run_seed(make_context(config), JOB)
    context = make_context(config)
    context = type(context)(
        context.study,
        context.study.paths(tmp_path / "other"),
        context.data,
        CPU,
        context.environment,
    )
    with pytest.MonkeyPatch.context() as patch:
        killed_at_epoch(patch, killed_in)
        with pytest.raises(Killed):
            run_seed(context, JOB)
    torch.manual_seed(12345)
    resumed = run_seed(context, JOB)
    assert without_times(resumed) == without_times(whole)
    assert resumed.train.num_resumes == (1 if killed_in > 1 else 0)


@pytest.fixture
def one_thread():
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(1)


def test_a_resumed_run_keeps_the_threads_that_it_began_with(
    make_context, config, tmp_path, one_thread, caplog
):
    whole = run_seed(make_context(config), JOB)
    context = make_context(config)
    context = replace(context, paths=context.study.paths(tmp_path / "other"))
    with pytest.MonkeyPatch.context() as patch:
        killed_at_epoch(patch, 2)
        with pytest.raises(Killed):
            run_seed(context, JOB)
    # The run that goes on was given two cores.
    torch.set_num_threads(2)
    resumed = run_seed(context, JOB)
    assert without_times(resumed) == without_times(whole)
    assert resumed.train.execution.num_threads == 1
    assert resumed.environment.num_cpu_threads == 1
    assert "1 threads" in caplog.text


def test_another_seed_has_the_threads_of_the_first(make_context, config, one_thread):
    context = make_context(config)
    assert run_seed(context, JOB).environment.num_cpu_threads == 1
    torch.set_num_threads(2)
    other = run_seed(context, replace(JOB, seed=1))
    assert (other.train.execution.num_threads, other.environment.num_cpu_threads) == (1, 1)


def test_a_run_killed_before_its_record_ends_the_same(make_context, config, monkeypatch):
    context = make_context(config)
    monkeypatch.setattr(Checkpoint, "finish", lambda *_: (_ for _ in ()).throw(Killed))
    with pytest.raises(Killed):
        run_seed(context, JOB)
    monkeypatch.undo()
    resumed = run_seed(context, JOB)
    assert len(resumed.train.epochs) == 3
    assert resumed.train.num_resumes == 1


def test_a_finished_seed_is_not_trained_again(make_context, config, monkeypatch):
    context = make_context(config)
    first = run_seed(context, JOB)
    monkeypatch.setattr(jobs_module, "_train", lambda *_: pytest.fail("trained again"))
    assert run_seed(context, JOB) == first


@pytest.mark.parametrize("change", [("recipes", "r", "momentum"), ("variants", 0, "dropout")])
def test_another_spec_never_resumes_from_this_one(make_context, config, change):
    context = make_context(config)
    place = config[change[0]][change[1]]
    place[change[2]] = 0.5
    other = make_context(config)
    keys = {jobs_module.open_checkpoint(c, JOB).folder for c in (context, other)}
    assert len(keys) == 2


def test_a_running_seed_tells_how_far_it_is(make_context, config, monkeypatch):
    context = make_context(config)
    killed_at_epoch(monkeypatch, 3)
    with pytest.raises(Killed):
        run_seed(context, JOB)
    seen = read_progress(context.paths.progress(JOB), JOB)
    assert [epoch.epoch for epoch in seen.epochs] == [1, 2]
    assert seen.num_epochs == 3


def test_a_finished_job_tells_nothing_more(make_study, config, tmp_path):
    study = make_study(config)
    run_job(study, "train", "low", "r", "A", CPU, tmp_path)
    assert not list((study.paths(tmp_path).root / "progress").rglob("*.json"))


def test_the_record_agrees_with_itself(make_context, config):
    context = make_context(config)
    record = run_seed(context, JOB)
    correct = unpack_bits(record.train.test_correct, record.train.num_test)
    assert correct.mean() == pytest.approx(record.train.epochs[-1].test_accuracy, abs=1e-12)
    actual, predicted = (
        record.dataset.test_images_per_class,
        record.train.test_predictions_per_class,
    )
    assert len(actual) == len(predicted) == len(record.dataset.classes) == 3
    assert sum(actual) == sum(predicted) == record.train.num_test
    # Each wrong prediction is one too many of a class at most, and one too few of another.
    wrong = (~correct).sum()
    assert sum(abs(a - p) for a, p in zip(actual, predicted, strict=True)) <= 2 * wrong
    assert record.train.epochs[-1].train_accuracy > 0.6, "three digits are easy"
    assert [epoch.epoch for epoch in record.train.epochs] == [1, 2, 3]
    assert record.dataset.num_train + record.dataset.num_validation == 431
    assert record.environment == describe(CPU)
    check_predictions(context, record)


def check_predictions(context, record):
    """The file next to the record says what the record says; the workflow may lose it."""
    path = context.paths.predictions(JOB)
    found = read_predictions(path, record)
    assert found.labels_N.tolist() == context.data.test.labels.tolist()
    counts = np.bincount(found.predicted_N, minlength=3).tolist()
    assert counts == record.train.test_predictions_per_class
    loss = -found.label_log_probability_N.mean()
    assert loss == pytest.approx(record.train.epochs[-1].test_loss, rel=2e-3)
    path.unlink()
    run_seed(context, JOB)
    assert read_predictions(path, record) is not None, "it is kept with the finished record"


def test_variants_of_one_seed_see_the_same_batches(make_context, config, monkeypatch):
    config["variants"][0]["dropout"] = 0.0
    seen = {}
    for name in "AB":
        batches = seen.setdefault(name, [])
        original = step.compute_loss

        def spy(logits, target, *rest, batches=batches, original=original):
            batches.append(target.clone())
            return original(logits, target, *rest)

        monkeypatch.setattr(step, "compute_loss", spy)
        run_seed(make_context(config), Job("train", "low", "r", name, 1))
        monkeypatch.undo()
    assert len(seen["A"]) == len(seen["B"]) > 3
    assert all(torch.equal(a, b) for a, b in zip(seen["A"], seen["B"], strict=True))


def test_a_loss_that_is_not_finite_gives_a_record_of_the_failure(make_study, config, tmp_path):
    config["recipes"]["r"] |= {"learning_rate": 1e30, "warmup_epochs": 0}
    study = make_study(config)
    old = study.paths(tmp_path).predictions(JOB)
    old.parent.mkdir(parents=True)
    old.write_bytes(b"of the record before")
    done = run_job(study, "train", "low", "r", "A", CPU, tmp_path)
    assert [record.status for record in done] == ["failed", "failed"]
    assert not old.exists()
    saved = read(study.paths(tmp_path).record(JOB), JOB)
    assert saved.failure.reason.endswith("is not finite")
    assert saved.failure.epoch == 1
    assert saved.train is None


def test_validation_images_are_held_out_and_recorded(make_context, config):
    config["recipes"]["r"]["validation_fraction"] = 0.2
    record = run_seed(make_context(config), JOB)
    assert record.dataset.num_validation == pytest.approx(0.2 * 431, abs=3)
    assert all(epoch.validation_accuracy is not None for epoch in record.train.epochs)


def test_fine_tuning_starts_from_the_trained_weights(make_study, config, tmp_path):
    study = make_study(config)
    trained = run_job(study, "train", "low", "r", "A", CPU, tmp_path)
    paths = study.paths(tmp_path)
    tuned = run_job(study, "finetune", "high", "tune", "A", CPU, tmp_path)
    start = tuned[0].train.initial_weights
    assert start.sha256 == trained[0].train.final_weights_sha256
    model, _ = build_initial(study, Job("finetune", "high", "tune", "A", 0), paths, 2, 32)
    fresh = build_model(study.variant("A"), 2)
    assert model.fc.weight.shape == fresh.fc.weight.shape
    from safetensors.torch import load_file

    saved = load_file(paths.weights(JOB))
    assert torch.equal(model.layer1[0].conv1.weight, saved["layer1.0.conv1.weight"])
    assert model.fc.weight.shape != saved["fc.weight"].shape


@pytest.mark.parametrize(
    ("batch_size", "image_size", "expected"),
    [(32, 32, 64), (256, 32, 500), (128, 224, 79), (8, 224, 16), (128, 1000, 16)],
)
def test_photos_are_evaluated_in_smaller_batches(batch_size, image_size, expected):
    assert evaluation_batch(batch_size, image_size) == expected


def test_the_new_head_is_drawn_as_glorot_says(make_study, config):
    """Glorot: uniform in +-sqrt(6 / (fan_in + fan_out)), here 256 features and 2 classes."""
    model = build_model(make_study(config).variant("A"), 2)
    torch.manual_seed(3)
    renew_head(model)
    bound = (6 / (256 + 2)) ** 0.5
    assert model.fc.weight.detach().abs().max() <= bound
    assert float(model.fc.weight.detach().std()) == pytest.approx(bound / 3**0.5, rel=0.1)
    assert not model.fc.bias.any()


def test_head_only_leaves_the_backbone_as_it_was(make_study, config, tmp_path, monkeypatch):
    study = make_study(config)
    run_job(study, "train", "low", "r", "A", CPU, tmp_path)
    kept = {}

    def spy(step, *args):
        before = {name: value.clone() for name, value in step.model.state_dict().items()}
        result = loop.train_model(step, *args)
        kept["changed"] = {
            n for n, v in step.model.state_dict().items() if not torch.equal(v, before[n])
        }
        return result

    monkeypatch.setattr(jobs_module, "train_model", spy)
    record = run_job(study, "finetune", "high", "head", "A", CPU, tmp_path)[0]
    assert kept["changed"] == {"fc.weight", "fc.bias"}
    head = 2 * 256 + 2
    assert record.train.num_trainable_params == head < record.train.num_params


def test_all_layers_move_in_a_full_fine_tuning(make_study, config, tmp_path):
    study = make_study(config)
    run_job(study, "train", "low", "r", "A", CPU, tmp_path)
    record = run_job(study, "finetune", "high", "tune", "A", CPU, tmp_path)[0]
    assert record.train.num_trainable_params == record.train.num_params


def test_weights_that_were_swapped_are_refused(make_study, config, tmp_path):
    study = make_study(config)
    run_job(study, "train", "low", "r", "A", CPU, tmp_path)
    path = study.paths(tmp_path).weights(JOB)
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\0")
    with pytest.raises(UserError, match="must have SHA-256"):
        run_job(study, "finetune", "high", "tune", "A", CPU, tmp_path)


def test_a_failed_source_fails_its_fine_tuning_with_a_record(make_study, config, tmp_path):
    config["recipes"]["r"] |= {"learning_rate": 1e30, "warmup_epochs": 0}
    study = make_study(config)
    run_job(study, "train", "low", "r", "A", CPU, tmp_path)
    done = run_job(study, "finetune", "high", "tune", "A", CPU, tmp_path)
    assert "its source failed" in done[0].failure.reason


def test_a_job_that_the_study_does_not_ask_for_is_refused(make_study, config, tmp_path):
    with pytest.raises(UserError, match="has no job"):
        run_job(make_study(config), "train", "high", "r", "A", CPU, tmp_path)


def test_a_network_that_cannot_take_the_images_is_refused_in_one_line(make_study, config, tmp_path):
    vit = {"name": "A", "family": "timm", "model": "vit_tiny_patch16_224", "args": {"img_size": 64}}
    config["variants"][0] = vit
    with pytest.raises(UserError, match=r"args\.img_size"):
        run_job(make_study(config), "train", "low", "r", "A", CPU, tmp_path)


def test_a_layout_that_fails_in_mid_training_is_refused_in_one_line(
    make_study, config, tmp_path, monkeypatch
):
    prepare = step.prepared_network

    def prepare_contiguous_alone(model, execution):
        if execution.layout == "channels_last":
            raise RuntimeError("required rank 4 tensor")
        return prepare(model, execution)

    monkeypatch.setattr(step, "prepared_network", prepare_contiguous_alone)
    with pytest.raises(UserError, match=r"rank 4.*contiguous"):
        run_job(make_study(config), "train", "low", "r", "A", CPU, tmp_path)


def test_another_error_is_not_blamed_on_the_network(make_study, config, tmp_path, monkeypatch):
    def fails(*args, **options):
        raise RuntimeError("another reason")

    monkeypatch.setattr(jobs_module, "train_model", fails)
    with pytest.raises(RuntimeError, match="another reason"):
        run_job(make_study(config), "train", "low", "r", "A", CPU, tmp_path)


def test_tf32_on_a_cpu_is_refused(make_study, config, tmp_path):
    config["recipes"]["r"]["precision"] = "tf32"
    with pytest.raises(UserError, match="needs an NVIDIA GPU"):
        run_job(make_study(config), "train", "low", "r", "A", CPU, tmp_path)


def test_bf16_trains(make_context, config):
    config["recipes"]["r"] |= {"precision": "bf16", "epochs": 2}
    record = run_seed(make_context(config), JOB)
    assert record.status == "ok"
    assert records.Record.model_validate(record.model_dump()) == record


def test_parameter_groups_follow_the_recipe(make_study, config):
    from resnest_bench.specs import RecipeSpec
    from resnest_bench.training.optimizer import build_optimizer, set_learning_rate

    model = build_model(make_study(config).variant("A"), 3)
    recipe = RecipeSpec(
        epochs=1,
        learning_rate=0.1,
        weight_decay=0.01,
        decay_norm_and_bias=False,
        head_learning_rate_factor=10,
    )
    optimizer = build_optimizer(model, recipe)
    set_learning_rate(optimizer, 0.5)
    _, head = split_parameters(model)
    seen = {id(p): g for g in optimizer.param_groups for p in g["params"]}
    assert len(seen) == len(list(model.parameters()))
    for parameter in model.parameters():
        group = seen[id(parameter)]
        in_head = any(parameter is other for other in head)
        assert group["lr"] == (5.0 if in_head else 0.5)
        assert group["weight_decay"] == (0.01 if parameter.ndim > 1 else 0.0)


def test_a_training_that_ends_at_chance_says_so_in_the_log(make_study, config, tmp_path, caplog):
    config["recipes"]["r"] |= {"epochs": 1, "learning_rate": 1e-9, "warmup_epochs": 0}
    run_job(make_study(config), "train", "low", "r", "A", CPU, tmp_path)
    said = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert any("always answering" in text or "every test image" in text for text in said)
