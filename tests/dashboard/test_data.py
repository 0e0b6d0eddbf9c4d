"""One reader for all pages: results are kept until a record changes, and then only that one is read."""

import importlib

import pytest

from resnest_bench import records
from resnest_bench.frames import cache
from resnest_bench.paths import Job
from resnest_bench.results import StudyResults
from support.records_factory import make_record

TRAINED = Job("train", "low", "quick", "A", 0)


@pytest.fixture
def load(results, study):
    data = importlib.import_module("data")
    folder = study.paths(results).root
    return lambda: data.load("synthetic", data.read_study(folder), folder)


@pytest.fixture
def read_jobs(monkeypatch):
    """The jobs whose records are read for frames, as they come."""
    seen = []
    outcomes = cache.outcomes

    def watched(*args, jobs, **more):
        seen.extend(jobs)
        return outcomes(*args, jobs=jobs, **more)

    monkeypatch.setattr(cache, "outcomes", watched)
    return seen


def change(study, results):
    record = make_record(study, TRAINED, accuracy=0.25)
    records.write(study.paths(results).record(TRAINED), record)


def test_what_has_not_changed_is_neither_read_nor_computed_again(load, read_jobs):
    first = load()
    table, claims = first.results.tradeoff, first.results.claim_tables
    read_jobs.clear()
    again = load()
    assert again.signature == first.signature
    assert again.results.tradeoff is table
    assert again.results.claim_tables is claims
    assert read_jobs == []


def test_of_a_changed_study_only_the_changed_record_is_read(load, read_jobs, results, study):
    first = load()
    read_jobs.clear()
    change(study, results)
    again = load()
    assert read_jobs == [TRAINED]
    assert again.signature != first.signature
    assert again.mark != first.mark
    place = study.jobs().index(TRAINED)
    assert again.runs["test_accuracy"].iloc[place] == 0.25


def test_derived_tables_follow_the_records(load, results, study):
    data = importlib.import_module("data")
    first = load()
    place = first.results.experiments[0]
    names = first.study.variant_names
    before = data.differences(first, place, names, None)
    assert data.differences(load(), place, names, None) is before
    change(study, results)
    after = data.differences(load(), place, names, None)
    assert not after.accuracies.equals(before.accuracies)


def test_what_is_shown_is_what_the_command_line_computes(load, results, study):
    ours, theirs = load().results, StudyResults(study, study.paths(results))
    assert ours.tables["tradeoff"].equals(theirs.tables["tradeoff"])
    assert ours.claims().equals(theirs.claims())
    assert ours.differences().equals(theirs.differences())


def test_variants_that_an_experiment_lacks_give_no_pair_but_a_reason(load):
    data = importlib.import_module("data")
    one = load()
    found = data.differences(one, one.results.experiments[0], (), None)
    assert found.pairs.empty
    assert found.notes
