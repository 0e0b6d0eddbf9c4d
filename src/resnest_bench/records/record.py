"""The record: one JSON file per job, with raw, unrounded values (floor 0).

A record holds the specification of the job (`spec`), what was observed (`train` or `latency`) and the
`environment`. Nothing derived is stored: means, percentiles and verdicts are computed for the tables.
"""

import base64
import json
import re
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from pydantic import Field, ValidationError

from resnest_bench.errors import UserError, first_problem
from resnest_bench.files import strict_json, write_text
from resnest_bench.json_values import check_json_value
from resnest_bench.paths import Job
from resnest_bench.records.consumption import Consumption
from resnest_bench.records.deploy import DeployObservations
from resnest_bench.records.elsewhere import MeasuredElsewhere
from resnest_bench.records.imports import ImageResults, ImportedResults
from resnest_bench.records.observations import (
    DatasetIdentity,
    Environment,
    Failure,
    JobIdentity,
    LatencyObservations,
    RecordModel,
    Time,
    TrainObservations,
)

SCHEMA_VERSION: Final = 1
# The fields with observations. That of fine-tunings is `train` too.
PARTS = ("train", "latency", "deploy")
# Half of a surrogate pair, or NUL. Only if the text contains one, all values must be checked for it.
ODD_ESCAPE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")


class Record(RecordModel):
    """One job. A record is stale if its `spec` differs from the study's in a value that affects results."""

    schema_version: Literal[1] = SCHEMA_VERSION
    job: JobIdentity
    status: Literal["ok", "failed"]
    failure: Failure | None
    spec: dict[str, Any]
    code_digest: str
    dataset: DatasetIdentity | None
    train: TrainObservations | None
    latency: LatencyObservations | None
    environment: Environment | None = Field(
        description="Null in an imported record: the machine and its software are unknown"
    )
    started_at: Time | None = Field(description="UTC, ISO 8601; null in an imported record")
    finished_at: Time | None = Field(description="UTC, ISO 8601; null in an imported record")
    deploy: DeployObservations | None = Field(
        default=None, description="Of a trained network in one deployment mode; null for other jobs"
    )
    consumption: Consumption | None = Field(
        default=None,
        description="Memory and energy of the cells of a latency; null: the protocol doesn't ask for them",
    )
    imported: ImportedResults | None = Field(
        default=None, description="Results from elsewhere; null: this program made the record"
    )
    elsewhere: MeasuredElsewhere | None = Field(
        default=None, description="A bundle's results from another device; null: measured by a job"
    )

    @property
    def images(self) -> TrainObservations | DeployObservations | ImageResults | None:
        """Which test images the network classifies correctly, where that is known."""
        return self.train or self.deploy or (self.imported.images if self.imported else None)

    @property
    def is_trained(self) -> bool:
        """Whether it holds results of a trained network, its own or imported ones."""
        return self.train is not None or (
            self.imported is not None and self.job.kind != "latency" and self.status == "ok"
        )

    @property
    def dataset_label(self) -> str | None:
        """What figures call the data, as far as the record says it."""
        if self.dataset:
            return self.dataset.label
        return self.imported.dataset_label if self.imported else None


def write(path: Path, record: Record) -> None:
    """Write a record atomically. Raises UserError if that fails."""
    text = json.dumps(record.model_dump(mode="json"), indent=1, allow_nan=False)
    write_text(path, text + "\n")


def read(path: Path, expected: Job | None = None) -> Record:
    """Read and check a record. Raises UserError with the file, the field and the reason.

    `expected` is the job that the path belongs to.
    """
    try:
        text = path.read_text(encoding="utf-8")
        raw = strict_json(text)
    except FileNotFoundError as error:
        raise UserError(f"record {path} does not exist: run the job that writes it") from error
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise UserError(
            f"record {path} is not JSON ({error}): delete it and rerun its job"
        ) from error
    if not isinstance(raw, dict):
        raise UserError(f"record {path} must be a JSON object, but is a {type(raw).__name__}")
    version = raw.get("schema_version")
    # `True == 1`, so check the type too.
    if type(version) is not int or version != SCHEMA_VERSION:
        raise UserError(
            f"record {path}: schema_version must be {SCHEMA_VERSION}, but is {version!r}: "
            "rerun its job, or read it with the release that wrote it"
        )
    try:
        # Strict: neither true nor "3" is a number.
        record = Record.model_validate(raw, strict=True)
        check_json_value(record.spec, "spec")
        if ODD_ESCAPE.search(text):
            check_json_value(raw)
    except ValidationError as error:
        raise UserError(f"record {path}: {first_problem(error)}") from error
    except ValueError as error:
        raise UserError(f"record {path}: {error}") from error
    problem = _find_inconsistency(record, expected)
    if problem:
        raise UserError(f"record {path}: {problem}")
    return record


def _find_inconsistency(record: Record, expected: Job | None) -> str | None:
    try:
        job = record.job.job
    except ValueError as error:
        return f"job: {error}"
    if expected is not None and job != expected:
        return f"job is {job}, but the path is that of {expected}: it was moved or renamed"
    if record.elsewhere and (record.imported or job.kind != "latency"):
        return "elsewhere must be null, unless the record is a latency that a bundle measured"
    if record.imported:
        return _imported_problem(record, record.imported)
    if record.environment is None or record.started_at is None or record.finished_at is None:
        return (
            "environment, started_at and finished_at must be given, unless the record is imported"
        )
    if record.status == "failed":
        return _failed_problem(record)
    if record.failure:
        return "failure must be null if status is 'ok'"
    wanted = job.kind if job.kind in PARTS else "train"
    if getattr(record, wanted) is None:
        return f"{wanted} must hold observations if status is 'ok', but is null"
    for other in PARTS:
        if other != wanted and getattr(record, other) is not None:
            return f"{other} must be null if the job's kind is {job.kind}"
    if record.deploy is not None:
        return _deploy_problem(record.deploy) or _classes_problem(record.deploy, record.dataset)
    if record.train is None:
        return None
    return _training_problem(record.train) or _classes_problem(record.train, record.dataset)


def _deploy_problem(deploy: DeployObservations) -> str | None:
    try:
        unpack_bits(deploy.test_correct, deploy.num_test)
    except ValueError as error:
        return f"deploy.test_correct: {error}"
    return None


def _failed_problem(record: Record) -> str | None:
    if not record.failure:
        return "failure must give a reason if status is 'failed'"
    if record.train or record.latency or record.deploy:
        return "train, latency and deploy must be null if status is 'failed'"
    return None


def _training_problem(train: TrainObservations) -> str | None:
    if [epoch.epoch for epoch in train.epochs] != list(range(1, len(train.epochs) + 1)):
        return "train.epochs must be numbered 1, 2, 3 and so on"
    if train.num_trainable_params > train.num_params:
        return "train.num_trainable_params must be at most num_params"
    return _bits_problem(train)


def _imported_problem(record: Record, imported: ImportedResults) -> str | None:
    own = record.train or record.latency or record.deploy or record.environment
    if record.status != "ok" or own:
        return "an imported record has status 'ok', and null for what a job of ours observes"
    if any(not cell.samples_ms and not cell.statistics_ms for cell in imported.cells):
        return "imported.cells must each have samples_ms or statistics_ms"
    images = imported.images
    if images is None:
        return None
    if record.dataset is None:
        return "dataset must name the classes if imported.images is given"
    try:
        unpack_bits(images.test_correct, images.num_test)
    except ValueError as error:
        return f"imported.images.test_correct: {error}"
    return _classes_problem(images, record.dataset)


def _classes_problem(
    train: TrainObservations | DeployObservations | ImageResults, dataset: DatasetIdentity | None
) -> str | None:
    """Whether counts per class, if stored, match the classes and the number of test images."""
    part = {TrainObservations: "train", DeployObservations: "deploy"}.get(
        type(train), "imported.images"
    )
    counts = {
        f"{part}.test_predictions_per_class": train.test_predictions_per_class,
        "dataset.test_images_per_class": dataset.test_images_per_class if dataset else [],
    }
    for name, per_class in counts.items():
        wanted = len(dataset.classes) if dataset else 0
        if per_class and (len(per_class), sum(per_class)) != (wanted, train.num_test):
            return f"{name} must be {wanted} counts whose sum is {part}.num_test"
    return None


def _bits_problem(train: TrainObservations) -> str | None:
    if not train.epochs:
        return "train.epochs must have at least one epoch"
    try:
        correct = unpack_bits(train.test_correct, train.num_test)
    except ValueError as error:
        return f"train.test_correct: {error}"
    accuracy = train.epochs[-1].test_accuracy
    if accuracy is None or abs(correct.mean() - accuracy) > 1e-9:
        return (
            f"train.test_correct has accuracy {correct.mean():.6f}, but the last epoch's "
            f"test_accuracy is {accuracy}"
        )
    return None


def pack_bits(correct_N: np.ndarray) -> str:
    """Encode booleans (N,) as base64 text. The inverse is `unpack_bits`."""
    packed = np.packbits(np.asarray(correct_N, dtype=bool))
    return base64.b64encode(packed.tobytes()).decode()


def unpack_bits(text: str, count: int) -> np.ndarray:
    """Decode booleans (count,) from `pack_bits`. Raises ValueError if the length is wrong."""
    packed = np.frombuffer(base64.b64decode(text, validate=True), dtype=np.uint8)
    if len(packed) != -(-count // 8) or not count:
        raise ValueError(f"{count} images need {-(-count // 8)} bytes, but got {len(packed)}")
    return np.unpackbits(packed, count=count).astype(bool)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a record."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"resnest-bench record, schema version {SCHEMA_VERSION}",
        **Record.model_json_schema(),
    }
