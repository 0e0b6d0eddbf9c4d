"""A bundle's results from another device: records of the study's own networks, next to its own latencies.

The experiment of a device is the protocol's name and the device's, like `default+Raspberry-Pi-5`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resnest_bench import records
from resnest_bench.errors import UserError
from resnest_bench.imports.assemble import make_name
from resnest_bench.imports.device_file import DeviceFile, Network, NetworkRound, read_device_file
from resnest_bench.imports.runs import now
from resnest_bench.imports.writing import Target, merge_blocks
from resnest_bench.paths import Job, check_name
from resnest_bench.records import Record
from resnest_bench.records.ceilings import Ceilings
from resnest_bench.records.elsewhere import MeasuredElsewhere
from resnest_bench.records.observations import (
    Environment,
    JobIdentity,
    LatencyCell,
    LatencyObservations,
    ReferenceTiming,
    UnavailableCell,
)
from resnest_bench.specs import ImportedBlock, StudySpec
from resnest_bench.specs.load import study_from_config
from resnest_bench.status.changes import find_change
from resnest_bench.words import count_noun, list_names

# How the runner calls a network.
SETTING: dict[str, Any] = {"precision": "fp32", "layout": "contiguous", "mode": "onnxruntime"}


@dataclass(frozen=True)
class DeviceImport:
    """The study with a device's results, its records, and what was understood, as lines."""

    spec: StudySpec
    records: dict[Job, Record]
    lines: tuple[str, ...]


def is_device_file(path: Path) -> bool:
    """Whether a file to import is taken for one that a bundle's runner has written."""
    return path.suffix.lower() == ".json"


def plan_device(path: Path, target: Target, name: str | None = None) -> DeviceImport:
    """Check a results file against a study. Raises UserError, before anything is written.

    `name` is the device's, in place of the one that the file states.
    """
    spec = target.spec
    assert spec is not None, "a device is added to a study that exists"
    found, sha256 = read_device_file(path)
    bundle = found.bundle
    if name is not None:
        device = found.device.model_copy(update={"name": " ".join(name.split())})
        found = found.model_copy(update={"device": device})
    protocol = bundle.protocol_name
    recipe = _name_experiment(protocol, found.device.name, path)
    _check_new(spec, bundle.dataset.name, recipe, found.device.name, path)
    _check_networks(spec, found, path)
    rounds: dict[str, list[int]] = {}
    for one in found.jobs:
        rounds.setdefault(one.variant, []).append(one.round)
    block = ImportedBlock(
        kind="latency",
        dataset=bundle.dataset.name,
        recipe=recipe,
        seeds={variant: tuple(sorted(numbers)) for variant, numbers in rounds.items()},
        own_protocol=protocol,
    )
    merged = merge_blocks([*spec.imported, block])
    raw = {
        **spec.model_dump(mode="json"),
        "imported": [one.model_dump(mode="json") for one in merged],
    }
    extended = study_from_config(raw, str(target.config))
    networks = {one.variant: one for one in bundle.networks}
    made = {}
    for one in found.jobs:
        job = Job("latency", bundle.dataset.name, recipe, one.variant, one.round)
        made[job] = _make_record(extended, job, found, one, networks[one.variant], path, sha256)
    lines = [
        *_describe(found, rounds, recipe),
        *_describe_twins(target, found),
    ]
    return DeviceImport(extended, made, tuple(lines))


def _name_experiment(protocol: str, device: str, path: Path) -> str:
    recipe = f"{protocol}+{make_name(device)}"
    try:
        return check_name(recipe)
    except ValueError as error:
        raise UserError(
            f"{path}: the device {device!r}: {error}: name it with --device NAME"
        ) from None


def _check_new(spec: StudySpec, dataset: str, recipe: str, device: str, path: Path) -> None:
    taken = {job.recipe.lower() for job in spec.jobs() if job.dataset == dataset}
    if recipe.lower() in taken | {name.lower() for name in spec.all_protocols}:
        raise UserError(
            f"a study has the results of a device once, but {spec.study!r} already has {recipe} on {dataset}, and "
            f"{path} is of {device!r} too: for another device or a second run give another name, like "
            f"--device {make_name(device)}-2"
        )


def _check_networks(spec: StudySpec, found: DeviceFile, path: Path) -> None:
    """Raise UserError unless the bundle's networks are those of the study today."""
    bundle = found.bundle
    if bundle.study != spec.study:
        raise UserError(
            f"{path} must be of a bundle of study {spec.study!r}, but is of {bundle.study!r}: import it into "
            "that study"
        )
    for network in bundle.networks:
        job = Job("latency", bundle.dataset.name, bundle.protocol_name, network.variant, 0)
        change = find_change(network.spec, spec.job_spec(job))
        if change:
            raise UserError(
                f"{path}: {network.variant} must be the network that the study has, but its {change} now: make "
                "a new bundle and measure it, or undo the change"
            )


def _make_record(
    spec: StudySpec,
    job: Job,
    found: DeviceFile,
    one: NetworkRound,
    network: Network,
    path: Path,
    sha256: str,
) -> Record:
    return Record(
        job=JobIdentity(**vars(job)),
        status="ok",
        failure=None,
        spec=spec.job_spec(job),
        code_digest="",
        dataset=found.bundle.dataset,
        train=None,
        latency=_make_observations(found, one, network),
        environment=_make_environment(found),
        started_at=one.started_at,
        finished_at=one.finished_at,
        elsewhere=MeasuredElsewhere(
            file=path.name,
            sha256=sha256,
            bundle=found.bundle_sha256,
            network=network.digest,
            onnx_sha256=network.sha256,
            weights=network.weights,
            imported_at=now(),
            facts=found.device.facts,
        ),
    )


def _make_observations(
    found: DeviceFile, one: NetworkRound, network: Network
) -> LatencyObservations:
    bundle, protocol = found.bundle, found.bundle.protocol
    rates = found.ceilings
    shared = set(Network.model_fields) & set(LatencyObservations.model_fields)
    timed = ("build_ms", "cold_start_ms", "first_call_ms", "peak_rss_bytes")
    return LatencyObservations(
        image_size=bundle.image.size,
        in_chans=bundle.image.channels,
        num_classes=bundle.num_classes,
        **{name: getattr(network, name) for name in shared},
        **{name: getattr(one, name) for name in timed},
        cells=[
            LatencyCell(
                **SETTING, device_samples_ms=None, peak_memory_bytes=None, **cell.model_dump()
            )
            for cell in one.cells
        ],
        unavailable=[UnavailableCell(**SETTING, **cell.model_dump()) for cell in one.unavailable],
        paper=None,
        reference=ReferenceTiming(
            model=protocol["reference_model"],
            batch_size=protocol["reference_batch_size"],
            before_ms=one.reference_before_ms,
            after_ms=one.reference_after_ms,
        ),
        ceilings=[Ceilings(runtime="onnxruntime", precision="fp32", **rates.model_dump())]
        if rates
        else [],
        state_before=one.state_before,
        state_after=one.state_after,
    )


def _make_environment(found: DeviceFile) -> Environment:
    device = found.device
    return Environment(
        git_commit=None,
        git_dirty=None,
        python=device.python,
        versions=device.versions,
        os=device.os,
        device_kind="cpu",
        device_name=device.name,
        device_index=None,
        cuda=None,
        cudnn=None,
        driver=None,
        cpu_model=device.cpu_model,
        num_cpu_threads=device.threads,
        precision_flags={},
    )


def _describe(found: DeviceFile, rounds: Mapping[str, list[int]], recipe: str) -> Iterator[str]:
    device, bundle = found.device, found.bundle
    threads = count_noun(device.threads, "thread")
    yield f"device: {device.name} ({device.cpu_model}, {threads}, {device.os})"
    numbers = sorted({len(each) for each in rounds.values()})
    yield (
        f"latencies on {bundle.dataset.name} ({recipe}): {count_noun(len(rounds), 'network')}, "
        f"{' to '.join(map(str, dict.fromkeys((numbers[0], numbers[-1]))))} rounds each: "
        f"{list_names(rounds, 8)}"
    )
    missing = [one.variant for one in bundle.networks if one.variant not in rounds]
    if missing:
        yield f"not measured there: {list_names(missing, 8)}"
    if len(numbers) > 1:
        few = [name for name, each in rounds.items() if len(each) < numbers[-1]]
        yield f"with fewer rounds: {list_names(few, 8)}"
    gaps = {cell.reason for one in found.jobs for cell in one.unavailable}
    if gaps:
        yield f"batch sizes that were not measured: {list_names(sorted(gaps), 3, '; ')}"


def _describe_twins(target: Target, found: DeviceFile) -> Iterator[str]:
    """Say which devices of the study have the same processor, board and threads."""
    spec = target.spec
    assert spec is not None
    seen: dict[str, None] = {}
    for job in spec.imported_jobs():
        if spec.device_protocol(job) is None or job.recipe in seen:
            continue
        try:
            record = records.read(target.paths.record(job), job)
        except UserError:
            continue
        known, here = record.environment, found.device
        if record.elsewhere and known and known.cpu_model == here.cpu_model:
            same_board = record.elsewhere.facts.get("board") == here.facts.get("board")
            if same_board and known.num_cpu_threads == here.threads:
                seen[job.recipe] = None
                yield (
                    f"note: {job.recipe} has the same processor, board and threads: if it is the same device, "
                    "its two runs show how repeatable the latencies are"
                )
