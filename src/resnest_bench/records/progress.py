"""How far a training is that still runs (floor 0): a small file beside the records, for onlookers.

No result is taken from it: records are results, checkpoints are what a training resumes from.
"""

import os
import platform
from pathlib import Path
from typing import Annotated, Literal

import psutil
from pydantic import Field, ValidationError

from resnest_bench import files
from resnest_bench.errors import UserError, first_problem
from resnest_bench.paths import Job
from resnest_bench.records.observations import EpochObservation, JobIdentity, RecordModel, Time

# Clocks are set, and a start is computed from the time of the boot.
SAME_START_SECONDS = 60.0


class Writer(RecordModel):
    """The process that trains: whoever is on the same machine can ask whether it still does."""

    machine: str
    pid: int
    started: float = Field(
        description="Seconds since 1970: a process that comes later may get the same number"
    )


class LiveProgress(RecordModel):
    """Epochs so far of one seed, as its record will hold them."""

    job: JobIdentity
    num_epochs: Annotated[int, Field(ge=1)] = Field(description="That the recipe asks for")
    epochs: list[EpochObservation]
    dataset_label: str
    device_kind: Literal["cpu", "cuda"]
    device_name: str
    updated_at: Time = Field(description="UTC, ISO 8601")
    writer: Writer | None = None

    @property
    def is_alive(self) -> bool | None:
        """Whether the process that wrote this still runs; None where it can't be asked from here."""
        if self.writer is None or self.writer.machine != _name_machine():
            return None
        return _is_running(self.writer)


def _name_machine() -> str:
    """The host, and the numbering of its processes: a container has one of its own."""
    try:
        numbering = os.readlink("/proc/self/ns/pid")
    except OSError:
        numbering = ""
    return f"{platform.node()} {numbering}".strip()


def _this_process() -> Writer:
    process = psutil.Process()
    return Writer(machine=_name_machine(), pid=process.pid, started=process.create_time())


def _is_running(writer: Writer) -> bool:
    try:
        process = psutil.Process(writer.pid)
        is_same = abs(process.create_time() - writer.started) < SAME_START_SECONDS
        return is_same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        # It is there, but somebody else's.
        return True


def write_progress(path: Path, progress: LiveProgress) -> None:
    """Write at once or not at all, as progress of this process."""
    own = progress.model_copy(update={"writer": _this_process()})
    files.write_text(path, own.model_dump_json() + "\n")


def read_progress(path: Path, expected: Job) -> LiveProgress:
    """Read and check. Raises UserError that names the file and the reason."""
    try:
        progress = LiveProgress.model_validate_json(path.read_bytes(), strict=True)
        job = progress.job.job
    except OSError as error:
        raise UserError(f"progress {path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise UserError(f"progress {path}: {first_problem(error)}") from error
    except ValueError as error:
        raise UserError(f"progress {path}: job: {error}") from error
    if job != expected:
        raise UserError(f"progress {path}: job is {job}, but the file's place says {expected}")
    return progress
