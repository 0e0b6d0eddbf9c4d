"""The weights of a training of this study, checked against its record."""

from resnest_bench import records
from resnest_bench.errors import UserError
from resnest_bench.models.weight_files import load_weights_file
from resnest_bench.models.weights import file_sha256
from resnest_bench.paths import Job, StudyPaths
from resnest_bench.records.observations import WeightsObservation


class SourceFailedError(RuntimeError):
    """The training that provides initial weights or a teacher has failed."""


def load_trained_weights(source: Job, paths: StudyPaths) -> tuple[dict, WeightsObservation]:
    record = records.read(paths.record(source), source)
    if record.status == "failed":
        assert record.failure is not None, "`read` takes no other"
        raise SourceFailedError(f"its source failed: {source}: {record.failure.reason}")
    assert record.train is not None, "`read` takes no other"
    path, wanted = paths.weights(source), record.train.final_weights_sha256
    if not path.exists() or wanted is None:
        raise UserError(
            f"the weights of {source} are not at {path}: delete {paths.record(source)} and run the "
            "workflow again, which trains them"
        )
    came = file_sha256(path)
    if came != wanted:
        raise UserError(
            f"{path} must have SHA-256 {wanted}, which its record names, but has {came}: delete "
            f"{paths.record(source)} and run the workflow again"
        )
    return load_weights_file(path), WeightsObservation(source=f"train {source}", sha256=came)
