"""Recipes with few steps, and what would make them enough."""

import pytest

from resnest_bench.cli import plan
from resnest_bench.cli.steps import (
    describe_short_trainings,
    find_short_training,
)
from resnest_bench.specs import RecipeSpec
from support.records_factory import make_study


def recipe(**fields):
    return RecipeSpec(**{"epochs": 5, "batch_size": 128, "learning_rate": 0.1, **fields})


def count_steps(num, batch_size, epochs):
    """A last batch of one image joins the one before."""
    whole, rest = divmod(num, batch_size)
    return epochs * (whole + (rest > 1 or not whole))


def test_the_built_in_fine_tuning_makes_ten_steps_on_160_photos():
    short = find_short_training(160, recipe())
    # 2 steps an epoch; by batches of 8, 20 an epoch.
    assert (short.num_steps, short.epochs, short.batch_size) == (10, 50, 8)


@pytest.mark.parametrize("num", [2, 3, 17, 129, 160, 257, 1000, 2433])
@pytest.mark.parametrize("epochs", [1, 3, 5, 20, 99])
@pytest.mark.parametrize("batch_size", [2, 64, 128])
def test_each_remedy_reaches_a_hundred_and_the_next_one_does_not(num, epochs, batch_size):
    short = find_short_training(num, recipe(epochs=epochs, batch_size=batch_size))
    made = count_steps(num, batch_size, epochs)
    assert (short is None) == (made >= 100)
    if short is None:
        return
    assert short.num_steps == made
    assert count_steps(num, batch_size, short.epochs) >= 100
    assert count_steps(num, batch_size, short.epochs - 1) < 100
    largest = short.batch_size or 1
    assert short.batch_size is None or count_steps(num, largest, epochs) >= 100
    assert count_steps(num, largest + 1, epochs) < 100


def test_a_hundred_epochs_are_enough_whatever_the_data():
    assert find_short_training(2, recipe(epochs=100)) is None


def test_images_that_are_held_out_make_no_steps():
    assert find_short_training(2560, recipe()) is None
    assert find_short_training(2560, recipe(validation_fraction=0.5)).num_steps == 50


def test_a_data_set_whose_size_is_not_known_gets_no_warning():
    study = make_study()
    assert describe_short_trainings(study, {}) == []
    lines = describe_short_trainings(study, {"low": 1000})
    # The recipe is quick: 2 epochs of 8 steps. The fine-tunings are on the other data.
    assert len(lines) == 1
    assert all(text in lines[0] for text in ("quick", "low", "16 steps", "epochs: 13"))
    assert len(describe_short_trainings(study, {"low": 100_000, "high": 1000})) == 2


@pytest.mark.parametrize("num_train", [1000, 100_000])
def test_the_plan_says_it(monkeypatch, tmp_path, num_train):
    monkeypatch.setattr(
        plan, "_count_train_images", lambda study: dict.fromkeys(study.datasets, num_train)
    )
    text = plan.describe_plan(make_study(), tmp_path, plan.Resources("cpu"), cost=False)
    assert ("Warning: recipe quick" in text) == (num_train == 1000)
