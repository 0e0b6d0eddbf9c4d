"""What a search may say: each mistake is named with the rule, what came, and what to do."""

import pytest

from resnest_bench.errors import UserError
from resnest_bench.specs import dump_study, study_from_config
from resnest_bench.specs.search import RangeSpec
from resnest_bench.specs.search_space import apply_settings, expand_space
from support.search_study import HELD, NSGA2, SEARCH, search_study

RATE = {"recipe.learning_rate": [0.1, 0.2]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recipe": "paper20"}, "never on test images, but recipe 'paper20' holds none out"),
        ({"objectives": ["test_accuracy"]}, "never selects on test images"),
        ({"objectives": ["accuracy"]}, "never selects on test images"),
        ({"objectives": ["params"]}, "must be validation_accuracy or latency, but got 'params'"),
        ({"budget": {"trainings": 2}}, "one round takes 3 trainings.*budget is 2.*raise trainings"),
        ({"budget": {}}, "either trainings or minutes, but got neither"),
        ({"budget": {"trainings": 9, "minutes": 9}}, "either trainings or minutes, but got both"),
        ({"dataset": "lows"}, "did you mean 'low'"),
        ({"recipe": "helt"}, "did you mean 'held'"),
        ({"families": [{"variant": "C"}]}, r"families\[0\].variant: unknown name 'C'"),
        ({"families": [{"variant": "A"}] * 2}, "family 'A' is listed twice"),
        ({"families": []}, "families: "),
        ({"space": {}}, "needs a space of one key at least"),
        ({"space": {"learning_rate": [1.0]}}, "begin with variant. or recipe.*got 'learning_rate'"),
        ({"space": {"recipe.learning_rat": [1.0]}}, "did you mean 'learning_rate'"),
        ({"space": {"recipe.epochs": [1, 2]}}, "recipe.epochs can't be searched.*halving"),
        ({"space": {"recipe.validation_fraction": [0.1, 0.2]}}, "the same validation images"),
        ({"space": {"recipe.crop": ["pad5"]}}, "no value of recipe.crop is valid"),
        ({"space": {"recipe.flip": [True, True]}}, "lists a value twice"),
        (
            {"space": {"recipe.learning_rate": {"low": 1.0, "high": 0.1}}},
            "low must be less than high",
        ),
        ({"space": {"recipe.weight_decay": {"low": 0, "high": 1.0, "log": True}}}, "low above 0"),
        (
            {"space": {"recipe.momentum": {"low": 0.1, "high": 0.9, "step": 0}}},
            "step must be above 0",
        ),
        (
            {"space": {"recipe.momentum": {"per_stage": [0.1]}}},
            "per_stage is for keys of a resnest",
        ),
        ({"sampler": "grid"}, "grid needs a list or a step.*recipe.learning_rate"),
        ({"sampler": "nsga2"}, "nsga2 is for two objectives"),
        ({**NSGA2, "sampler": "tpe"}, "sampler tpe has one objective"),
        ({**NSGA2, "latency": None}, "go together"),
        ({**NSGA2, "space": RATE}, "needs a key of the variant"),
        ({**NSGA2, "latency": {"protocol": "slow"}}, "latency.protocol: unknown name 'slow'"),
        (
            {**NSGA2, "latency": {"protocol": "fast", "batch_size": 3}},
            "one of protocol 'fast'.*got 3",
        ),
        ({"halving": {"epochs": [4]}}, "must be less than the 4 epochs of recipe 'held'"),
        ({"halving": {"epochs": [2, 1]}}, "must rise"),
        ({"seed": 1}, "confirmed by new seeds, but 1 is one of the study's"),
        ({"name": "held"}, "the study has a recipe 'held'"),
    ],
)
def test_a_mistake_is_named(changes, message):
    with pytest.raises(UserError, match=message):
        search_study(changes)


def test_a_list_of_searches_is_refused():
    with pytest.raises(UserError, match="a study has one search, but got a list of 2"):
        _with_search([SEARCH, SEARCH])


def _with_search(search):
    from support.records_factory import make_study

    return make_study(train=[], finetune=[], recipes={"held": HELD}, search=search)


def test_adaptive_seeds_and_a_search_are_two_studies():
    claim = {
        "name": "better",
        "claim": "B is better.",
        "test": {"kind": "greater", "metric": "accuracy", "a": ["B"], "b": ["A"]},
    }
    train = [{"dataset": "low", "recipe": "held"}]
    with pytest.raises(UserError, match="has fixed seeds, but this one is adaptive"):
        search_study(adaptive={"max_seeds": 9}, claims=[claim], train=train)


def test_a_network_of_the_search_needs_its_name():
    variants = [
        {"name": name, "family": "resnest", "layers": [1], "radix": 0, "stem": "small"}
        for name in ("A", "B", "A-tuned")
    ]
    with pytest.raises(UserError, match=r"there is a variant 'A-tuned'.*another name"):
        search_study(variants=variants)


def test_the_study_is_written_and_read_whole():
    import json

    study = search_study()
    assert study_from_config(json.loads(dump_study(study)), "copy") == study


def test_a_study_without_a_search_keeps_its_specs():
    from support.records_factory import make_study

    study = make_study()
    assert study.search is None
    assert "search" not in study.job_spec(study.jobs()[0])


def test_settings_reach_nested_keys_and_stages():
    study = search_study()
    settings = {
        "variant.radix[0]": 2,
        "recipe.optimizer": {"name": "adamw"},
        "recipe.weight_decay": 0.1,
    }
    variant, recipe = apply_settings(study.variant("A"), study.recipe("held"), settings)
    assert variant.radix == 2
    assert recipe.optimizer.name == "adamw"
    assert recipe.epochs == HELD["epochs"]


def test_choices_per_stage_are_one_dimension_each():
    config = {"name": "C", "family": "resnest", "layers": [1, 2], "radix": 0, "stem": "small"}
    study = search_study(
        {"families": [{"variant": "C", "space": {"variant.radix": {"per_stage": [0, 2]}}}]},
        variants=[config],
    )
    space = study.search.space_for("C")
    assert list(expand_space(space, study.variant("C")))[-2:] == [
        "variant.radix[0]",
        "variant.radix[1]",
    ]


def test_a_range_of_whole_numbers_has_whole_values():
    assert RangeSpec(low=1, high=6, step=2).list_values() == [1, 3, 5]
    assert RangeSpec(low=1, high=3).list_values() == [1, 2, 3]
    assert RangeSpec(low=0.0, high=0.3, step=0.1).list_values() == pytest.approx([0, 0.1, 0.2, 0.3])
    assert RangeSpec(low=0.0, high=1.0).list_values() is None


def test_halving_costs_its_short_trainings_and_those_that_follow():
    search = search_study({"halving": {"epochs": [1, 2], "reduction": 2}}).search
    # Four of one epoch, two of two, one of four: 4/4 + 4/4 + 1.
    assert search.cohort_cost(4, 4) == 3
