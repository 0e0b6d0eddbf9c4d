"""The file next to a record: small, checked at the door, and never a crash."""

import io

import numpy as np
import pytest

from resnest_bench.errors import UserError
from resnest_bench.paths import Job
from resnest_bench.records import predictions as module
from resnest_bench.records.predictions import (
    copy_predictions,
    read_predictions,
    summarise_rows,
    write_predictions,
)
from support.records_factory import make_record, make_study, random_predictions, with_predictions

JOB = Job("train", "low", "quick", "A", 0)
LABELS = np.arange(60) % 3


@pytest.fixture
def kept(tmp_path):
    """A record, and the file of its predictions."""
    record = make_record(make_study(), JOB)
    return with_predictions(record, tmp_path / "seed-0.json", 0.7, LABELS), tmp_path / "seed-0.npz"


def test_what_was_written_is_read_to_half_a_per_mille(kept):
    record, path = kept
    found = read_predictions(path, record)
    predicted, logs = random_predictions(LABELS, 0.7, 3, 100)
    assert found.labels_N.tolist() == LABELS.tolist()
    assert found.predicted_N.tolist() == predicted.tolist()
    np.testing.assert_allclose(found.probabilities_NK, np.exp(logs), rtol=5e-3, atol=1e-4)
    np.testing.assert_allclose(found.probabilities_NK.sum(axis=1), 1)
    assert path.stat().st_size < 60 * 3 * 2 + 1500


def test_of_many_classes_a_few_figures_per_image_are_kept(kept, monkeypatch, tmp_path):
    whole = read_predictions(kept[1], kept[0])
    monkeypatch.setattr(module, "MAX_ROW_BYTES", 0)
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 7)
    record = make_record(make_study(), JOB)
    record = with_predictions(record, tmp_path / "seed-1.json", 0.7, LABELS)
    assert not record.train.predictions.all_classes
    few = read_predictions(tmp_path / "seed-1.npz", record)
    assert few.probabilities_NK is None
    for name in ("labels_N", "predicted_N", "label_rank_N"):
        assert getattr(few, name).tolist() == getattr(whole, name).tolist()
    for name in ("label_log_probability_N", "top_probability_N", "squares_N"):
        np.testing.assert_allclose(getattr(few, name), getattr(whole, name), rtol=5e-3, atol=1e-3)


def test_a_record_of_before_has_none(kept):
    record, path = kept
    old = record.model_copy(update={"train": record.train.model_copy(update={"predictions": None})})
    assert read_predictions(path, old) is None


def test_a_class_of_probability_0_stays_finite(tmp_path):
    with np.errstate(divide="ignore"):
        logs = np.log(np.array([[1.0, 0.0], [0.25, 0.75]]))
    write_predictions(tmp_path / "p.npz", np.array([1, 1]), np.array([0, 1]), logs)
    with np.load(tmp_path / "p.npz") as arrays:
        assert np.isfinite(arrays["log_probabilities"]).all()


def test_a_label_that_the_network_tied_with_another_has_the_rank_of_its_answer():
    logs = np.log(np.full((2, 2), 0.5))
    found = summarise_rows(np.array([0, 0]), np.array([0, 1]), logs)
    assert found.label_rank_N.tolist() == [0, 1]


def zip_bomb(record):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, format=np.asarray(1), labels=np.zeros(10**7))
    return buffer.getvalue()


def object_array(record):
    buffer = io.BytesIO()
    np.savez(buffer, format=np.array([{"a": 1}], dtype=object))
    return buffer.getvalue()


def wrong_answers(record):
    buffer = io.BytesIO()
    arrays = {"labels": LABELS.astype(np.uint16), "predicted": LABELS.astype(np.uint16)}
    np.savez(buffer, format=1, **arrays, log_probabilities=np.zeros((60, 3), np.float16))
    return buffer.getvalue()


def unknown_class(record):
    buffer = io.BytesIO()
    arrays = {"labels": np.full(60, 3, np.uint16), "predicted": LABELS.astype(np.uint16)}
    np.savez(buffer, format=1, **arrays, log_probabilities=np.zeros((60, 3), np.float16))
    return buffer.getvalue()


def later_format(record):
    buffer = io.BytesIO()
    np.savez(buffer, format=np.asarray(2))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        zip_bomb,
        object_array,
        wrong_answers,
        unknown_class,
        later_format,
        lambda record: b"",
        lambda record: b"PK\x03\x04",
    ],
)
def test_a_bad_file_is_named_even_where_its_digest_fits(kept, content):
    record, path = kept
    path.write_bytes(content(record))
    digest = module.hashlib.sha256(path.read_bytes()).hexdigest()
    named = record.train.predictions.model_copy(update={"sha256": digest})
    train = record.train.model_copy(update={"predictions": named})
    with pytest.raises(UserError, match=r"seed-0\.npz"):
        read_predictions(path, record.model_copy(update={"train": train}))


def test_a_file_of_another_run_and_none_are_named(kept, tmp_path):
    record, path = kept
    write_predictions(path, LABELS, LABELS, np.log(np.full((60, 3), 1 / 3)))
    with pytest.raises(UserError, match="another run"):
        read_predictions(path, record)
    with pytest.raises(UserError, match="missing"):
        read_predictions(tmp_path / "gone.npz", record)


def test_only_the_file_that_a_record_names_is_copied(kept, tmp_path):
    record, path = kept
    copy_predictions(path, tmp_path / "copy.npz", record)
    assert read_predictions(tmp_path / "copy.npz", record) is not None
    (tmp_path / "other.npz").write_bytes(b"other")
    copy_predictions(tmp_path / "other.npz", tmp_path / "none.npz", record)
    copy_predictions(tmp_path / "gone.npz", tmp_path / "none.npz", record)
    assert not (tmp_path / "none.npz").exists()
