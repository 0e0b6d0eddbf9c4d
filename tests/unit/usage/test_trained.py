"""Which trained network is meant, and what keeps it from being used."""

import copy
import json

import numpy as np
import pytest
import torch

from resnest_bench.data import open_prepared
from resnest_bench.errors import UserError
from resnest_bench.paths import Experiment, Job
from resnest_bench.records import unpack_bits
from resnest_bench.specs import study_from_config
from resnest_bench.usage.trained import (
    choose_seeds,
    find_experiment,
    find_experiments,
    parse_seeds,
)
from support.trained_study import CONFIG

PETS = Experiment("train", "pets", "quick")
JOB = Job("train", "pets", "quick", "A", 0)


def test_a_loaded_network_gives_the_answers_of_its_training(load, study):
    network = load()
    test = open_prepared(study.prepared("pets")).test
    # The middle 16 of 20 pixels.
    crops = np.stack([test.image(i)[2:18, 2:18] for i in range(len(test))])
    answers = network.probabilities(crops, torch.device("cpu")).argmax(axis=1)
    train = network.record.train
    expected = unpack_bits(train.test_correct, train.num_test)
    assert ((answers == test.labels) == expected).all()


def test_files_are_read_as_the_test_images_were(load, here, study):
    network = load()
    test = open_prepared(study.prepared("pets")).test
    files = sorted((here / "images" / "test" / "cat").iterdir())
    for index in (0, 7):
        assert (network.preprocessing.read(files[index]) == test.image(index)[2:18, 2:18]).all()


def test_the_first_seed_that_finished_is_taken(study):
    (first,) = choose_seeds(study, study.paths(), PETS, "A", None)
    assert first.job == JOB
    every = choose_seeds(study, study.paths(), PETS, "A", "all")
    assert [one.job.seed for one in every] == [0, 1, 2]
    with pytest.raises(UserError, match="must be one of 0, 1, 2"):
        choose_seeds(study, study.paths(), PETS, "A", (7,))


@pytest.mark.parametrize("text", ["a", "1,1", "", "-1"])
def test_seeds_that_are_none_are_refused(text):
    with pytest.raises(UserError, match="--seeds takes numbers"):
        parse_seeds(text)


def test_several_trainings_have_to_be_told_apart():
    config = copy.deepcopy(CONFIG)
    config["train"].append({"dataset": "pets", "recipe": "lr025", "variants": ["A"]})
    study = study_from_config(config, "c")
    with pytest.raises(UserError, match=r"--recipe quick.*--recipe lr025"):
        find_experiment(study, "A")
    assert find_experiment(study, "A", recipe="quick") == PETS
    assert find_experiments(study, ["B"], None, None) == (PETS, ["B"])
    assert find_experiments(study, [], None, "quick") == (PETS, ["A", "B"])
    with pytest.raises(UserError, match="must be trained on the data"):
        find_experiment(study, "A", dataset="elsewhere")


def edit_record(folder, change):
    file = folder / "results/photos/records/train/pets/quick/A/seed-0.json"
    record = json.loads(file.read_text())
    change(record)
    file.write_text(json.dumps(record))


def test_an_old_training_without_weights_says_what_to_do(own_copy, run):
    edit_record(own_copy, lambda record: record["train"].update(final_weights_sha256=None))
    said = str(run("predict", "photos", "A", "images/test").exception)
    assert "kept none" in said
    assert "delete results/photos/records/train/pets/quick/A/seed-0.json" in said


def test_weights_that_are_gone_or_others_are_refused(own_copy, run):
    file = own_copy / "results/photos/weights/pets/quick/A/seed-0.safetensors"
    file.write_bytes(file.read_bytes()[:-4] + b"\0\0\0\0")
    assert "must have SHA-256" in str(run("predict", "photos", "A", "images/test").exception)
    file.unlink()
    assert "must be at" in str(run("predict", "photos", "A", "images/test").exception)


def test_a_seed_that_was_not_trained_is_refused(own_copy, run):
    (own_copy / "results/photos/records/train/pets/quick/A/seed-0.json").unlink()
    named = run("predict", "photos", "A", "images/test", "--seed", "0")
    assert "is missing" in str(named.exception)
    # The next one that finished is the first then.
    found = run("predict", "photos", "A", "images/test", "--json")
    assert json.loads(found.stdout)["seeds"] == [1]
