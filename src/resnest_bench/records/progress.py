"""The progress of an unfinished training (floor 0), in a small file for the displays.

It is neither a result (see records) nor used to resume a training (see checkpoints).
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

# The start of a process is computed from the boot time, and changes a little if the clock is set.
SAME_START_SECONDS = 60.0


class Writer(RecordModel):
    """The process that trains, so that others on the same machine can check whether it is still running."""

    machine: str
    pid: int
    started: float = Field(
        description="Seconds since 1970, since a later process may get the same pid"
    )


class LiveProgress(RecordModel):
    """The epochs of one seed so far, in the form of its record."""

    job: JobIdentity
    num_epochs: Annotated[int, Field(ge=1)] = Field(description="Of the recipe")
    epochs: list[EpochObservation]
    dataset_label: str
    device_kind: Literal["cpu", "cuda"]
    device_name: str
    updated_at: Time = Field(description="UTC, ISO 8601")
    writer: Writer | None = None

    @property
    def is_alive(self) -> bool | None:
        """Whether the process that wrote this is still running; None if that is unknown here."""
        if self.writer is None or self.writer.machine != _name_machine():
            return None
        return _is_running(self.writer)


def _name_machine() -> str:
    """The host name and the PID namespace, since a container numbers its own processes."""
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = ""
    return f"{platform.node()} {namespace}".strip()


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
        # The process exists, but belongs to another user.
        return True


def write_progress(path: Path, progress: LiveProgress) -> None:
    """Write atomically, with this process as the writer. Raises UserError if that fails."""
    own = progress.model_copy(update={"writer": _this_process()})
    files.write_text(path, own.model_dump_json() + "\n")


def read_progress(path: Path, expected: Job) -> LiveProgress:
    """Read and check a progress file. Raises UserError with the file and the reason."""
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
        raise UserError(f"progress {path}: job is {job}, but the path is that of {expected}")
    return progress
