"""Every page on whole, missing and broken results."""

import json

import pytest

from support import records_factory

PAGES = ["tradeoff", "ablation", "transfer", "curves", "latency", "runs"]


def charts(app):
    return [json.loads(element.proto.spec) for element in app.get("vega_lite_chart")]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_the_study(open_page, study, page):
    app = open_page(page)
    assert not app.error
    assert app.header
    assert charts(app) or page == "runs"
    assert app.dataframe or page == "curves"


@pytest.mark.parametrize("page", ["tradeoff", "runs"])
def test_without_results_it_says_what_to_do(open_page, page):
    app = open_page(page)
    assert "make demo" in app.info[0].value
    assert not app.header


@pytest.mark.parametrize("page", PAGES)
def test_without_records_every_page_stands(open_page, results, study, page):
    for file in results.glob("synthetic/records/**/*.json"):
        file.unlink()
    app = open_page(page)
    assert not app.error
    if page not in ("runs",):
        assert "no data yet" in json.dumps(charts(app))


def test_a_broken_study_is_named_and_the_others_go_on(open_page, results, study):
    broken = results / "broken" / "study.json"
    broken.parent.mkdir()
    broken.write_text("{")
    app = open_page()
    assert str(broken) in app.error[0].value
    assert app.selectbox(key="study").options == ["synthetic"]
    assert charts(app)


def test_a_broken_record_is_named_and_the_others_go_on(open_page, results, study):
    file = results / "synthetic/records/train/low/quick/A/seed-1.json"
    file.write_text("{")
    app = open_page("runs")
    assert str(file) in app.error[0].value
    assert app.dataframe[0].value["status"].value_counts().to_dict() == {"ok": 23, "invalid": 1}


def test_a_rewritten_record_is_seen(open_page, results, study):
    app = open_page("runs")
    (results / "synthetic/records/train/low/quick/A/seed-1.json").unlink()
    app.run()
    assert set(app.dataframe[0].value["status"]) == {"ok", "missing"}


def test_reference_studies_are_offered_and_the_url_chooses(open_page, results, study):
    other = records_factory.make_study(study="other", finetune=[], tables={})
    records_factory.write_study(other, other.paths(results / "reference" / "a-machine"))
    app = open_page("ablation", study="reference/a-machine/other")
    assert app.selectbox(key="study").options == ["synthetic", "reference/a-machine/other"]
    assert app.selectbox(key="study").value == "reference/a-machine/other"
    assert "no ablation" in app.info[0].value


def test_pages_keep_the_chosen_study(open_page, results, study):
    other = records_factory.make_study(study="other")
    records_factory.write_study(other, other.paths(results))
    app = open_page()
    app.selectbox(key="study").set_value("synthetic").run()
    app.switch_page("app_pages/runs.py").run()
    assert app.selectbox(key="study").value == "synthetic"


def test_filters(open_page, study):
    app = open_page("runs")
    app.multiselect[0].set_value(["ok"]).run()
    assert len(app.dataframe[0].value) == 24
    app = open_page("curves")
    app.selectbox[0].set_value("test_loss")
    app.multiselect[0].set_value(["A"]).run()
    assert "nats" in json.dumps(charts(app))
    app = open_page("latency")
    app.multiselect[0].set_value([8]).run()
    assert "Batch 8" in json.dumps(charts(app))
    assert "Batch 1," not in json.dumps(charts(app))


def test_the_command_line_names_the_folder(results, monkeypatch):
    import data

    monkeypatch.setattr("sys.argv", ["app.py", "--results", "elsewhere"])
    assert str(data.results_folder()) == "elsewhere"
