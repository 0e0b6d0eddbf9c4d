"""The address: stable keys, links of older versions, and values that stay with what they are about."""

import pytest

from support import records_factory
from support.pages import HOSTILE


def named(app, kind, key):
    return next(widget for widget in app.get(kind) if widget.key == key)


def value_in_address(app, name):
    value = app.query_params.get(name)
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def budget(app):
    return next(box for box in app.number_input if box.key.startswith("limit/"))


@pytest.mark.parametrize("link", ["num_macs", "MACs of one image (million)"])
def test_an_axis_is_addressed_by_its_key_and_older_labels_still_work(open_page, study, link):
    app = open_page(x=link)
    assert named(app, "selectbox", "x").value == "num_macs"
    assert value_in_address(app, "x") == "num_macs"


@pytest.mark.parametrize("link", ["finetune/high/tune", "finetune, high, tune"])
def test_so_is_an_experiment(open_page, study, link):
    app = open_page("differences", training=link)
    assert named(app, "selectbox", "training").value == ("finetune", "high", "tune")
    assert value_in_address(app, "training") == "finetune/high/tune"


def test_a_changed_widget_is_in_the_address_and_a_default_is_not(open_page, study):
    app = open_page()
    assert value_in_address(app, "study") == "synthetic"
    assert "x" not in app.query_params
    named(app, "selectbox", "x").select("num_params").run()
    assert value_in_address(app, "x") == "num_params"
    named(app, "selectbox", "x").select("latency_p50_ms").run()
    assert "x" not in app.query_params
    app.toggle(key="log").set_value(False).run()
    assert value_in_address(app, "log") == "false"


def test_a_budget_belongs_to_its_axis(open_page, study):
    app = open_page(limit="3.1")
    assert budget(app).value == 3.1
    assert value_in_address(app, "limit") == "latency_p50_ms:3.1"
    named(app, "selectbox", "x").select("num_params").run()
    assert budget(app).value is None
    assert "limit" not in app.query_params
    assert budget(open_page(limit="num_params:2")).value is None
    assert budget(open_page(limit="num_params:2", x="num_params")).value == 2.0


def test_a_budget_belongs_to_its_study(open_page, results, study):
    other = records_factory.make_study(study="other")
    records_factory.write_study(other, other.paths(results))
    app = open_page(study="synthetic", limit="latency_p50_ms:3.1", memory="500")
    app.selectbox(key="study").select("other").run()
    assert {box.value for box in app.number_input} == {None}
    assert not {"limit", "memory"} & set(app.query_params)


@pytest.mark.parametrize("limit", ["1e999", "nan", "", "latency_p50_ms:", ":", "a:b:c", HOSTILE[0]])
def test_a_budget_that_is_no_number_is_none(open_page, study, limit):
    app = open_page(limit=limit)
    assert budget(app).value is None
    assert "limit" not in app.query_params


def test_another_record_can_be_chosen_than_the_one_in_the_address(open_page, study):
    app = open_page("coverage", record="train/low/quick/A/1")
    box = named(app, "selectbox", "record")
    assert box.value == "train/low/quick/A/1"
    box.select("train/low/quick/B/2").run()
    assert named(app, "selectbox", "record").value == "train/low/quick/B/2"
    assert value_in_address(app, "record") == "train/low/quick/B/2"


def test_a_search_changes_the_rows_and_not_the_record(open_page, study):
    app = open_page("coverage", record="train/low/quick/A/1")
    app.text_input(key="search").set_value("tune").run()
    assert named(app, "selectbox", "record").value == "train/low/quick/A/1"
    assert value_in_address(app, "record") == "train/low/quick/A/1"
    assert value_in_address(app, "search") == "tune"
