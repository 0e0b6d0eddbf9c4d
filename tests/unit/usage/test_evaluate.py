"""Trained networks on a further test set: the same accuracies on the same images, and a dataset of the tables."""

import json
import shutil

import pytest
import yaml
from PIL import Image

from resnest_bench.errors import UserError
from resnest_bench.paths import StudyPaths
from resnest_bench.results import StudyResults
from resnest_bench.specs import load_study
from resnest_bench.usage.labelled import find_labelled
from support.trained_study import make_dark

RECORD = "results/photos/records/train/{}/quick/A/seed-1.json"


def test_the_test_images_themselves_have_the_accuracy_of_the_training(own_copy, run):
    done = run("evaluate", "photos", "--data", "images/test", "--as", "same")
    assert done.exit_code == 0, done.output
    results = StudyResults(
        load_study(own_copy / "results/photos/study.json"), StudyPaths(own_copy / "results/photos")
    )
    runs = results.runs.set_index(["dataset", "variant", "seed"])
    for column in ("test_accuracy", "test_loss", "balanced_accuracy"):
        pairs = zip(runs.loc["pets"][column], runs.loc["same"][column], strict=True)
        assert all(new == pytest.approx(old, abs=1e-3) for old, new in pairs)
    assert set(runs["status"]) == {"ok"}


def test_a_shifted_test_set_joins_tables_differences_and_claims(own_copy, run):
    make_dark(own_copy / "images/test", own_copy / "dark")
    done = run("evaluate", "photos", "--data", "dark", "--label", "Dark photos")
    assert done.exit_code == 0, done.output
    config = own_copy / "config/config.yaml"
    assert yaml.safe_load(config.read_text())["imported"] == "config/imported.yaml"
    claim = {
        "name": "dark",
        "claim": "A is above B in the dark",
        "dataset": "dark",
        "test": {"kind": "greater", "metric": "accuracy", "a": ["A"], "b": ["B"]},
    }
    config.write_text(config.read_text() + yaml.safe_dump({"claims": [claim]}))
    study = load_study(config)
    results = StudyResults(study, study.paths())
    assert ("train", "dark", "quick") in results.experiments
    assert len(results.accuracies(("train", "dark", "quick"))) == 2
    pairs = results.differences(("train", "dark", "quick"))
    assert pairs["n"].tolist() == [3]
    assert results.claims()["verdict"].tolist()[0] != "untested"
    assert set(results.runs["imported_from"].dropna()) >= {"dark"}
    assert any("further test set" in note for note in results.dataset_comparison.notes)
    # Nothing runs for it.
    assert all(job.dataset == "pets" for job in study.own_jobs())

    again = run("evaluate", "photos", "A", "--data", "dark")
    assert again.exit_code == 0, again.output
    (own_copy / "dark/cat" / sorted(p.name for p in (own_copy / "dark/cat").iterdir())[0]).unlink()
    other = run("evaluate", "photos", "--data", "dark")
    assert "names other images" in str(other.exception)


def test_a_network_that_was_trained_again_makes_its_evaluation_stale(own_copy, run):
    assert run("evaluate", "photos", "A", "--data", "images/test", "--as", "same").exit_code == 0
    study = load_study(own_copy / "results/photos/study.json")
    assert StudyResults(study, study.paths()).runs["status"].eq("ok").all()
    file = own_copy / RECORD.format("pets")
    record = json.loads(file.read_text())
    record["train"]["final_weights_sha256"] = "0" * 64
    file.write_text(json.dumps(record))
    runs = StudyResults(study, study.paths()).runs
    stale = runs[runs["status"].eq("stale")]
    assert stale[["dataset", "variant", "seed"]].values.tolist() == [["same", "A", 1]]
    assert "trained again" in stale["reason"].iloc[0]


def test_a_dry_run_writes_nothing(own_copy, run):
    before = sorted(own_copy.rglob("*"))
    done = run("evaluate", "photos", "A", "--data", "images/test", "--dry-run")
    assert done.exit_code == 0, done.output
    assert "+0.00" in done.stdout
    assert sorted(own_copy.rglob("*")) == before


def test_classes_must_be_those_of_the_training(own_copy, run):
    shutil.move(own_copy / "images/test/ship", own_copy / "images/test/Ship")
    said = str(run("evaluate", "photos", "--data", "images/test", "--as", "same").exception)
    assert "'Ship' (unknown) and no image of 'ship'" in said
    assert "nearly alike" in said
    assert not (own_copy / "config/imported.yaml").exists()


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--data", "nowhere"], "does not exist"),
        (["--data", "images"], "name images/test"),
        (["--data", "config/config.yaml"], "folder or a table"),
        (["--data", "images/test", "--as", "pets"], "is a dataset of this study"),
        (["--data", "images/test", "--as", "a/b"], "names the test set"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(here, run, words, problem):
    assert problem in str(run("evaluate", "photos", *words).exception)


def test_broken_images_stop_it_unless_they_are_skipped(own_copy, run):
    (own_copy / "images/test/cat/broken.png").write_bytes(b"")
    words = ["evaluate", "photos", "A", "--data", "images/test", "--as", "same"]
    assert "broken.png" in str(run(*words).exception)
    assert not (own_copy / "results/photos/records/train/same").exists()
    assert run(*words, "--skip-broken").exit_code == 0


def test_a_table_names_images_and_labels(tmp_path):
    for name in ("a.png", "b.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    table = tmp_path / "labels.csv"
    table.write_text("image,label\na.png,cat\nb.png,ship\n")
    found = find_labelled(table, ["cat", "ship"], 3)
    assert [path.name for path in found.paths] == ["a.png", "b.png"]
    assert found.labels_N.tolist() == [0, 1]
    table.write_text("image,label\na.png,cat\nc.png,ship\n")
    with pytest.raises(UserError, match="1 of 2 are missing"):
        find_labelled(table, ["cat", "ship"], 3)
