"""How far a training is that still runs (floor 0): a small file beside the records, for onlookers.

No result is taken from it: records are results, checkpoints are what a training resumes from.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from resnest_bench import records
from resnest_bench.errors import UserError
from resnest_bench.observations import EpochObservation, JobIdentity, RecordModel, Time
from resnest_bench.paths import Job


class LiveProgress(RecordModel):
    """Epochs so far of one seed, as its record will hold them."""

    job: JobIdentity
    num_epochs: Annotated[int, Field(ge=1)] = Field(description="That the recipe asks for")
    epochs: list[EpochObservation]
    dataset_label: str
    device_kind: Literal["cpu", "cuda"]
    device_name: str
    updated_at: Time = Field(description="UTC, ISO 8601")


def write_progress(path: Path, progress: LiveProgress) -> None:
    """Write at once or not at all."""
    records.write_text(path, progress.model_dump_json() + "\n")


def read_progress(path: Path, expected: Job) -> LiveProgress:
    """Read and check. Raises UserError that names the file and the reason."""
    try:
        progress = LiveProgress.model_validate_json(path.read_bytes(), strict=True)
        job = progress.job.job
    except OSError as error:
        raise UserError(f"progress {path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise UserError(f"progress {path}: {records.first_problem(error)}") from error
    except ValueError as error:
        raise UserError(f"progress {path}: job: {error}") from error
    if job != expected:
        raise UserError(f"progress {path}: job is {job}, but the file's place says {expected}")
    return progress
