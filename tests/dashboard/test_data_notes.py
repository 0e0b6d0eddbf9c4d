"""Test images that are also training images are said above every page that shows accuracies."""

import json

import pytest


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
