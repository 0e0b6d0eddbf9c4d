"""What is said of trainings that exist, and of those that don't."""

import dataclasses
import json

import pytest

from resnest_bench.cli.todo import describe_to_do, find_renamed, list_to_do, read_outcomes
from support.records_factory import make_study, write_study

RETRAINED = "Nothing will be retrained"


@pytest.fixture
def study():
    return make_study()


@pytest.fixture
def paths(study, tmp_path):
    paths = study.paths(tmp_path / "results")
    write_study(study, paths)
    return paths


def test_nothing_is_retrained_where_something_was_trained(study, paths):
    paths.record(study.jobs()[0]).unlink()
    assert RETRAINED in describe_to_do(read_outcomes(study, paths), {})


def test_a_study_without_trainings_has_none_to_keep(study, paths):
    for job in study.jobs():
        if job.kind != "latency":
            paths.record(job).unlink()
    said = describe_to_do(read_outcomes(study, paths), {})
    assert RETRAINED not in said


def test_a_renamed_variant_is_found_before_its_data_are_prepared_here(study, paths):
    """Its data has no fingerprint then, as after an edit of the dataset's path."""
    old = next(job for job in study.jobs() if job.kind == "train")
    raw = study.model_dump(mode="json")
    text = json.dumps(raw).replace(json.dumps(old.variant), '"renamed"')
    renamed_study = type(study).model_validate(json.loads(text))
    outcomes = read_outcomes(renamed_study, paths)
    renamed = find_renamed(renamed_study, paths, outcomes)
    new = dataclasses.replace(old, variant="renamed")
    assert renamed[new] == old
    assert new not in list_to_do(outcomes, renamed)
