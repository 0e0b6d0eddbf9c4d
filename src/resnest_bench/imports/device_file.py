"""The results file of a bundle's runner, checked at the door."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from resnest_bench.bundle import runner
from resnest_bench.bundle.measuring import MIN_SAMPLES_AT_TIME_LIMIT
from resnest_bench.errors import UserError, first_problem
from resnest_bench.files import strict_json
from resnest_bench.imports.tables import read_bytes
from resnest_bench.records.ceilings import Rate
from resnest_bench.records.observations import (
    Count,
    DatasetIdentity,
    DeviceState,
    NonNegative,
    Positive,
    RecordModel,
    Time,
)

Samples = Annotated[list[Rate], Field(min_length=1)]


class Image(RecordModel):
    size: Positive
    channels: Positive


class Network(RecordModel):
    """One network of the bundle, as its list of contents says."""

    variant: str
    file: str
    sha256: str
    spec: dict[str, Any]
    digest: str
    weights: str
    num_params: Count
    num_macs: Count
    num_activations: Count
    uncounted_operators: dict[str, Count]
    size_args: dict[str, Any]
    logits: list[float]
    num_operators: Count


class Contents(RecordModel):
    """The bundle's list of contents."""

    format: int
    made_by: str
    study: str
    dataset: DatasetIdentity
    image: Image
    num_classes: Positive
    protocol_name: str
    protocol: dict[str, Any]
    rounds: Positive
    networks: list[Network]
    reference: dict[str, Any]
    probes: list[dict[str, Any]]
    copy_bytes: Positive
    tolerance: NonNegative
    files: dict[str, str]


class Device(RecordModel):
    name: str = Field(min_length=1, max_length=runner.MAX_NAME)
    cpu_model: str
    threads: Positive
    os: str
    python: str
    versions: dict[str, str]
    facts: dict[str, str]


class CeilingRates(RecordModel):
    flops_per_second: Rate
    bytes_per_second: Rate
    operator_ms: Rate


class Cell(RecordModel):
    batch_size: Positive
    first_call_ms: NonNegative
    num_warmup: Count
    samples_ms: Samples
    output_error: NonNegative


class Unavailable(RecordModel):
    batch_size: Positive
    reason: str


class NetworkRound(RecordModel):
    """What was measured of one network in one round."""

    variant: str
    digest: str
    sha256: str
    round: Count
    started_at: Time
    finished_at: Time
    build_ms: NonNegative
    first_call_ms: NonNegative
    cold_start_ms: NonNegative
    cells: list[Cell]
    unavailable: list[Unavailable]
    reference_before_ms: Samples
    reference_after_ms: Samples
    peak_rss_bytes: Count
    state_before: DeviceState
    state_after: DeviceState


class DeviceFile(RecordModel):
    """Everything in a results file. `sha256` is that of the file itself."""

    kind: str
    format: int
    bundle_sha256: str
    bundle: Contents
    device: Device
    started_at: Time
    ceilings: CeilingRates | None
    jobs: list[NetworkRound]


def read_device_file(path: Path) -> tuple[DeviceFile, str]:
    """Read the file and its SHA-256. Raises UserError that names the rule, what came, and what to do."""
    content = read_bytes(path)
    try:
        raw = strict_json(content.decode("utf-8"))
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise UserError(
            f"{path} must be the JSON file that run.py of a bundle has written, but is not JSON ({error}): "
            "copy it from the device again"
        ) from error
    kind = raw.get("kind") if isinstance(raw, dict) else None
    if kind != runner.KIND:
        raise UserError(
            f"a .json file to import must be one that run.py of a bundle has written (kind {runner.KIND!r}), "
            f"but {path} has {kind!r}: give results as CSV, or make a bundle (docs/devices.md)"
        )
    if raw.get("format") != runner.FORMAT:
        raise UserError(
            f"{path} must have format {runner.FORMAT}, but has {raw.get('format')!r}: it comes from another "
            "release; make a new bundle with this one, or import it with that one"
        )
    try:
        found = DeviceFile.model_validate(raw, strict=True)
    except ValidationError as error:
        raise UserError(
            f"{path}: {first_problem(error)}: the file was changed; copy it from the device again"
        ) from error
    _check_consistent(path, found, raw["bundle"])
    return found, hashlib.sha256(content).hexdigest()


def _check_consistent(path: Path, found: DeviceFile, contents: Mapping[str, Any]) -> None:
    again = "copy it from the device again, or measure again"
    if runner.digest(contents) != found.bundle_sha256:
        raise UserError(
            f"{path} must hold its bundle's list of contents unchanged, but its digest is another: {again}"
        )
    networks = {one.variant: one for one in found.bundle.networks}
    for network in networks.values():
        if runner.digest(network.spec) != network.digest:
            raise UserError(
                f"{path}: the digest of {network.variant} must be that of its spec, but is another: {again}"
            )
    seen: set[tuple[str, int]] = set()
    for one in found.jobs:
        where = f"{path}: {one.variant} in round {one.round}"
        known = networks.get(one.variant)
        if known is None:
            raise UserError(f"{where} must be a network of the bundle, but is none: {again}")
        if (one.digest, one.sha256) != (known.digest, known.sha256):
            other = next((n.variant for n in networks.values() if n.digest == one.digest), None)
            what = f"that of {other}" if other and other != one.variant else "another"
            raise UserError(
                f"{where} must have the digest of that network, but has {what}: {again}"
            )
        if (one.variant, one.round) in seen:
            raise UserError(f"{where} must come once, but comes twice: {again}")
        seen.add((one.variant, one.round))
        fewest = min(MIN_SAMPLES_AT_TIME_LIMIT, int(found.bundle.protocol.get("min_samples", 1)))
        for cell in one.cells:
            if len(cell.samples_ms) < fewest:
                raise UserError(
                    f"{where} must have {fewest} samples or more at batch size {cell.batch_size}, but has "
                    f"{len(cell.samples_ms)}: {again}"
                )
        if not one.cells and not one.unavailable:
            raise UserError(f"{where} must hold a batch size, but holds none: {again}")
    if not found.jobs:
        raise UserError(
            f"{path} must hold a measurement, but holds none: let run.py finish a network first"
        )
