"""The weights of a training of this study, checked against its record."""

from pathlib import Path

from resnest_bench import records
from resnest_bench.errors import UserError
from resnest_bench.models.weight_files import load_weights_file
from resnest_bench.models.weights import file_sha256
from resnest_bench.paths import Job, StudyPaths
from resnest_bench.records import Record
from resnest_bench.records.observations import WeightsObservation


class SourceFailedError(RuntimeError):
    """The training that provides initial weights or a teacher has failed."""


def find_trained_weights(paths: StudyPaths, record: Record) -> tuple[Path, str]:
    """Return the weights file of a finished training, and its SHA-256 (hex).

    Raises UserError if the training kept none, or if the file is missing or another one.
    """
    assert record.train is not None, "only finished trainings have weights"
    job, wanted = record.job.job, record.train.final_weights_sha256
    path = paths.weights(job)
    again = f"delete {paths.record(job)} and run the study again, which trains it"
    if wanted is None:
        raise UserError(
            f"weights must have been kept to use a network, but {job} kept none, as those before this release or "
            f"with keep_weights: false: remove keep_weights: false if it is there, {again}"
        )
    if not path.exists():
        raise UserError(
            f"the weights of {job} must be at {path}, but are not: copy them there, or {again}"
        )
    came = file_sha256(path)
    if came != wanted:
        raise UserError(
            f"{path} must have SHA-256 {wanted}, which its record names, but has {came}: {again}"
        )
    return path, came


def load_trained_weights(source: Job, paths: StudyPaths) -> tuple[dict, WeightsObservation]:
    """Load the final weights of a training. Raises UserError, and SourceFailedError if it has failed."""
    record = records.read(paths.record(source), source)
    if record.status == "failed":
        assert record.failure is not None, "`read` takes no other"
        raise SourceFailedError(f"its source failed: {source}: {record.failure.reason}")
    path, sha256 = find_trained_weights(paths, record)
    return load_weights_file(path), WeightsObservation(source=f"train {source}", sha256=sha256)
