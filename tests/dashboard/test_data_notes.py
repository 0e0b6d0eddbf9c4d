"""Test images that are also training images are said above every page that shows accuracies."""

import json

import pytest

from resnest_bench import records


@pytest.fixture
def leaking(results, study):
    paths = study.paths(results)
    for job in study.jobs():
        raw = json.loads(paths.record(job).read_text())
        raw["dataset"]["duplicates"] = {
            "test_exact": 3,
            "test_near": 9,
            "train_repeated": 1,
            "test_repeated": 0,
            "two_labels": 0,
        }
        paths.record(job).write_text(json.dumps(raw))
    return study


def said(app):
    return [caption.value for caption in app.caption if "12 of 100" in caption.value]


@pytest.mark.parametrize("page", ["tradeoff", "ablation", "latency"])
def test_the_page_says_it_where_it_shows_accuracies(open_page, leaking, page):
    app = open_page(page)
    assert any(text.startswith(":material/warning:") for text in said(app)) == (page != "latency")


def test_nothing_is_said_without_copies(open_page, study):
    assert not said(open_page())


def test_imbalanced_classes_are_said_too(open_page, results, study):
    paths = study.paths(results)
    for job in study.jobs():
        raw = json.loads(paths.record(job).read_text())
        raw["dataset"]["test_images_per_class"] = [80, 10, 10]
        paths.record(job).write_text(json.dumps(raw))
    app = open_page("tradeoff")
    assert any("is right in 80 %" in caption.value for caption in app.caption)


def test_a_record_shows_the_images_of_each_class(results, study):
    from provenance import list_facts

    job = study.jobs()[0]
    record = records.read(study.paths(results).record(job), job)
    counts = {"train_images_per_class": [1, 2, 3], "test_images_per_class": [4, 5, 6]}
    seen = record.dataset.model_copy(update=counts)
    facts = list_facts(record.model_copy(update={"dataset": seen}))
    (classes,) = facts.loc[facts["fact"].eq("classes"), "value"]
    assert "(3 train, 6 test)" in classes
