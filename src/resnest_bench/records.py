"""The record: one JSON file for one job, raw and unrounded (floor 0).

A record holds what was asked (`spec`), what was seen (`observations`) and on what (`environment`).
Nothing derived is stored: means, percentiles and verdicts are computed when tables are made.
"""

import base64
import json
import os
import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from resnest_bench.errors import UserError
from resnest_bench.paths import Job

SCHEMA_VERSION = 1

Finite = Annotated[float, Field(allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]


class RecordModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class JobIdentity(RecordModel):
    kind: Literal["train", "latency", "finetune"]
    dataset: str
    recipe: str = Field(description="Training recipe, or the protocol of a latency")
    variant: str
    seed: Count = Field(description="Random seed, or the round of a latency measurement")

    @property
    def job(self) -> Job:
        return Job(**self.model_dump())


class DatasetIdentity(RecordModel):
    """The arrays that a job saw."""

    name: str
    label: str = Field(description="How the data must be called wherever a figure is shown")
    fingerprint: str = Field(description="SHA-256 over images, labels and class names")
    num_train: Count = Field(description="Training images that the job trained on")
    num_validation: Count = Field(description="Training images held out by seed; 0 for none")
    num_test: Count
    classes: list[str]


class EpochObservation(RecordModel):
    epoch: Annotated[int, Field(ge=1)]
    learning_rate: NonNegative = Field(description="At the first step of the epoch")
    train_loss: Finite = Field(description="Mean over the images seen, in nats")
    train_accuracy: Fraction = Field(description="Running accuracy, in training mode")
    validation_accuracy: Fraction | None
    test_accuracy: Fraction
    test_loss: Finite = Field(description="Mean cross entropy in nats")
    train_seconds: NonNegative
    evaluation_seconds: NonNegative
    images_per_second: NonNegative


class WeightsObservation(RecordModel):
    source: str = Field(description="hub NAME, file PATH or train JOB")
    sha256: str | None
    license: str | None = None


class ProbeObservation(RecordModel):
    """One way to run the steps of a training, timed before it began."""

    layout: str
    mode: str
    batch_size: Count
    step_ms: NonNegative = Field(description="Median of a few steps, taken in turn with the others")


class ExecutionObservation(RecordModel):
    """How a training was run. It changes results by rounding alone; precision is the recipe's."""

    layout: str
    mode: str
    probe: list[ProbeObservation] = Field(description="Empty where the recipe leaves nothing open")
    seeds_at_once: Annotated[int, Field(ge=1)] = Field(
        default=1, description="Trainings that shared the device in this process"
    )


class TrainObservations(RecordModel):
    num_params: Count
    num_trainable_params: Count
    epochs: list[EpochObservation]
    num_test: Count
    test_correct: str = Field(
        description="Final model, one bit an image in test order: base64 of numpy.packbits"
    )
    wall_seconds: NonNegative = Field(description="Sum over all sessions, if it was resumed")
    num_resumes: Count
    initial_weights: WeightsObservation | None
    final_weights_sha256: str | None = Field(description="Of the kept .safetensors file, if any")
    execution: ExecutionObservation | None = Field(
        default=None, description="Null in records from before it was kept"
    )


class DeviceState(RecordModel):
    """What the device said of itself. Null where it says nothing."""

    sm_clock_mhz: Finite | None = None
    memory_clock_mhz: Finite | None = None
    temperature_c: Finite | None = None
    power_w: Finite | None = None
    throttle_reasons: list[str] | None = None
    num_other_processes: Count | None = None
    cpu_load_1min: Finite | None = None


class LatencyCell(RecordModel):
    """Steady state at one batch size, precision, layout and mode."""

    batch_size: Annotated[int, Field(ge=1)]
    precision: str
    layout: str
    mode: str
    first_call_ms: NonNegative = Field(
        description="First call in this setting: compilation, capture, algorithm choice"
    )
    num_warmup: Count
    samples_ms: list[NonNegative] = Field(description="Wall clock, synchronised at both ends")
    device_samples_ms: list[NonNegative] | None = Field(description="CUDA events; null on a CPU")
    peak_memory_bytes: Count | None = Field(
        description="GPU: peak allocated. CPU: null, since a process has one peak, not one a cell"
    )
    output_error: NonNegative | None = Field(
        default=None, description="||logits - eager logits|| / ||eager logits||; null for eager"
    )


class ReferenceTiming(RecordModel):
    """A fixed network timed beside the variant: how steady was the machine?"""

    model: str
    batch_size: int
    before_ms: list[NonNegative]
    after_ms: list[NonNegative]


class PaperTiming(RecordModel):
    """The paper's figure: time of consecutive batches, divided by the number of images."""

    batch_size: int
    num_batches: Annotated[int, Field(ge=1)]
    total_ms: NonNegative


class UnavailableCell(RecordModel):
    """A setting that could not be measured here, and why."""

    batch_size: int | None
    precision: str
    layout: str
    mode: str
    reason: str


class LatencyObservations(RecordModel):
    image_size: int
    num_classes: int
    num_params: Count
    num_macs: Count = Field(description="Multiply-accumulates of one image")
    num_activations: Count = Field(
        description="Elements of the outputs of convolutions and linears"
    )
    uncounted_operators: dict[str, int] = Field(description="Operator to number of calls")
    build_ms: NonNegative
    cold_start_ms: NonNegative = Field(
        description="From before the model is built to its first output, batch 1"
    )
    first_call_ms: NonNegative = Field(description="The first call's share of the cold start")
    cells: list[LatencyCell]
    unavailable: list[UnavailableCell]
    paper: PaperTiming | None
    reference: ReferenceTiming
    peak_rss_bytes: Count = Field(description="The whole process, all cells")
    state_before: DeviceState
    state_after: DeviceState


class Environment(RecordModel):
    git_commit: str | None
    git_dirty: bool | None
    python: str
    versions: dict[str, str]
    os: str
    device_kind: Literal["cpu", "cuda"]
    device_name: str
    device_index: int | None
    cuda: str | None
    cudnn: int | None
    driver: str | None
    cpu_model: str
    num_cpu_threads: int
    allocator: str | None = Field(
        default=None, description="How malloc was set; null: as the system has it"
    )
    precision_flags: dict[str, bool | str]


class Failure(RecordModel):
    reason: str
    epoch: int | None = None
    step: int | None = None


class Record(RecordModel):
    """One job, whole. `spec` is compared by value with the study's: another value means stale."""

    schema_version: Literal[1] = SCHEMA_VERSION
    job: JobIdentity
    status: Literal["ok", "failed"]
    failure: Failure | None
    spec: dict[str, Any]
    code_digest: str
    dataset: DatasetIdentity | None
    train: TrainObservations | None
    latency: LatencyObservations | None
    environment: Environment
    started_at: str = Field(description="UTC, ISO 8601")
    finished_at: str = Field(description="UTC, ISO 8601")


def write_text(path: Path, text: str) -> None:
    """`write_bytes` of UTF-8."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write `path` at once or not at all: no reader ever sees half a file.

    Raises UserError where the folder can't be written or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise UserError(_cannot_write(path, error)) from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes a file that its owner alone can read.
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        raise UserError(_cannot_write(path, error)) from error
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def _cannot_write(path: Path, error: OSError) -> str:
    return (
        f"cannot write {path}: {error.strerror}. "
        "Free space or make the folder writable, then run the same command again"
    )


def check_writable(folder: Path, needed_bytes: int = 0) -> None:
    """Raise UserError unless `folder` can be written to and has `needed_bytes` free."""
    probe = folder / ".write-probe"
    write_text(probe, "resnest-bench\n")
    probe.unlink(missing_ok=True)
    stat = os.statvfs(folder)
    free = stat.f_bavail * stat.f_frsize
    if free < needed_bytes:
        raise UserError(
            f"{folder} has {free / 2**20:.0f} MiB free, but this job needs "
            f"{needed_bytes / 2**20:.0f} MiB: free space or choose another folder"
        )


def write(path: Path, record: Record) -> None:
    """Write a record atomically."""
    text = json.dumps(record.model_dump(mode="json"), indent=1, allow_nan=False)
    write_text(path, text + "\n")


def read(path: Path, expected: Job | None = None) -> Record:
    """Read and check a record. Raises UserError that names the file, the field and the reason."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except FileNotFoundError as error:
        raise UserError(f"record {path} does not exist: run the job that writes it") from error
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise UserError(
            f"record {path} is not JSON ({error}): delete it and rerun its job"
        ) from error
    if not isinstance(raw, dict):
        raise UserError(f"record {path} must be a JSON object, but holds a {type(raw).__name__}")
    version = raw.get("schema_version")
    if version != SCHEMA_VERSION:
        raise UserError(
            f"record {path}: schema_version must be {SCHEMA_VERSION}, but is {version!r}: "
            "rerun its job, or read it with the release that wrote it"
        )
    try:
        record = Record.model_validate(raw)
    except ValidationError as error:
        raise UserError(f"record {path}: {first_problem(error)}") from error
    problem = _inconsistency(record, expected)
    if problem:
        raise UserError(f"record {path}: {problem}")
    return record


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _inconsistency(record: Record, expected: Job | None) -> str | None:
    try:
        job = record.job.job
    except ValueError as error:
        return f"job: {error}"
    if expected is not None and job != expected:
        return f"job is {job}, but the file's place says {expected}: it was moved or renamed"
    if record.status == "failed":
        return None if record.failure else "failure must say a reason, since status is 'failed'"
    wanted = "latency" if job.kind == "latency" else "train"
    if getattr(record, wanted) is None:
        return f"{wanted} must hold observations, since status is 'ok', but is null"
    if wanted == "train":
        return _bits_problem(record.train)
    return None


def _bits_problem(train: TrainObservations) -> str | None:
    if not train.epochs:
        return "train.epochs must hold at least one epoch"
    try:
        correct = unpack_bits(train.test_correct, train.num_test)
    except ValueError as error:
        return f"train.test_correct: {error}"
    if abs(correct.mean() - train.epochs[-1].test_accuracy) > 1e-9:
        return (
            f"train.test_correct has accuracy {correct.mean():.6f}, but the last epoch's "
            f"test_accuracy is {train.epochs[-1].test_accuracy:.6f}"
        )
    return None


def first_problem(error: ValidationError) -> str:
    """The first problem of a pydantic error as 'field: rule, but came VALUE'."""
    problems = error.errors()
    problem = problems[0]
    field = ".".join(str(part) for part in problem["loc"]) or "(whole file)"
    message = problem["msg"].removeprefix("Value error, ")
    came = problem.get("input")
    if problem["type"] in ("missing", "value_error") or isinstance(came, dict | list):
        text = f"{field}: {message}"
    else:
        text = f"{field}: {message}, but came {came!r}"
    return text if len(problems) == 1 else f"{text} (and {len(problems) - 1} more)"


def pack_bits(correct_N: np.ndarray) -> str:
    """Booleans (N,) as base64 text; `unpack_bits` inverts it."""
    return base64.b64encode(np.packbits(np.asarray(correct_N, dtype=bool))).decode()


def unpack_bits(text: str, count: int) -> np.ndarray:
    """Booleans (count,) from `pack_bits`. Raises ValueError where the length doesn't fit."""
    packed = np.frombuffer(base64.b64decode(text, validate=True), dtype=np.uint8)
    if len(packed) != -(-count // 8) or not count:
        raise ValueError(f"{count} images take {-(-count // 8)} bytes, but came {len(packed)}")
    return np.unpackbits(packed, count=count).astype(bool)


def json_schema() -> dict[str, Any]:
    """The published JSON Schema of a record."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"resnest-bench record, schema version {SCHEMA_VERSION}",
        **Record.model_json_schema(),
    }
