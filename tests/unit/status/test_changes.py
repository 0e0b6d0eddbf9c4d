import copy

import pytest

from resnest_bench.paths import Job
from resnest_bench.specs import study_from_config
from resnest_bench.status.changes import digest_result, find_change, first_difference

CONFIG = {
    "study": "s",
    "variants": [{"name": "A", "family": "timm", "model": "resnet10t", "args": {"width": 2}}],
    "datasets": {"digits": {"source": "digits"}},
    "recipes": {"mine": {"epochs": 2, "learning_rate": 0.1, "cutout": 8}},
    "train": [{"dataset": "digits", "recipe": "mine"}],
}
JOB = Job("train", "digits", "mine", "A", 0)


@pytest.mark.parametrize(
    ("was", "now", "text"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 1}}, ""),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, "a.b was 1, is 2"),
        ({"a": 1}, {"a": True}, "a was 1, is true"),
        ({"a": [1]}, {"a": [1, 2]}, "a was [1], is [1, 2]"),
        ({}, {"a": None}, "a was absent, is null"),
        ({"x": "é"}, {}, 'x was "é", is absent'),
        ({"a": {"b": 1}}, {"a": None}, 'a was {"b": 1}, is null'),
    ],
)
def test_the_first_differing_leaf(was, now, text):
    assert first_difference(was, now) == text


@pytest.fixture
def study():
    return study_from_config(CONFIG, "config")


@pytest.fixture
def recorded(study):
    return copy.deepcopy(study.job_spec(JOB))


def change(study, recorded):
    return find_change(recorded, study.job_spec(JOB))


def test_its_own_spec_is_no_change(study, recorded):
    assert change(study, recorded) == ""


@pytest.mark.parametrize("key", ["layout", "nesterov", "crop", "validation_fraction"])
def test_a_key_that_is_newer_than_the_record_changes_nothing_at_its_default(study, recorded, key):
    del recorded["recipe"][key]
    assert change(study, recorded) == ""
    assert digest_result(recorded) == digest_result(study.job_spec(JOB))


@pytest.mark.parametrize("key", ["channels", "gate", "kernels", "attention"])
def test_a_resnest_of_before_its_newer_keys_is_the_same(key):
    network = {"name": "A", "family": "resnest", "layers": [1], "radix": 1, "stem": "small"}
    study = study_from_config({**CONFIG, "variants": [network]}, "config")
    recorded = copy.deepcopy(study.job_spec(JOB))
    del recorded["variant"][key]
    assert change(study, recorded) == ""
    assert digest_result(recorded) == digest_result(study.job_spec(JOB))
    recorded["variant"]["width"] = [64]
    assert change(study, recorded) == "", "a list of equal numbers"


def test_a_key_that_is_newer_than_the_record_counts_where_it_is_set(study, recorded):
    del recorded["recipe"]["cutout"]
    assert change(study, recorded) == "recipe.cutout was 0, is 8"


def test_a_changed_value_counts_also_where_it_is_the_default_now(study, recorded):
    recorded["recipe"]["momentum"] = 0.8
    assert change(study, recorded) == "recipe.momentum was 0.8, is 0.9"
    assert digest_result(recorded) != digest_result(study.job_spec(JOB))


def test_a_part_that_no_rule_of_today_allows_is_compared_as_it_is(study, recorded):
    recorded["recipe"]["channels_last"] = False
    assert change(study, recorded) == "recipe.channels_last was false, is absent"
    del recorded["recipe"]["learning_rate"]
    assert change(study, recorded) == "recipe.learning_rate was absent, is 0.1"


PHOTOS = {"source": "imagefolder", "path": "here", "image_size": 64, "label": "photos"}


@pytest.mark.parametrize(
    ("part", "key", "value", "text"),
    [
        ("variant", "name", "B", ""),
        ("dataset", "path", "there.zip", ""),
        ("dataset", "label", "My photos", ""),
        ("dataset", "checksum", "md5:00", ""),
        ("dataset", "broken", "skip", ""),
        ("dataset", "image_size", 32, "dataset.image_size was 32, is 64"),
        ("dataset", "std", [0.5, 0.5, 0.5], "dataset.std was"),
    ],
)
def test_names_labels_and_places_are_no_change(recorded, part, key, value, text):
    study = study_from_config({**CONFIG, "datasets": {"digits": PHOTOS}}, "config")
    recorded["dataset"] = dict(study.job_spec(JOB)["dataset"])
    recorded[part][key] = value
    assert change(study, recorded).startswith(text)
    assert bool(text) == bool(change(study, recorded))


def test_weights_are_known_by_their_digest_and_not_by_their_place():
    was = {"weights": {"hub": None, "file": "a.safetensors", "train": None}}
    moved = {"weights": {"hub": None, "file": "b.safetensors", "train": None}}
    hub = {"weights": {"hub": "resnet18.a1_in1k", "file": None, "train": None}}
    assert find_change(was, moved) == ""
    assert find_change(was, hub) == 'weights.hub was null, is "resnet18.a1_in1k"'
    assert find_change({"weights": None}, hub).startswith("weights was null")


def test_a_source_is_compared_as_a_spec_of_its_own(study, recorded):
    source = copy.deepcopy(recorded)
    source["variant"]["name"] = "old-name"
    assert find_change({"source": source}, {"source": recorded}) == ""
    source["recipe"]["epochs"] = 9
    assert (
        find_change({"source": source}, {"source": recorded}) == "source.recipe.epochs was 9, is 2"
    )
