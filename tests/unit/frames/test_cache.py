import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from resnest_bench import records
from resnest_bench.digests import code_digest
from resnest_bench.errors import UserError
from resnest_bench.frames.cache import (
    frames_key,
    load_frames,
    read_frames,
    scan_records,
    write_frames,
)
from resnest_bench.frames.files import parquet_bytes
from resnest_bench.frames.rows import build_cells, build_epochs, build_runs
from resnest_bench.paths import Job, StudyPaths
from resnest_bench.report.tables import write_tables
from resnest_bench.status.outcomes import outcomes, unlisted_records
from support.records_factory import (
    FINGERPRINT,
    make_failed_record,
    make_record,
    make_study,
    with_predictions,
)

TRAIN = Job("train", "low", "quick", "A", 1)
LATENCY = Job("latency", "low", "fast", "B", 0)
TUNED = [
    Job("finetune", "high", r, v, s) for r in ("tune", "fresh") for v in "AB" for s in range(3)
]


class Reader:
    """`records.read` that notes what it was asked for."""

    def __init__(self):
        self.jobs = []

    def __call__(self, path, job):
        self.jobs.append(job)
        return records.read(path, job)


def assert_as_read_anew(frames, study, paths, fingerprints=None):
    found = outcomes(study, paths, fingerprints)
    for name, make in {"runs": build_runs, "cells": build_cells, "epochs": build_epochs}.items():
        pd.testing.assert_frame_equal(getattr(frames, name), make(found))
    assert frames.unlisted == unlisted_records(study, paths)


def find_row(frames, job):
    rows = frames.runs.set_index(["kind", "dataset", "recipe", "variant", "seed"])
    return rows.loc[(job.kind, job.dataset, job.recipe, job.variant, job.seed)]


@pytest.fixture(params=["previous", "stored"])
def reload(request, study, paths):
    """Load all records once; the function loads again, with them in memory or on disk."""
    before = load_frames(study, paths, {})
    if request.param == "stored":
        write_frames(paths, before)

    def again(study=study, paths=paths, fingerprints=None, read=records.read):
        previous = before if request.param == "previous" else None
        return load_frames(study, paths, fingerprints or {}, previous, read)

    return again


def test_without_a_store_every_record_is_read(study, paths):
    frames = load_frames(study, paths, {}, read=(read := Reader()))
    assert read.jobs == study.jobs()
    assert_as_read_anew(frames, study, paths)
    assert not paths.frames.exists()


def test_of_no_record_at_all(study, tmp_path):
    paths = study.paths(tmp_path)
    frames = load_frames(study, paths, {})
    assert set(frames.runs["status"]) == {"missing"}
    assert (frames.stamps, len(frames.epochs)) == ({}, 0)
    write_frames(paths, frames)
    assert_as_read_anew(load_frames(study, paths, {}), study, paths)


def test_what_is_unchanged_is_given_back_without_a_record(study, paths):
    before = load_frames(study, paths, {})
    assert load_frames(study, paths, {}, before, read=None) is before
    write_frames(paths, before)
    after = load_frames(study, paths, {}, read=None)
    assert_as_read_anew(after, study, paths)
    assert (after.key, after.stamps, after.labels) == (before.key, before.stamps, before.labels)
    size = paths.record(TRAIN).stat().st_size
    assert after.stamps["records/train/low/quick/A/seed-1.json"][1] == size


def change(study, paths):
    records.write(paths.record(TRAIN), make_record(study, TRAIN, accuracy=0.25))


def keep_predictions(study, paths):
    """A record of the study with a file of predictions next to it."""
    record = make_record(study, TRAIN, accuracy=0.25)
    record = with_predictions(record, paths.record(TRAIN), 0.7, np.arange(60) % 3)
    records.write(paths.record(TRAIN), record)


def test_a_record_is_read_again_once_its_predictions_come_or_go(reload, study, paths, tmp_path):
    keep_predictions(study, paths)
    before = reload()
    row = find_row(before, TRAIN)
    assert 0 < row["balanced_accuracy"] <= 1
    assert (row["status"], row["remark"]) == ("ok", "")
    kept = paths.predictions(TRAIN).rename(tmp_path / "kept.npz")
    gone = load_frames(study, paths, {}, before, read=(read := Reader()))
    assert read.jobs == [TRAIN]
    row = find_row(gone, TRAIN)
    assert row["status"] == "ok", "its accuracy still counts"
    assert row["test_accuracy"] > 0
    assert pd.isna(row["balanced_accuracy"])
    assert "seed-1.npz is missing" in row["remark"]
    kept.rename(paths.predictions(TRAIN))
    assert_as_read_anew(load_frames(study, paths, {}, gone), study, paths)


def change_a_latency(study, paths):
    records.write(paths.record(LATENCY), make_record(study, LATENCY, cells=[]))


def fail(study, paths):
    failed = make_failed_record(TRAIN, study.job_spec(TRAIN), "out of memory")
    records.write(paths.record(TRAIN), failed)


@pytest.mark.parametrize(
    ("job", "act", "status", "accuracy"),
    [
        (TRAIN, change, "ok", 0.25),
        (TRAIN, lambda study, paths: paths.record(TRAIN).unlink(), "missing", None),
        (TRAIN, lambda study, paths: paths.record(TRAIN).write_text("{"), "invalid", None),
        (TRAIN, fail, "failed", None),
        (LATENCY, change_a_latency, "ok", None),
        (LATENCY, lambda study, paths: paths.record(LATENCY).unlink(), "missing", None),
    ],
    ids=["changed", "vanished", "invalid", "failed", "latency", "latency vanished"],
)
def test_only_what_changed_is_read(reload, study, paths, job, act, status, accuracy):
    act(study, paths)
    frames = reload(read=(read := Reader()))
    assert read.jobs == ([] if status == "missing" else [job])
    row = find_row(frames, job)
    assert row["status"] == status
    assert row["test_accuracy"] == accuracy or (accuracy is None and pd.isna(row["test_accuracy"]))
    assert_as_read_anew(frames, study, paths)


def test_a_new_record_is_read(study, paths):
    text = paths.record(TRAIN).read_text()
    paths.record(TRAIN).unlink()
    write_frames(paths, load_frames(study, paths, {}))
    paths.record(TRAIN).write_text(text)
    frames = load_frames(study, paths, {}, read=(read := Reader()))
    assert read.jobs == [TRAIN]
    assert find_row(frames, TRAIN)["test_accuracy"] == 0.61
    assert_as_read_anew(frames, study, paths)


def test_many_changes_at_once_keep_the_order(reload, study, paths):
    for job in study.jobs()[::2]:
        paths.record(job).unlink()
    frames = reload()
    assert list(frames.runs["status"]) == ["missing", "ok"] * 12
    assert_as_read_anew(frames, study, paths)


def test_another_study_reads_all(reload, study, paths):
    edited = make_study(seeds=[0, 1])
    frames = reload(edited, read=(read := Reader()))
    assert read.jobs == edited.jobs()
    assert len(frames.unlisted) == 7
    assert_as_read_anew(frames, edited, paths)


def test_other_data_read_all(reload, study, paths):
    now = {"low": "e" * 64, "high": FINGERPRINT}
    frames = reload(fingerprints=now)
    assert find_row(frames, TRAIN)["reason"] == "data changed"
    assert_as_read_anew(frames, study, paths, now)


@pytest.mark.parametrize("kind", ["train", "finetune", "latency", "tables"])
def test_other_code_reads_all(reload, study, paths, monkeypatch, kind):
    for name in ("status.outcomes", "frames.cache"):
        module = sys.modules[f"resnest_bench.{name}"]
        monkeypatch.setattr(module, "code_digest", lambda k: "new" if k == kind else code_digest(k))
    frames = reload(read=(read := Reader()))
    assert read.jobs == study.jobs()
    stale = frames.runs.loc[frames.runs["reason"] == "code changed since", "kind"]
    assert set(stale) == {kind} - {"tables"}
    assert_as_read_anew(frames, study, paths)


def test_other_rules_for_records_are_another_key(study, paths, monkeypatch):
    before = frames_key(study, paths, {})
    assert frames_key(study, StudyPaths(paths.root / "reference/device/synthetic"), {}) != before
    monkeypatch.setattr("resnest_bench.frames.cache.uncounted_digest", lambda: "new")
    assert frames_key(study, paths, {}) != before


def test_a_study_in_memory_with_another_key_leaves_the_stored_one(study, paths):
    write_frames(paths, load_frames(study, paths, {}))
    other = load_frames(make_study(seeds=[0]), paths, {})
    assert_as_read_anew(load_frames(study, paths, {}, other, read=None), study, paths)


def test_gaps_are_labelled_by_the_first_record_that_comes(reload, study, paths):
    texts = {job: paths.record(job).read_text() for job in TUNED}
    for job in TUNED:
        paths.record(job).unlink()
    frames = reload()
    assert find_row(frames, TUNED[0])["dataset_label"] == "high"
    paths.record(TUNED[3]).write_text(texts[TUNED[3]])
    frames = load_frames(study, paths, {}, frames)
    assert find_row(frames, TUNED[0])["dataset_label"] == "Synthetic high"
    assert_as_read_anew(frames, study, paths)


def test_a_label_goes_with_the_record_that_gave_it(reload, study, paths):
    raw = json.loads(paths.record(TUNED[-1]).read_text())
    raw["dataset"]["label"] = "Another name"
    paths.record(TUNED[-1]).write_text(json.dumps(raw))
    frames = reload()
    assert find_row(frames, TUNED[0])["dataset_label"] == "Another name"
    write_frames(paths, frames)
    paths.record(TUNED[-1]).unlink()
    for previous in (frames, None):
        after = load_frames(study, paths, {}, previous)
        assert find_row(after, TUNED[0])["dataset_label"] == "Synthetic high"
        assert_as_read_anew(after, study, paths)


def test_a_record_of_no_job_comes_and_goes(reload, study, paths):
    stray = paths.records / "train/low/quick/gone/seed-0.json"
    stray.parent.mkdir()
    stray.write_text("{")
    frames = reload(read=None)
    assert frames.unlisted == [stray]
    assert_as_read_anew(frames, study, paths)
    write_frames(paths, frames)
    assert load_frames(study, paths, {}, read=None).unlisted == [stray]
    stray.unlink()
    assert load_frames(study, paths, {}, frames, read=None).unlisted == []


def read_index(paths):
    return json.loads((paths.frames / "index.json").read_text())


def edit_index(paths, **changes):
    (paths.frames / "index.json").write_text(json.dumps({**read_index(paths), **changes}))


def replace(paths, name, content):
    """Other content in a Parquet file's place, with an index that fits it."""
    (paths.frames / f"{name}.parquet").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    edit_index(paths, sha256={**read_index(paths)["sha256"], name: digest})


def runs_stored(paths):
    return pd.read_parquet(paths.frames / "runs.parquet")


def truncate(paths):
    file = paths.frames / "runs.parquet"
    file.write_bytes(file.read_bytes()[:-100])


def of_another_time(paths):
    frame = runs_stored(paths).assign(test_accuracy=0.5)
    (paths.frames / "runs.parquet").write_bytes(parquet_bytes(frame))


def folder_in_its_place(paths):
    (paths.frames / "index.json").unlink()
    (paths.frames / "index.json").mkdir()


@pytest.mark.parametrize(
    "damage",
    [
        lambda paths: shutil.rmtree(paths.frames),
        truncate,
        of_another_time,
        lambda paths: (paths.frames / "epochs.parquet").unlink(),
        lambda paths: shutil.copy(paths.frames / "runs.parquet", paths.frames / "cells.parquet"),
        lambda paths: (paths.frames / "index.json").write_text('{"key": '),
        lambda paths: (paths.frames / "index.json").write_text("[]"),
        lambda paths: (paths.frames / "index.json").write_bytes(b"\xff\xfe"),
        folder_in_its_place,
        lambda paths: edit_index(paths, key="0" * 64),
        lambda paths: edit_index(paths, stamps={"records/x.json": "now"}),
        lambda paths: edit_index(paths, sha256={}),
        lambda paths: replace(paths, "runs", b"PAR1 but not Parquet"),
        lambda paths: replace(paths, "runs", b"\x80\x04N."),
        lambda paths: replace(
            paths, "runs", parquet_bytes(runs_stored(paths).astype({"seed": "float64"}))
        ),
        lambda paths: replace(
            paths, "runs", parquet_bytes(runs_stored(paths).drop(columns="record"))
        ),
        lambda paths: replace(paths, "runs", parquet_bytes(runs_stored(paths)[:5])),
    ],
    ids=[
        "none",
        "torn",
        "half new",
        "file gone",
        "file swapped",
        "not JSON",
        "not an object",
        "not text",
        "a folder",
        "another key",
        "bad stamps",
        "no digests",
        "not Parquet",
        "a pickle",
        "a type",
        "a column",
        "too few rows",
    ],
)
def test_a_store_that_is_not_whole_is_not_used(study, paths, damage):
    write_frames(paths, load_frames(study, paths, {}))
    damage(paths)
    frames = load_frames(study, paths, {}, read=(read := Reader()))
    assert read.jobs == study.jobs()
    assert_as_read_anew(frames, study, paths)


def test_a_moved_folder_keeps_its_rows_and_says_where_it_is(study, paths, tmp_path, monkeypatch):
    paths.record(TRAIN).write_text("{")
    before = load_frames(study, paths, {})
    write_frames(paths, before)
    paths.root.rename(tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path)
    moved = StudyPaths(Path("elsewhere"))
    for previous in (None, before):
        frames = load_frames(study, moved, {}, previous, read=(read := Reader()))
        assert read.jobs == [TRAIN]
        assert (
            find_row(frames, LATENCY)["record"]
            == "elsewhere/records/latency/low/fast/B/seed-0.json"
        )
        assert "record elsewhere/records/train/low" in find_row(frames, TRAIN)["reason"]
        assert_as_read_anew(frames, study, moved)


def test_stamps_are_of_json_files_alone(study, tmp_path):
    paths = study.paths(tmp_path)
    assert scan_records(paths) == {}
    files = ["train/a.json", "train/.b.json", "train/c.txt", ".hidden/d.json", "e.json", "f.npz"]
    for name in files:
        (paths.records / name).parent.mkdir(parents=True, exist_ok=True)
        (paths.records / name).write_text("12345")
    (paths.records / "folder.json").mkdir()
    (paths.records / "linked").symlink_to(paths.records / "train")
    (paths.records / "dangling.json").symlink_to(paths.records / "nowhere")
    os.utime(paths.records / "e.json", ns=(1, 1_700_000_000_123_456_789))
    stamps = scan_records(paths)
    assert stamps.keys() == {"records/train/a.json", "records/e.json"}
    assert stamps["records/e.json"] == (1_700_000_000_123_456_789, 5)
    assert paths.records / "e.json" in unlisted_records(study, paths)


def test_a_record_in_a_linked_folder_is_followed(study, paths, tmp_path):
    (paths.records / "train").rename(tmp_path / "disk")
    (paths.records / "train").symlink_to(tmp_path / "disk")
    before = load_frames(study, paths, {})
    assert find_row(before, TRAIN)["status"] == "ok"
    assert load_frames(study, paths, {}, before, read=None) is before
    change(study, paths)
    assert find_row(load_frames(study, paths, {}, before), TRAIN)["test_accuracy"] == 0.25


def test_a_folder_in_a_records_place_is_seen(reload, study, paths):
    paths.record(TRAIN).unlink()
    paths.record(TRAIN).mkdir()
    frames = reload()
    assert find_row(frames, TRAIN)["status"] == "invalid"
    assert_as_read_anew(frames, study, paths)


def test_what_the_system_would_not_give_is_asked_for_again(study, paths):
    def refuse(path, job):
        if job == TRAIN:
            raise PermissionError(13, "Permission denied")
        return records.read(path, job)

    before = load_frames(study, paths, {}, read=refuse)
    assert "Permission denied" in find_row(before, TRAIN)["reason"]
    write_frames(paths, before)
    for previous in (before, None):
        frames = load_frames(study, paths, {}, previous, read=(read := Reader()))
        assert read.jobs == [TRAIN]
        assert_as_read_anew(frames, study, paths)


def test_tables_keep_the_frames(study, paths):
    written = write_tables(study, paths)
    assert {file.parent for file in written} == {paths.tables}
    stored = read_frames(paths, frames_key(study, paths, {}))
    assert_as_read_anew(stored, study, paths)
    first = {file: file.read_bytes() for file in paths.frames.iterdir()}
    write_tables(study, paths)
    assert {file: file.read_bytes() for file in paths.frames.iterdir()} == first
    assert {file.name for file in first} == {
        "index.json",
        "runs.parquet",
        "cells.parquet",
        "epochs.parquet",
    }


def test_tables_follow_a_record_that_changed(study, paths):
    write_tables(study, paths)
    for seed in range(3):
        job = Job("train", "low", "quick", "A", seed)
        records.write(paths.record(job), make_record(study, job, accuracy=0.25))
    write_tables(study, paths)
    assert "25.00 (n=3, all alike)" in (paths.tables / "tradeoff.md").read_text()


def test_a_store_that_cannot_be_written(study, paths):
    paths.frames.write_text("in the way")
    with pytest.raises(UserError, match=r"cannot write .*frames"):
        write_tables(study, paths)
