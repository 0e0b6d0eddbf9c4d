"""The landing page: its sentence, budget and leaderboard, alone and in every half-way state."""

import json
import shutil

import pytest

from resnest_bench import records
from resnest_bench.paths import Job
from support import records_factory
from support.records_factory import GPU, make_record


def component(app):
    """What the page sends to the slider with the sentences; None without one."""
    for element in app.get("bidi_component"):
        if element.proto.component_name == "answer_budget":
            return json.loads(element.proto.json)
    return None


def sentence(app):
    sent = component(app)
    return " ".join(sent["lines"][sent["step"]])


def texts(app):
    return " ".join(e.value for kind in ("markdown", "caption", "info") for e in app.get(kind))


def write(study, results, jobs, **fields):
    for job in jobs:
        records.write(study.paths(results).record(job), make_record(study, job, **fields))


@pytest.fixture
def empty(results, study):
    shutil.rmtree(study.paths(results).records)
    return study


def train(variant, seed=0):
    return Job("train", "low", "quick", variant, seed)


def time(variant):
    return Job("latency", "low", "fast", variant, 0)


def test_it_answers_within_the_budget_of_the_address(open_page, study):
    app = open_page("answer", limit="latency_p50_ms:2.5")
    sent = component(app)
    assert sent["texts"][sent["step"]] == "2.5 ms"
    assert "within 2.5 ms" in sent["lines"][sent["step"]][0] or "Only" in sentence(app)
    assert app.query_params["limit"] in (["latency_p50_ms:2.5"], "latency_p50_ms:2.5")
    (chart,) = app.get("vega_lite_chart")
    assert sent["element"] in chart.proto.spec
    rows = app.dataframe[0].value
    assert rows["standing"].iloc[0] == "best"
    assert set(rows["variant"]) == {"A", "B", "T"}


def test_without_a_limit_the_slider_is_at_its_end(open_page, study):
    app = open_page("answer")
    sent = component(app)
    assert sent["step"] == len(sent["texts"]) - 1
    assert sent["texts"][-1] == "no limit"
    assert "limit" not in app.query_params


def test_another_axis_has_a_budget_of_its_own(open_page, study):
    app = open_page("answer", x="num_params")
    assert "parameters" in component(app)["label"].lower()
    assert "x" in app.query_params


def test_a_bent_budget_is_none(open_page, study):
    for limit in ("nan", "latency_p50_ms:", "latency_p50_ms:-3", "1e999"):
        app = open_page("answer", limit=limit)
        sent = component(app)
        assert 0 <= sent["step"] < len(sent["texts"])


def test_no_record(open_page, empty):
    app = open_page("answer")
    assert component(app) is None
    assert "no result yet" in texts(app)


def test_one_seed_is_no_test(open_page, results, empty):
    write(empty, results, [train("A"), train("B"), time("A"), time("B")])
    app = open_page("answer")
    assert "one seed" in sentence(app)
    assert set(app.dataframe[0].value["standing"]) == {"best", "not tested", "no result"}


def test_no_latency_has_a_budget_of_something_else(open_page, results, empty):
    write(empty, results, [train(name, seed) for name in "AB" for seed in range(3)])
    app = open_page("answer")
    assert "latency" not in component(app)["label"]
    assert "%" in sentence(app)


def test_no_accuracy_says_which_is_fastest(open_page, results, empty):
    write(empty, results, [time("A"), time("B")])
    app = open_page("answer")
    assert component(app) is None
    assert "has a test accuracy yet" in texts(app)
    assert len(app.dataframe[0].value) == 2


def test_a_network_without_a_latency_is_named(open_page, results, empty):
    write(empty, results, [*(train(n, s) for n in "AB" for s in range(3)), time("A")])
    assert "Left out: B" in texts(open_page("answer"))


def test_stale_records_are_named(open_page, results, empty):
    jobs = [*(train(n, s) for n in "AB" for s in range(3)), time("A"), time("B")]
    write(empty, results, jobs, code_digest="old")
    app = open_page("answer")
    assert "From stale records" in texts(app)
    assert set(app.dataframe[0].value["status"]) != {"ok"}


def test_one_answer_is_about_one_device(open_page, results, study):
    other = Job("latency", "low", "fast", "A", 0)
    records.write(study.paths(results).record(other), make_record(study, other, device=GPU))
    app = open_page("answer")
    box = next(one for one in app.selectbox if one.key == "place")
    assert len(box.options) == 2
    app = open_page("answer", place=box.options[1])
    rows = app.dataframe[0].value
    assert rows.loc[rows["x"].notna(), "variant"].tolist() == ["A"]


def test_two_studies_have_an_answer_each(open_page, results, study):
    other = records_factory.make_study(study="other")
    records_factory.write_study(other, other.paths(results))
    app = open_page("answer", study="synthetic", beside="other")
    sent = [e for e in app.get("bidi_component") if e.proto.component_name == "answer_budget"]
    ids = {json.loads(element.proto.json)["element"] for element in sent}
    assert len(ids) == 2


def test_an_old_link_to_the_trade_off_leads_there(open_page, study):
    app = open_page("answer", y="num_params", x="num_macs")
    assert [header.value for header in app.header] == ["Trade-off"]
    assert next(box for box in app.selectbox if box.key == "y").value == "num_params"


def test_it_says_data_device_n_and_commit(open_page, study):
    footer = next(c.value for c in open_page("answer").caption if "commit" in c.value)
    for part in ("Synthetic low", "3 seeds each", "Testium", "c0ffee"):
        assert part in footer.replace("\\", "")
