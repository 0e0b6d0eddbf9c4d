"""Results for each image: arrays and tables, and what must agree between networks."""

import json
import pickle
import zipfile

import numpy as np
import pytest

from resnest_bench.errors import UserError
from resnest_bench.imports.columns import Choices
from resnest_bench.imports.reading import read_files
from resnest_bench.imports.writing import new_target, plan_study, write_imports
from resnest_bench.results import open_study

LABELS = np.array([0, 1, 2, 1])
ROWS = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.6, 0.2, 0.2], [0.1, 0.5, 0.4]])
IMAGES = np.array(["a.png", "b.png", "c.png", "d.png"])


@pytest.fixture
def put(tmp_path):
    def write(name, **arrays):
        np.savez(tmp_path / name, **arrays)
        return tmp_path / name

    return write


def read(*paths, **choices):
    return read_files(list(paths), Choices(**choices))


def only(found):
    (one,) = found.predictions.values()
    return one


def test_probabilities_in_an_npz(put):
    found = read(put("net_seed3.npz", labels=LABELS, probs=ROWS))
    ((job, one),) = found.predictions.items()
    assert (job.variant, job.seed) == ("net", 3)
    assert one.predicted == ["0", "1", "0", "1"]
    np.testing.assert_allclose(one.probabilities_NK, ROWS)


def test_logits_become_probabilities(put):
    one = only(read(put("net.npz", y_true=LABELS, logits=np.log(ROWS) + 5)))
    np.testing.assert_allclose(one.probabilities_NK, ROWS)


def test_predicted_classes_with_their_names(put):
    one = only(
        read(put("net.npz", labels=LABELS, predictions=[0, 1, 0, 1], classes=["cat", "cow", "dog"]))
    )
    assert one.labels == ["cat", "cow", "dog", "cow"]
    assert one.predicted == ["cat", "cow", "cat", "cow"]
    assert one.probabilities_NK is None


def test_a_first_axis_of_seeds(put):
    found = read(put("net.npz", labels=LABELS, probs=np.stack([ROWS, ROWS[:, ::-1]])))
    assert [job.seed for job in found.predictions] == [0, 1]
    assert found.predictions[next(iter(found.predictions))].predicted == ["0", "1", "0", "1"]


def test_a_table_of_images(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text(
        "image,label,predicted,confidence,model,seed\n"
        "a,cat,cat,0.9,A,0\nb,dog,cat,0.6,A,0\nb,dog,dog,0.7,A,1\na,cat,cat,0.8,A,1\n"
    )
    found = read(path)
    first, second = found.predictions.values()
    assert first.images == second.images == ["a", "b"]
    # The second seed has the images in another order.
    assert second.predicted == ["cat", "dog"]
    np.testing.assert_allclose(second.top_probability_N, [0.8, 0.7])


def test_a_table_with_the_probability_of_each_class(tmp_path):
    path = tmp_path / "net-seed1.csv"
    path.write_text("id,y_true,y_pred,prob_cat,prob_dog\n1,cat,cat,0.9,0.1\n2,dog,cat,0.6,0.4\n")
    ((job, one),) = read(path).predictions.items()
    assert (job.variant, job.seed) == ("net", 1)
    assert one.classes == ("cat", "dog")
    np.testing.assert_allclose(one.probabilities_NK, [[0.9, 0.1], [0.6, 0.4]])


def test_networks_with_their_images_in_another_order_are_aligned(put):
    order = [2, 0, 3, 1]
    first = put("a.npz", labels=LABELS, probs=ROWS, images=IMAGES)
    second = put("b.npz", labels=LABELS[order], probs=ROWS[order], images=IMAGES[order])
    one, other = read(first, second).predictions.values()
    assert one.images == other.images
    assert one.labels == other.labels
    np.testing.assert_allclose(one.probabilities_NK, other.probabilities_NK)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"labels": LABELS[:3], "probs": ROWS[:3]}, "4 and 3|3 and 4"),
        ({"labels": LABELS[::-1], "probs": ROWS}, "same label"),
        ({"labels": LABELS, "probs": ROWS, "images": IMAGES[::-1] + "x"}, "lacks"),
        (
            {"labels": [0, 1, 0, 1], "probs": ROWS[:, :2] / ROWS[:, :2].sum(1, keepdims=True)},
            "classes",
        ),
    ],
)
def test_other_images_or_labels_are_refused(put, other, words):
    first = put("a.npz", labels=LABELS, probs=ROWS, images=IMAGES)
    with pytest.raises(UserError, match=words):
        read(first, put("b.npz", **other))


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"probs": ROWS}, "labels"),
        ({"labels": LABELS}, "probabilities"),
        ({"labels": LABELS, "probs": ROWS[:3]}, "shape"),
        ({"labels": LABELS, "probs": ROWS * 2}, "from 0 to 1"),
        ({"labels": LABELS, "probs": ROWS / 2}, "add up to 1"),
        ({"labels": LABELS, "probs": np.where(ROWS > 0.7, np.nan, ROWS)}, "finite"),
        ({"labels": LABELS.astype(float), "probs": ROWS}, "whole numbers"),
        ({"labels": LABELS + 1, "probs": ROWS}, "among the 3 classes"),
        ({"labels": -LABELS, "predicted": LABELS}, "from 0 on"),
        ({"labels": LABELS, "probs": ROWS, "images": ["a", "a", "b", "c"]}, "twice"),
        ({"labels": LABELS, "probs": ROWS, "classes": ["a", "b"]}, "columns"),
        ({"labels": ["x", "y", "z", "y"], "probs": ROWS[:, :2]}, "columns|add up"),
        ({"labels": np.array([None, {}, 1, 2], dtype=object), "probs": ROWS}, "never loaded"),
    ],
)
def test_what_arrays_must_be(put, arrays, words):
    with pytest.raises(UserError, match=words) as error:
        read(put("net.npz", **arrays))
    assert "net.npz" in str(error.value)


class Evil:
    def __reduce__(self):
        raise AssertionError("it was unpickled")


def test_a_pickle_is_never_loaded(tmp_path):
    path = tmp_path / "net.npz"
    for content in (b"", b"no archive", pickle.dumps([1])):
        path.write_bytes(content)
        with pytest.raises(UserError):
            read(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("labels.npy", pickle.dumps([1]))
    with pytest.raises(UserError, match="npz of plain arrays"):
        read(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("image,label,predicted\na,cat,\n", "name a class"),
        ("image,label,predicted\na,cat,cat\na,cat,cat\n", "comes twice"),
        ("image,label,predicted,probability\na,cat,cat,1.5\n", "from 0 to 1"),
        ("image,label,predicted,probability\na,cat,cat,x\n", "number"),
    ],
)
def test_what_rows_of_images_must_be(tmp_path, text, words):
    (tmp_path / "r.csv").write_text(text)
    with pytest.raises(UserError, match=words):
        read(tmp_path / "r.csv")


def test_an_accuracy_must_be_that_of_the_predictions(put, tmp_path):
    path = put("net_seed0.npz", labels=LABELS, probs=ROWS)
    (tmp_path / "r.csv").write_text("model,seed,acc\nnet,0,0.75\n")
    # 3 of 4 images are right.
    assert len(read(path, tmp_path / "r.csv").results) == 1
    (tmp_path / "r.csv").write_text("model,seed,acc\nnet,0,0.80\n")
    with pytest.raises(UserError, match=r"75\.00 %"):
        read(path, tmp_path / "r.csv")


def write(found, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    target = new_target("x", tmp_path / "results")
    write_imports(target, plan_study(target, found), found)
    return open_study(target.paths.root)


def test_figures_of_written_probabilities(put, tmp_path, monkeypatch):
    study = write(read(put("net.npz", labels=LABELS, probs=ROWS)), tmp_path, monkeypatch)
    row = study.runs.iloc[0]
    assert row["test_accuracy"] == 0.75
    # -mean log of 0.8, 0.7, 0.2 and 0.5, kept in 16 bits.
    assert row["test_loss"] == pytest.approx(-np.log([0.8, 0.7, 0.2, 0.5]).mean(), rel=1e-3)
    assert row["num_test"] == 4
    assert row["imported_from"] == "net.npz"
    assert np.isnan(row["train_accuracy"])


def test_figures_of_written_classes_leave_probabilities_unknown(put, tmp_path, monkeypatch):
    path = put("net.npz", labels=LABELS, predicted=[0, 1, 0, 1])
    row = write(read(path), tmp_path, monkeypatch).runs.iloc[0]
    # Recalls 1, 1 and 0.
    assert row["balanced_accuracy"] == pytest.approx(2 / 3)
    for name in ("test_loss", "brier_score", "calibration_error", "roc_auc", "top5_accuracy"):
        assert np.isnan(row[name]), name


def test_a_damaged_file_of_predictions_is_said(put, tmp_path, monkeypatch):
    study = write(
        read(put("net.npz", labels=LABELS, predicted=[0, 1, 0, 1])), tmp_path, monkeypatch
    )
    job = study.spec.jobs()[0]
    study.paths.predictions(job).write_bytes(b"x")
    row = open_study(study.paths.root).runs.iloc[0]
    assert "predictions" in row["remark"]
    assert row["test_accuracy"] == 0.75
    assert (
        json.loads(study.paths.record(job).read_text())["imported"]["sources"][0]["file"]
        == "net.npz"
    )
