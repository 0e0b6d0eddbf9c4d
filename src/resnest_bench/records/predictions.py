"""The predictions of a trained network for each test image: a small file next to its record (floor 0).

It is an .npz of numpy arrays, named like the record. The record has its SHA-256, so that a file of another
run is never used. docs/decisions/017-predictions.md says why it is a separate file.

Shape suffixes: N test images in the order of the prepared data, K classes in the record's order.
"""

import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from resnest_bench.errors import UserError
from resnest_bench.files import write_bytes
from resnest_bench.records.observations import PredictionsObservation
from resnest_bench.records.record import Record, unpack_bits

FORMAT: Final = 1
# With more classes, a file has a few numbers per image instead of the probability of every class.
MAX_ROW_BYTES = 32 * 2**20
LOWEST_LOG = float(np.finfo(np.float16).min)
ROWS_AT_ONCE = 4096
# Size of the headers of the zip archive and its arrays.
OVERHEAD_BYTES = 10_000
ROW_ARRAYS = ("format", "labels", "predicted", "log_probabilities")
# Imported predictions, of which the probability of the label is not known.
CLASS_ARRAYS = ("format", "labels", "predicted", "top_probability")
SUMMARY_ARRAYS = (
    "format",
    "labels",
    "predicted",
    "label_log_probability",
    "top_probability",
    "squares",
    "label_rank",
)


@dataclass(frozen=True, eq=False)
class Predictions:
    """The predictions of one network for N test images of K classes.

    `labels_N` and `predicted_N` are classes, int64. `label_log_probability_N` is the natural logarithm of
    the probability of the label, `top_probability_N` that of the predicted class, `squares_N` the sum over
    all classes of the squared probability, and `label_rank_N` the number of classes that are more probable than
    the label. `probabilities_NK` is None if a file has only these values. Imported predictions may lack
    values: then probabilities are NaN, and ranks are -1 for wrong predictions.
    """

    labels_N: np.ndarray
    predicted_N: np.ndarray
    label_log_probability_N: np.ndarray
    top_probability_N: np.ndarray
    squares_N: np.ndarray
    label_rank_N: np.ndarray
    num_classes: int
    probabilities_NK: np.ndarray | None = None

    @property
    def correct_N(self) -> np.ndarray:
        correct: np.ndarray = self.labels_N == self.predicted_N
        return correct


def summarise_rows(
    labels_N: np.ndarray, predicted_N: np.ndarray, log_probabilities_NK: np.ndarray
) -> Predictions:
    """Compute `Predictions` from the natural logarithm of each class's probability, in any float type.

    Rows are normalised, since in 16 bits they add up to 1 only up to rounding.
    """
    labels_N, predicted_N = labels_N.astype(np.int64), predicted_N.astype(np.int64)
    logs_NK = log_probabilities_NK.astype(np.float64)
    logs_NK -= np.log(np.exp(logs_NK).sum(axis=1, keepdims=True))
    rows = np.arange(len(labels_N))
    label_logs = logs_NK[rows, labels_N]
    probabilities_NK = np.exp(logs_NK)
    rank = (logs_NK > label_logs[:, None]).sum(axis=1)
    # If two classes are equal in 16 bits, the network may have preferred either.
    rank = np.where(predicted_N == labels_N, 0, np.maximum(rank, 1))
    return Predictions(
        labels_N,
        predicted_N,
        label_logs,
        probabilities_NK[rows, predicted_N],
        np.square(probabilities_NK).sum(axis=1),
        rank,
        logs_NK.shape[1],
        probabilities_NK,
    )


def keep_classes(
    labels_N: np.ndarray,
    predicted_N: np.ndarray,
    num_classes: int,
    top_probability_N: np.ndarray | None = None,
) -> Predictions:
    """`Predictions` of which only the predicted class and, perhaps, its probability are known."""
    labels_N, predicted_N = labels_N.astype(np.int64), predicted_N.astype(np.int64)
    unknown_N = np.full(len(labels_N), np.nan)
    top_N = unknown_N if top_probability_N is None else top_probability_N.astype(np.float64)
    ranks_N = np.where(labels_N == predicted_N, 0, -1)
    return Predictions(labels_N, predicted_N, unknown_N, top_N, unknown_N, ranks_N, num_classes)


def write_predicted_classes(path: Path, found: Predictions) -> PredictionsObservation:
    """As `write_predictions`, for `keep_classes`."""
    integers = np.uint16 if found.num_classes <= 2**16 else np.uint32
    arrays = {
        "format": np.asarray(FORMAT),
        "labels": found.labels_N.astype(integers),
        "predicted": found.predicted_N.astype(integers),
        # -1 stands for unknown: only finite numbers are read.
        "top_probability": np.nan_to_num(found.top_probability_N, nan=-1).astype(np.float32),
    }
    return _write_arrays(path, arrays, whole=False)


def write_predictions(
    path: Path, labels_N: np.ndarray, predicted_N: np.ndarray, log_probabilities_NK: np.ndarray
) -> PredictionsObservation:
    """Write the file atomically; return the record's entry for it.

    Logarithms have 16 bits: a relative precision of 0.05 %, so 0.0002 for a probability of 0.5. Write the file
    before the record. Raises UserError if it can't be written.
    """
    num_images, num_classes = log_probabilities_NK.shape
    whole = num_images * num_classes * 2 <= MAX_ROW_BYTES
    integers = np.uint16 if num_classes <= 2**16 else np.uint32
    arrays = {
        "format": np.asarray(FORMAT),
        "labels": labels_N.astype(integers),
        "predicted": predicted_N.astype(integers),
    }
    if whole:
        logs = np.maximum(log_probabilities_NK, LOWEST_LOG).astype(np.float16)
        arrays["log_probabilities"] = logs
    else:
        arrays |= _summarise_in_parts(labels_N, predicted_N, log_probabilities_NK, integers)
    return _write_arrays(path, arrays, whole)


def _write_arrays(path: Path, arrays: dict[str, np.ndarray], whole: bool) -> PredictionsObservation:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    content = buffer.getvalue()
    write_bytes(path, content)
    digest = hashlib.sha256(content).hexdigest()
    return PredictionsObservation(format=FORMAT, sha256=digest, all_classes=whole)


def _summarise_in_parts(
    labels_N: np.ndarray, predicted_N: np.ndarray, logs_NK: np.ndarray, integers: type
) -> dict[str, np.ndarray]:
    parts = [
        summarise_rows(labels_N[part], predicted_N[part], logs_NK[part])
        for start in range(0, len(labels_N), ROWS_AT_ONCE)
        for part in [slice(start, start + ROWS_AT_ONCE)]
    ]
    types = (np.float32, np.float32, np.float32, integers)
    return {
        name: np.concatenate([getattr(part, f"{name}_N") for part in parts]).astype(kind)
        for name, kind in zip(SUMMARY_ARRAYS[3:], types, strict=True)
    }


def copy_predictions(source: Path, target: Path, record: Record) -> None:
    """Copy the file that `record` names, unless `target` is it already.

    A source that is gone or another file is left alone: what is missing is said where it is read. Raises
    UserError where `target` can't be written.
    """
    kept = record.images and record.images.predictions
    if not kept or _has_digest(target, kept.sha256) or not _has_digest(source, kept.sha256):
        return
    write_bytes(target, source.read_bytes())


def _has_digest(path: Path, sha256: str) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    except OSError:
        return False


def read_predictions(path: Path, record: Record) -> Predictions | None:
    """Read the predictions of a finished training; None if its record has none.

    Raises UserError naming the file if it is missing, damaged, or of another run.
    """
    train, dataset = record.images, record.dataset
    if train is None or dataset is None or train.predictions is None:
        return None
    try:
        content = path.read_bytes()
    except OSError as error:
        gone = isinstance(error, FileNotFoundError)
        problem = "is missing" if gone else f"can't be read ({error.strerror})"
        raise UserError(f"predictions {path} {problem}: copy it to its record again") from error
    if hashlib.sha256(content).hexdigest() != train.predictions.sha256:
        raise UserError(f"predictions {path} are of another run than its record")
    try:
        found = _unpack(content, train.num_test, len(dataset.classes))
    except Exception as error:
        # A damaged zip archive or numpy header can raise anything.
        raise UserError(f"predictions {path} can't be used: {error}") from error
    if not np.array_equal(found.correct_N, unpack_bits(train.test_correct, train.num_test)):
        raise UserError(f"predictions {path} don't agree with their record's test_correct")
    return found


def _unpack(content: bytes, num_images: int, num_classes: int) -> Predictions:
    """Unpack the arrays. Raises any kind of error for files that `write_predictions` didn't write."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        size = sum(member.file_size for member in archive.infolist())
    # Check before unpacking, since a small file can hold a large array.
    if size > num_images * (2 * num_classes + 32) + OVERHEAD_BYTES:
        raise ValueError(f"it holds {size:,} bytes, too many for {num_images:,} images")
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        found = {name: arrays[name] for name in arrays.files}
    if found.get("format", np.asarray(0)) != FORMAT:
        raise ValueError(f"its format must be {FORMAT}, but is {found.get('format')}")
    whole = "log_probabilities" in found
    only_classes = set(found) == set(CLASS_ARRAYS)
    names = ROW_ARRAYS if whole else CLASS_ARRAYS if only_classes else SUMMARY_ARRAYS
    _check_arrays(found, names, num_images, num_classes)
    labels_N, predicted_N = found["labels"], found["predicted"]
    if only_classes:
        top_N = found["top_probability"].astype(np.float64)
        return keep_classes(labels_N, predicted_N, num_classes, np.where(top_N < 0, np.nan, top_N))
    if whole:
        return summarise_rows(labels_N, predicted_N, found["log_probabilities"])
    label_logs, top, squares = (found[name].astype(np.float64) for name in SUMMARY_ARRAYS[3:6])
    labels_N, predicted_N, rank_N = (
        array.astype(np.int64) for array in (labels_N, predicted_N, found["label_rank"])
    )
    return Predictions(labels_N, predicted_N, label_logs, top, squares, rank_N, num_classes)


def _check_arrays(
    arrays: dict[str, np.ndarray], names: tuple[str, ...], num_images: int, num_classes: int
) -> None:
    if set(arrays) != set(names):
        raise ValueError(f"it must hold {', '.join(names)}, but holds {', '.join(arrays)}")
    for name in names[1:]:
        array = arrays[name]
        rows = name == "log_probabilities"
        shape = (num_images, num_classes) if rows else (num_images,)
        if array.shape != shape or array.dtype.kind not in "uf":
            raise ValueError(
                f"{name} must be numbers of shape {shape}, but is {array.dtype} of {array.shape}"
            )
        if not np.isfinite(array).all():
            raise ValueError(f"{name} must be finite")
    if max(arrays["labels"].max(), arrays["predicted"].max()) >= num_classes:
        raise ValueError(f"classes must be 0 to {num_classes - 1}, but got others")
