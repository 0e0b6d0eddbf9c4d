"""Every page in every half-way state of a study, record by record, alone and next to another study."""

import random
import shutil

import pytest
from streamlit.testing.v1 import AppTest

from resnest_bench import records
from resnest_bench.paths import Job
from resnest_bench.specs import dump_study
from support import records_factory
from support.claims_study import SOME_CLAIMS
from support.records_factory import make_cell, make_failed_record, make_record

PAGES = [
    pytest.param("answer", id="answer"),
    *(
        pytest.param(page, id=page, marks=pytest.mark.slow)
        for page in (
            "tradeoff",
            "differences",
            "compare",
            "classes",
            "claims",
            "ablation",
            "training",
            "latency",
            "devices",
            "transfer",
            "search",
            "paper",
            "coverage",
        )
    ),
]
TRAINED = Job("train", "low", "quick", "A", 0)
TIMED, OTHER_TIMED = Job("latency", "low", "fast", "A", 0), Job("latency", "low", "fast", "B", 0)
TUNED = Job("finetune", "high", "tune", "A", 0)
OLD = {"code_digest": "old"}
# What the study has of each job: the fields of its record, or what is in its place.
STATES = {
    "nothing": {},
    "one training": {TRAINED: {}},
    "one latency": {TIMED: {}},
    "one fine-tuning": {TUNED: {}},
    "one network trained, another timed": {TRAINED: {}, OTHER_TIMED: {}},
    "one network trained and timed": {TRAINED: {}, TIMED: {}},
    "timed without its main cell": {TRAINED: {}, TIMED: {"cells": [make_cell(8, [9.0, 9.1])]}},
    "timed in no cell": {TRAINED: {}, TIMED: {"cells": []}},
    "failed": {TRAINED: "failed", TIMED: "failed", TUNED: "failed"},
    "failed, another timed": {TRAINED: "failed", OTHER_TIMED: {}},
    "invalid": {TRAINED: "invalid", TIMED: "invalid", TUNED: "invalid"},
    "stale": {TRAINED: OLD, TIMED: OLD, TUNED: OLD},
    "one stale, the rest missing": {TIMED: OLD},
}


def write(study, results, state):
    paths = study.paths(results)
    for job, what in state.items():
        if what == "invalid":
            paths.record(job).parent.mkdir(parents=True, exist_ok=True)
            paths.record(job).write_text("{")
        elif what == "failed":
            record = make_failed_record(job, study.job_spec(job), "it diverged", 2)
            records.write(paths.record(job), record)
        else:
            records.write(paths.record(job), make_record(study, job, **what))


def assert_stands(app: AppTest, state: str) -> None:
    assert not app.exception, (state, [error.value for error in app.exception])
    assert app.header, state


def turn_to(app: AppTest, page: str) -> AppTest:
    if page != "answer":
        app.switch_page(f"app_pages/{page}.py").run()
    return app


@pytest.mark.parametrize("page", PAGES)
def test_a_page_stands_in_every_state(open_page, results, study, page):
    app = open_page(page)
    for name, state in STATES.items():
        shutil.rmtree(study.paths(results).records, ignore_errors=True)
        write(study, results, state)
        assert_stands(app.run(), name)


@pytest.mark.slow
def test_a_study_that_fills_record_by_record(open_page, results, study):
    """The landing page after each record, in a fixed order that mixes the kinds."""
    shutil.rmtree(study.paths(results).records)
    app, jobs = open_page("answer"), list(study.jobs())
    random.Random(1).shuffle(jobs)
    for count, job in enumerate(jobs, start=1):
        write(study, results, {job: {}})
        assert_stands(app.run(), f"{count} records")


@pytest.fixture
def tuning(results):
    """A study that fine-tunes and does nothing else."""
    study = records_factory.make_study(
        study="tuning",
        train=[],
        latency=[],
        tables={},
        protocols={},
        finetune=[
            {
                "dataset": "high",
                "recipes": ["fresh"],
                "weights": {"A": {"file": "/nonexistent/weights.safetensors"}},
            }
        ],
    )
    records_factory.write_study(study, study.paths(results))
    return study


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("order", [("synthetic", "tuning"), ("tuning", "synthetic")])
def test_studies_of_different_kinds_next_to_each_other(open_page, study, tuning, page, order):
    app = open_page(page, study=order[0], beside=order[1])
    assert_stands(app, page)
    assert app.selectbox(key="beside").value == order[1]


def test_a_study_of_fine_tunings_alone_shows_its_accuracies(open_page, tuning):
    app = open_page()
    shown = app.dataframe[0].value.set_index("variant")
    # Seeds 0, 1 and 2 from scratch have 40, 41 and 42 %.
    assert shown.loc["A", "y"] == pytest.approx(41)
    for page in ("differences", "ablation", "latency", "transfer", "paper"):
        assert_stands(turn_to(app, page), page)
        assert not app.error


@pytest.mark.slow
@pytest.mark.parametrize("state", ["nothing", "one latency", "failed", "stale"])
def test_a_whole_study_next_to_one_that_has_begun(open_page, results, study, state):
    begun = records_factory.make_study(study="begun", claims=SOME_CLAIMS)
    begun.paths(results).root.mkdir(parents=True)
    begun.paths(results).study.write_text(dump_study(begun))
    write(begun, results, STATES[state])
    app = open_page("answer", study="synthetic", beside="begun")
    for page in (value.values[0] for value in PAGES):
        assert_stands(turn_to(app, page), f"{state}, {page}")
