import hashlib
import json
import shutil

import pandas as pd
import pytest

from resnest_bench import records
from resnest_bench.frames.rows import cells_frame, collect, epochs_frame, samples_frame
from resnest_bench.paths import Job, StudyPaths
from resnest_bench.records.metrics import METRICS
from resnest_bench.status.fingerprints import read_fingerprints
from resnest_bench.status.outcomes import outcomes, unlisted_records
from support.records_factory import (
    CONFIG,
    FINGERPRINT,
    GPU,
    make_cell,
    make_failed_record,
    make_record,
    make_study,
    write_study,
)

TRAIN = Job("train", "low", "quick", "A", 1)
LATENCY = Job("latency", "low", "fast", "B", 0)


def row(runs, job):
    same = runs[["kind", "dataset", "recipe", "variant", "seed"]] == list(vars(job).values())
    (found,) = runs[same.all(axis=1)].to_dict("records")
    return found


def outcome(study, paths, job=TRAIN, **more):
    found = row(collect(study, paths, **more), job)
    return found["status"], found["reason"]


def edit(paths, job, change):
    raw = json.loads(paths.record(job).read_text())
    change(raw)
    paths.record(job).write_text(json.dumps(raw))


def test_one_row_a_job_in_the_studys_order(study, paths):
    runs = collect(study, paths)
    jobs = [tuple(vars(job).values()) for job in study.jobs()]
    columns = runs[["kind", "dataset", "recipe", "variant", "seed"]]
    assert list(columns.itertuples(index=False, name=None)) == jobs
    assert set(runs["status"]) == {"ok"}
    assert set(METRICS) <= set(runs.columns)


def test_values_are_the_records_unrounded(study, paths):
    runs = collect(study, paths)
    for job in study.jobs():
        record, found = records.read(paths.record(job)), row(runs, job)
        for name, metric in METRICS.items():
            expected = metric.extract(record) if job.kind in metric.kinds else None
            assert found[name] == expected or (expected is None and pd.isna(found[name])), name
        assert found["device_kind"] == "cpu"
        assert found["num_test"] == 100
        assert found["torch"] == "2.11.0"
        assert found["record"] == str(paths.record(job))


def test_missing(study, paths):
    paths.record(TRAIN).unlink()
    assert outcome(study, paths) == ("missing", "no record yet")
    assert row(collect(study, paths), TRAIN)["dataset_label"] == "Synthetic low"


def test_a_study_without_any_record(study, tmp_path):
    runs = collect(study, study.paths(tmp_path))
    assert set(runs["status"]) == {"missing"}
    assert len(runs) == len(study.jobs())
    assert runs["test_accuracy"].isna().all()


def test_failed_has_the_reason_and_no_values(study, paths):
    failed = make_failed_record(TRAIN, study.job_spec(TRAIN), "the loss is not finite", epoch=2)
    records.write(paths.record(TRAIN), failed)
    assert outcome(study, paths) == ("failed", "the loss is not finite at epoch 2")
    edit(paths, TRAIN, lambda raw: raw.update(code_digest="old"))
    assert outcome(study, paths)[1].endswith("(stale: code changed since)")


def test_a_failed_record_with_observations_gives_no_result(study, paths):
    failed = make_record(study, TRAIN, status="failed", failure={"reason": "stopped"})
    records.write(paths.record(TRAIN), failed)
    assert pd.isna(row(collect(study, paths), TRAIN)["test_accuracy"])


@pytest.mark.parametrize(
    ("text", "part"),
    [("{", "is not JSON"), ('{"schema_version": 9}', "schema_version must be 1, but is 9")],
)
def test_invalid(study, paths, text, part):
    paths.record(TRAIN).write_text(text)
    status, reason = outcome(study, paths)
    assert status == "invalid"
    assert part in reason
    assert str(paths.record(TRAIN)) in reason


def test_a_moved_record_is_invalid(study, paths):
    other = Job("train", "low", "quick", "B", 1)
    paths.record(other).replace(paths.record(TRAIN))
    assert "moved or renamed" in outcome(study, paths)[1]
    assert outcome(study, paths, other)[0] == "missing"


def test_a_folder_in_a_records_place_is_invalid(study, paths):
    paths.record(TRAIN).unlink()
    paths.record(TRAIN).mkdir()
    status, reason = outcome(study, paths)
    assert status == "invalid"
    assert "cannot be read" in reason


def test_a_changed_spec_is_stale_and_keeps_its_values(study, paths):
    recipes = {**study.model_dump(mode="json")["recipes"]}
    recipes["quick"] |= {"epochs": 3}
    now = make_study(recipes=recipes)
    assert outcome(now, paths) == ("stale", "spec changed: recipe.epochs was 2, is 3")
    # Fine-tunings start from those trainings.
    assert "source.recipe.epochs" in outcome(now, paths, Job("finetune", "high", "tune", "A", 0))[1]
    assert outcome(now, paths, LATENCY)[0] == "ok"
    assert row(collect(now, paths), TRAIN)["test_accuracy"] == 0.61


def test_changed_code_is_stale(study, paths):
    edit(paths, LATENCY, lambda raw: raw.update(code_digest="0" * 64))
    assert outcome(study, paths, LATENCY) == ("stale", "code changed since")


def test_a_reference_run_stands_for_its_own_code(study, paths, tmp_path):
    edit(paths, LATENCY, lambda raw: raw.update(code_digest="f" * 64))
    shipped = tmp_path / "results/reference/a-machine/synthetic"
    shutil.copytree(paths.root, shipped)
    assert outcome(study, StudyPaths(shipped), LATENCY) == ("ok", "")
    edit(StudyPaths(shipped), LATENCY, lambda raw: raw["spec"]["variant"].update(dropout=0.7))
    assert outcome(study, StudyPaths(shipped), LATENCY)[0] == "stale"


def test_changed_data_is_stale(study, paths):
    assert outcome(study, paths, fingerprints={"low": FINGERPRINT})[0] == "ok"
    assert outcome(study, paths, fingerprints={"low": "e" * 64}) == ("stale", "data changed")
    assert outcome(study, paths, fingerprints={"high": "e" * 64})[0] == "ok"


def test_what_the_next_run_makes(study, paths):
    def list_to_do(study=study, **more):
        return {str(o.job) for o in outcomes(study, paths, **more) if o.to_do}

    assert list_to_do() == set()
    paths.record(TRAIN).unlink()
    paths.record(LATENCY).write_text("{")
    assert list_to_do() == {str(TRAIN), str(LATENCY)}
    write_study(study, paths)
    now = make_study(recipes={**CONFIG["recipes"], "fresh": {"epochs": 9, "learning_rate": 0.01}})
    assert {job.split(" (")[1] for job in list_to_do(now)} == {
        f"fresh, seed {k})" for k in range(3)
    }
    trained = {str(job) for job in study.jobs() if job.dataset == "high"}
    assert list_to_do(fingerprints={"high": "e" * 64}) == trained


def test_code_that_changed_remakes_latencies_and_trainings_only_where_asked(study, paths):
    for job in (TRAIN, LATENCY):
        edit(paths, job, lambda raw: raw.update(code_digest="0" * 64))
    found = {o.job: o for o in outcomes(study, paths)}
    assert [(found[job].status, found[job].to_do) for job in (TRAIN, LATENCY)] == [
        ("stale", False),
        ("stale", True),
    ]
    follows = make_study(rerun_on_code_change=True)
    assert all(o.to_do for o in outcomes(follows, paths) if o.job in (TRAIN, LATENCY))


def test_a_failed_training_is_not_done_over_until_something_changes(study, paths):
    records.write(paths.record(TRAIN), make_failed_record(TRAIN, study.job_spec(TRAIN), "inf"))
    assert [o.to_do for o in outcomes(study, paths) if o.job == TRAIN] == [False]
    found = outcomes(study, paths, fingerprints={"low": "e" * 64})
    assert [o.to_do for o in found if o.job == TRAIN] == [True]


def test_weights_that_were_replaced_make_their_fine_tunings_stale(tmp_path):
    file = tmp_path / "w.safetensors"
    file.write_bytes(b"one")
    block = {"dataset": "high", "recipes": ["tune"], "weights": {"A": {"file": str(file)}}}
    study = make_study(finetune=[block], train=[], latency=[], tables={}, seeds=[0])
    paths, (job,) = study.paths(tmp_path), study.jobs()
    sha = hashlib.sha256(b"one").hexdigest()
    record = make_record(study, job).model_dump(mode="json")
    record["train"]["initial_weights"] = {"source": "file", "sha256": sha, "license": None}
    records.write(paths.record(job), records.Record.model_validate(record))

    def status():
        (found,) = outcomes(study, paths, read_fingerprints(study))
        return found.status, found.reason

    assert status() == ("ok", "")
    file.write_bytes(b"another")
    assert status() == ("stale", "weights changed")
    file.unlink()  # nothing says that they are others
    assert status() == ("ok", "")


def test_a_corrected_label_is_shown_and_makes_nothing_stale(tmp_path):
    photos = {"source": "imagefolder", "path": "x", "image_size": 32, "label": "Fotos"}
    study = make_study(datasets={**CONFIG["datasets"], "low": photos}, finetune=[], tables={})
    paths = study.paths(tmp_path)
    write_study(study, paths)
    photos["label"] = "Photos"
    corrected = make_study(datasets={**CONFIG["datasets"], "low": photos}, finetune=[], tables={})
    runs = collect(corrected, paths)
    assert set(runs["status"]) == {"ok"}
    assert set(runs["dataset_label"]) == {"Photos"}


def test_fingerprints_come_from_prepared_data(tmp_path):
    study = make_study().model_copy(update={"data_dir": str(tmp_path)})
    meta = study.prepared("low") / "meta.json"
    meta.parent.mkdir(parents=True)
    meta.write_text('{"fingerprint": "abc"}')
    (study.prepared("high")).mkdir()
    (study.prepared("high") / "meta.json").write_text("{")
    assert read_fingerprints(study) == {"low": "abc"}


def test_records_of_no_job_are_listed(study, paths):
    fewer = make_study(seeds=[0, 1])
    found = unlisted_records(fewer, paths)
    assert len(found) == 7
    assert all(path.name == "seed-2.json" for path in found)
    assert unlisted_records(study, paths) == []


def test_cells_hold_measured_and_unavailable_ones(study, paths):
    gap = {
        "batch_size": None,
        "precision": "tf32",
        "layout": "channels_last",
        "mode": "eager",
        "reason": "tf32 needs an NVIDIA GPU",
    }
    records.write(paths.record(LATENCY), make_record(study, LATENCY, unavailable=[gap]))
    cells = cells_frame(study, paths)
    cells = cells[cells["variant"] == "B"]
    assert cells["batch_size"].tolist() == [1, 8, pd.NA]
    assert cells["available"].tolist() == [True, True, False]
    assert cells["unavailable_reason"].iloc[2] == "tf32 needs an NVIDIA GPU"
    assert cells["p50_ms"].tolist()[:2] == [2.0, 8.0]
    assert cells["ms_per_image"].tolist()[:2] == [2.0, 1.0]
    assert cells["primary"].fillna(False).tolist() == [True, False, False]


def test_a_cells_output_error_is_a_number_or_a_gap(study, paths):
    cells = [make_cell(1, [1.0]), make_cell(1, [0.5], mode="folded", output_error=3e-7)]
    records.write(paths.record(LATENCY), make_record(study, LATENCY, cells=cells))
    found = cells_frame(study, paths)
    found = found[found["variant"] == "B"]
    assert found["output_error"].tolist() == [pytest.approx(float("nan"), nan_ok=True), 3e-7]
    assert found["output_error"].dtype == "float64"


def test_a_missing_latency_has_a_row_with_its_reason(study, paths):
    paths.record(LATENCY).unlink()
    cells = cells_frame(study, paths)
    (gap,) = cells[cells["variant"] == "B"].to_dict("records")
    assert (gap["status"], gap["unavailable_reason"]) == ("missing", "no record yet")


def test_epochs_and_samples(study, paths):
    cells = [make_cell(1, [1.0, 2.0], device_samples_ms=[0.5, 0.6])]
    records.write(paths.record(LATENCY), make_record(study, LATENCY, cells=cells, device=GPU))
    epochs = epochs_frame(study, paths)
    assert len(epochs) == 2 * 21
    assert epochs["test_accuracy"].iloc[:2].tolist() == [0.3, 0.6]
    samples = samples_frame(study, paths)
    samples = samples[samples["variant"] == "B"]
    assert samples["wall_ms"].tolist() == [1.0, 2.0]
    assert samples["device_ms"].tolist() == [0.5, 0.6]
    assert set(samples["device_kind"]) == {"cuda"}


def test_types_do_not_depend_on_what_is_missing(study, paths, tmp_path):
    empty = study.paths(tmp_path / "empty")
    for make in (collect, cells_frame, epochs_frame, samples_frame):
        assert make(study, paths).dtypes.equals(make(study, empty).dtypes)
