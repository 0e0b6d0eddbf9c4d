"""What a record says of its data is read below every table of accuracies."""

import json

import pytest

from resnest_bench import records
from resnest_bench.export import write_page
from resnest_bench.frames.cache import load_frames
from resnest_bench.frames.data_notes import data_notes, describe_data
from resnest_bench.frames.rows import collect
from resnest_bench.paths import Job
from resnest_bench.records.observations import DatasetIdentity, ImageReading
from resnest_bench.report.tables import write_tables
from resnest_bench.specs import dump_study
from support import records_factory

COUNTS = {
    "test_exact": 3,
    "test_near": 9,
    "train_repeated": 1,
    "test_repeated": 0,
    "two_labels": 5,
}


def leak(study, paths, dataset="low", **changes):
    """Every record of a dataset counts copies among its 100 test images."""
    for job in study.jobs():
        if job.dataset == dataset:
            raw = json.loads(paths.record(job).read_text())
            raw["dataset"]["duplicates"] = {**COUNTS, **changes}
            paths.record(job).write_text(json.dumps(raw))


def study_that(leakage):
    datasets = records_factory.CONFIG["datasets"]
    return records_factory.make_study(
        datasets={**datasets, "low": {**datasets["low"], "leakage": leakage}}
    )


def identity(**counts):
    duplicates = {**COUNTS, **counts} if counts else None
    return DatasetIdentity(
        name="pets",
        label="Pets",
        fingerprint="f",
        num_train=300,
        num_validation=0,
        num_test=400,
        classes=["a", "b"],
        duplicates=duplicates,
    )


def test_shares_by_hand():
    note = describe_data(identity(test_near=9))["leakage_note"]
    for figure in ("12 of 400", "3 %", "3 exactly", "9 nearly", "3 points", "5 images"):
        assert figure in note
    assert "12" not in describe_data(identity(test_near=None))["leakage_note"]


def test_what_was_left_out_and_changed_is_said():
    reading = {
        "num_broken_images": 4,
        "num_misnamed_images": 0,
        "unused_folders": {"val": 70, "old": 2},
        "num_transparent_images": 6,
        "num_deep_images": 8,
        "white_value": 4095,
    }
    data = identity().model_copy(update={"reading": ImageReading(**reading)})
    note = describe_data(data)["data_note"]
    for figure in ("4 broken", "72 images in other", "6 transparent", "8 images of", "4095"):
        assert figure in note
    assert "another ending" not in note


@pytest.mark.parametrize(
    "data", [None, identity(), identity(test_exact=0, test_near=0, two_labels=0)]
)
def test_nothing_is_said_of_data_without_copies_or_unsearched(data):
    assert not any(describe_data(data).values())


def test_a_record_from_before_says_nothing(study, paths):
    """Its field is missing, and neutral."""
    job = study.jobs()[0]
    raw = json.loads(paths.record(job).read_text())
    del raw["dataset"]["duplicates"]
    paths.record(job).write_text(json.dumps(raw))
    assert records.read(paths.record(job), job).dataset.duplicates is None
    runs = collect(study, paths)
    assert set(runs["status"]) == {"ok"}
    assert data_notes(study, runs) == {}


def test_every_table_of_accuracies_says_it(study, paths):
    leak(study, paths)
    write_tables(study, paths)
    for name in ("ablation.md", "tradeoff.md", "ablation.tex", "pairs.md"):
        text = (paths.tables / name).read_text()
        assert "12 of 100" in text, name
        assert "5 images" in text, name
    assert "12 of 100" not in (paths.tables / "transfer.md").read_text()
    leak(study, paths, "high")
    write_tables(study, paths)
    assert "12 of 100" in (paths.tables / "transfer.md").read_text()


def test_the_page_says_it(study, paths, tmp_path):
    leak(study, paths)
    page = write_page(study, paths, tmp_path / "page.html").read_text()
    # With the data, below ablation and trade-off, and below the differences.
    assert page.count("12 of 100") >= 4


def test_claims_say_it(tmp_path):
    claim = {
        "name": "c",
        "claim": "A is better.",
        "test": {"kind": "greater", "metric": "accuracy", "a": ["A"], "b": ["B"]},
    }
    study = records_factory.make_study(claims=[claim])
    paths = study.paths(tmp_path)
    records_factory.write_study(study, paths)
    leak(study, paths)
    write_tables(study, paths)
    assert "12 of 100" in (paths.tables / "claims.md").read_text()


def test_allow_silences_it_and_makes_no_record_stale(paths, study):
    leak(study, paths)
    allowed, strict = study_that("allow"), study_that("error")
    for other in (allowed, strict):
        runs = collect(other, paths)
        assert set(runs["status"]) == {"ok"}
        assert runs["leakage_note"].str.contains("12 of 100").any()
    assert list(data_notes(strict, collect(strict, paths))) == ["low"]
    assert data_notes(allowed, collect(allowed, paths)) == {}
    write_tables(allowed, paths)
    assert "12 of 100" not in (paths.tables / "ablation.md").read_text()


def test_latencies_need_no_note(study, paths):
    job = Job("latency", "low", "fast", "A", 0)
    raw = json.loads(paths.record(job).read_text())
    raw["dataset"]["duplicates"] = COUNTS
    paths.record(job).write_text(json.dumps(raw))
    assert data_notes(study, collect(study, paths)) == {}


def test_kept_frames_know_it(study, paths):
    leak(study, paths)
    write_tables(study, paths)
    frames = load_frames(study, paths, {})
    assert data_notes(study, frames.runs) == data_notes(study, collect(study, paths))


def test_policies_are_in_the_study_and_not_in_what_decides_a_result():
    plain, allowed = records_factory.make_study(), study_that("allow")
    assert json.loads(dump_study(allowed))["datasets"]["low"]["leakage"] == "allow"
    assert plain.prepared("low") == allowed.prepared("low")
    assert [plain.job_spec(job) for job in plain.jobs()] == [
        allowed.job_spec(job) for job in allowed.jobs()
    ]
    assert plain.digest != allowed.digest


def test_a_made_split_and_imbalanced_classes_are_said():
    seen = identity().model_copy(
        update={
            "test_images_per_class": [300, 100],
            "reading": ImageReading(split={"test_fraction": 0.2, "seed": 4, "num_groups": 30}),
        }
    )
    notes = describe_data(seen)
    for words in ("20 %", "seed 4", "30 groups"):
        assert words in notes["data_note"]
    assert "always answering a is right in 75 %" in notes["imbalance_note"]


def test_classes_that_are_nearly_alike_need_no_word():
    seen = identity().model_copy(update={"test_images_per_class": [210, 190]})
    assert describe_data(seen)["imbalance_note"] == ""
