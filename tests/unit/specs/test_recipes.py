"""Rules of recipes: what they refuse, and what a short form stands for."""

import pytest
from pydantic import ValidationError

from resnest_bench.errors import UserError
from resnest_bench.specs import RECIPES, RecipeSpec, study_from_config
from resnest_bench.specs.optimizers import OPTIMIZERS


def recipe(**changes):
    return RecipeSpec.model_validate({"epochs": 10, "learning_rate": 0.1, **changes})


@pytest.mark.parametrize("name", ["sgd", *OPTIMIZERS])
def test_a_name_stands_for_an_optimizer_at_its_defaults(name):
    short = recipe(optimizer=name)
    assert short == recipe(optimizer={"name": name})
    # What a record and study.json hold is read again.
    assert RecipeSpec.model_validate(short.model_dump(mode="json")) == short


def test_a_recipe_of_before_is_one_of_sgd():
    assert recipe().optimizer.name == "sgd"
    assert recipe() == recipe(optimizer="sgd")


def test_an_optimizer_has_its_own_keys():
    assert recipe(optimizer={"name": "adamw", "betas": [0.9, 0.95]}).optimizer.betas == (0.9, 0.95)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"optimizer": "adamw", "momentum": 0.5}, "momentum is SGD's"),
        ({"optimizer": "lion", "nesterov": True}, "nesterov is SGD's"),
        ({"optimizer": "lamb", "mode": "cudagraph"}, "mode cudagraph"),
        ({"schedule": "step"}, "step_epochs"),
        ({"step_epochs": [3]}, "step_epochs"),
        ({"schedule": "step", "step_epochs": [5, 3]}, "must rise"),
        ({"schedule": "step", "step_epochs": [3, 10]}, "less than epochs"),
        ({"schedule": "one_cycle"}, "warmup_epochs"),
        ({"min_learning_rate": 0.2}, "at most learning_rate"),
        ({"batch_size": 8, "accumulation_steps": 5}, "two images"),
        ({"ema_warmup": True}, "ema_decay"),
        ({"lookahead_steps": 5, "lookahead_alpha": 0}, "never leave"),
        ({"random_augment": True, "auto_augment": "trivial"}, "set one of them"),
        ({"vary": []}, "at least one part"),
        ({"vary": ["init", "init"]}, "twice"),
    ],
)
def test_what_does_not_fit_together_is_refused(changes, says):
    with pytest.raises(ValidationError, match=says):
        recipe(**changes)


CONFIG = {
    "study": "s",
    "seeds": [0],
    "variants": [{"name": "A", "family": "timm", "model": "resnet18"}],
    "datasets": {"digits": {"source": "digits"}},
    "train": [{"dataset": "digits", "recipe": "r"}],
}


@pytest.mark.parametrize(
    ("optimizer", "says"),
    [
        (
            {"name": "adamw", "beta": [0.9, 0.9]},
            r"recipes.r.optimizer.beta: .*did you mean 'betas'",
        ),
        (
            {"name": "adamm"},
            r"recipes.r.optimizer: name must be one of .*'adamw'.* 'adamm'",
        ),
        ("adamm", r"recipes.r.optimizer: name must be one of .*'adamw'.* 'adamm'"),
        ({"betas": [0.9, 0.9]}, r"recipes.r.optimizer: name is missing"),
        ({"name": "muon", "ns_steps": 0}, r"recipes.r.optimizer.ns_steps: .* 0"),
        (3, r"recipes.r.optimizer: must be a mapping of keys.* 3"),
    ],
)
def test_a_wrong_optimizer_is_told_with_its_place_and_the_rule(optimizer, says):
    recipes = {"r": {"epochs": 2, "learning_rate": 0.1, "optimizer": optimizer}}
    with pytest.raises(UserError, match=says):
        study_from_config({**CONFIG, "recipes": recipes}, "config.yaml")


@pytest.mark.parametrize("name", RECIPES)
def test_a_built_in_recipe_is_read_as_it_is_written(name):
    assert RecipeSpec.model_validate(RECIPES[name].model_dump(mode="json")) == RECIPES[name]


def test_what_does_not_vary_follows_seed_0():
    fixed = recipe(vary=["data"])
    assert [fixed.part_seed(part, 7) for part in ("init", "order", "augmentation", "data")] == [
        0,
        0,
        0,
        7,
    ]


@pytest.mark.parametrize(("epochs", "every"), [(1, 1), (7, 1), (7, 2), (6, 3), (5, 100)])
def test_the_number_of_evaluations_is_that_of_the_epochs_that_are(epochs, every):
    asked = recipe(epochs=epochs, evaluate_every=every)
    evaluated = [epoch for epoch in range(1, epochs + 1) if asked.is_evaluated(epoch)]
    assert len(evaluated) == asked.num_evaluations
    assert evaluated[-1] == epochs
