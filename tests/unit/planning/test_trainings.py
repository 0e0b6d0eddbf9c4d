"""The price of a training: sums by hand, and that the job's own steps are timed."""

import pytest
import torch

from resnest_bench.planning import trainings
from resnest_bench.planning.clock import Clock
from resnest_bench.planning.datasets import DatasetFacts
from resnest_bench.planning.trainings import (
    TrainingSpeed,
    choose_batch,
    measure_batches,
    measure_training,
)
from resnest_bench.specs import RecipeSpec
from support.records_factory import make_study

DATA = DatasetFacts(100, 40, 32, 10, (32, 32))
SPEED = TrainingSpeed(train_image=0.5, test_image=0.1, save=2.0, build=3.0, probe=9.0, num_params=7)


def recipe(**fields):
    return RecipeSpec(**{"epochs": 4, "batch_size": 16, "learning_rate": 0.1, **fields})


def test_a_record_is_its_epochs_evaluations_and_checkpoints():
    assert SPEED.seconds_per_record(recipe(), DATA) == pytest.approx(3 + 4 * (50 + 4 + 2))


def test_held_out_images_are_evaluated_and_not_trained_on():
    found = SPEED.seconds_per_record(recipe(validation_fraction=0.2), DATA)
    assert found == pytest.approx(3 + 4 * (80 * 0.5 + (40 + 20) * 0.1 + 2))


def test_the_whole_batch_is_timed_where_that_is_quick():
    assert choose_batch(16, 0.01, 64) == 64
    # 16 images take 0.25 s: a step of four times as many would take a second.
    assert choose_batch(16, trainings.STEP_SECONDS, 64) == 16
    assert choose_batch(16, trainings.STEP_SECONDS / 2, 64) == 32
    assert choose_batch(4, 30.0, 128) == 4


@pytest.mark.parametrize("trainable", ["all", "head"])
def test_a_frozen_network_is_timed_frozen(monkeypatch, tmp_path, trainable):
    seen = []
    original = trainings.probe_steps

    def probe_steps(model, *args):
        seen.append([p.requires_grad for p in model.parameters()])
        return original(model, *args)

    monkeypatch.setattr(trainings, "probe_steps", probe_steps)
    asked = recipe(init="pretrained", trainable=trainable)
    clock = Clock(torch.device("cpu"))
    found = measure_training(make_study().variant("A"), asked, DATA, clock, tmp_path)
    assert seen
    assert all(all(flags) == (trainable == "all") and any(flags) for flags in seen)
    assert min(found.train_image, found.test_image, found.save, found.build, found.probe) > 0
    # The checkpoint that was timed is gone.
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("crop", ["none", "random_resized"])
def test_batches_of_photos_that_are_no_squares_are_made_as_the_job_makes_them(crop):
    data = DatasetFacts(8, 8, 16, 2, (16, 24), uniform=False)
    assert measure_batches(recipe(crop=crop, flip=True), data, Clock(torch.device("cpu"))) > 0
