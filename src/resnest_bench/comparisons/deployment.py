"""Deployment modes of trained networks: what each costs in accuracy, and how much faster it is."""

import contextlib
import math
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from resnest_bench.comparisons.evidence import Evidence
from resnest_bench.comparisons.measurement import Measurement, NotTestable
from resnest_bench.frames.typed import make_frame
from resnest_bench.paths import Experiment, Job, name_deployment
from resnest_bench.specs import StudySpec
from resnest_bench.specs.claims import ClaimTest, TrainedRow
from resnest_bench.specs.deploy import BASE_MODE, DeployBlock, DeployMode
from resnest_bench.specs.tables import TableSpec
from resnest_bench.stats.intervals import two_way_interval
from resnest_bench.stats.summary import CONFIDENCE, PERCENT, UNBOUNDED, Bounds
from resnest_bench.status.outcomes import Outcome
from resnest_bench.tables.selection import Experiments, select

ACCURACY = ("accuracy_percent", "accuracy_low_percent", "accuracy_high_percent")
DIFFERENCE = ("difference_points", "difference_low_points", "difference_high_points")
LATENCY = ("latency_ms", "latency_low_ms", "latency_high_ms")
SPEEDUP = ("speedup", "speedup_low", "speedup_high")
ENERGY = ("energy_joules", "energy_low_joules", "energy_high_joules")
COST = ("cost", "cost_low", "cost_high")
MEMORY = ("memory_mib", "memory_low_mib", "memory_high_mib")
DEPLOYMENT_COLUMNS = {
    **dict.fromkeys(["dataset", "dataset_label", "recipe", "variant", "mode"], "str"),
    **dict.fromkeys(["n", "num_test"], "Int64"),
    **dict.fromkeys([*ACCURACY, *DIFFERENCE], "float64"),
    "same_predictions": "boolean",
    **dict.fromkeys(["file_bytes", "num_calibration"], "Int64"),
    "output_error": "float64",
    "protocol": "str",
    **dict.fromkeys(["batch_size", "rounds"], "Int64"),
    **dict.fromkeys([*LATENCY, *SPEEDUP, *ENERGY, *COST, *MEMORY], "float64"),
    **dict.fromkeys(["noise", "device"], "str"),
    "stale": "boolean",
    **dict.fromkeys(["accuracy_status", "latency_status"], "str"),
}
DEPLOYMENT_TEXTS = {
    "dataset": "Name of the dataset in the config",
    "dataset_label": "Label of the dataset",
    "recipe": "The recipe that trained the weights",
    "variant": "Name of the network in the config",
    "mode": "Deployment mode; eager is torch in fp32, with which the others are compared",
    "n": "Seeds",
    "num_test": "Test images",
    "accuracy_percent": "Mean test accuracy in this mode, in %; `_low_` and `_high_`: 95 % interval for new seeds and images",
    "difference_points": "Accuracy in this mode minus that in eager mode with the same weights, in points; `_low_` and `_high_`: 95 % interval, paired by seed and image",
    "same_predictions": "Whether both modes are right on the same images in every seed: then there is no interval",
    "file_bytes": "Size on disk of the first seed's files; in torch, of the weights",
    "num_calibration": "Training images from which int8 takes the ranges of activations",
    "output_error": "Largest relative error of the logits over the seeds, against eager mode",
    "protocol": "Protocol of the latency",
    "batch_size": "Images in one call",
    "rounds": "Rounds of the latency",
    "latency_ms": "Latency, p50, in ms: geometric mean over rounds; `_low_` and `_high_`: 95 % interval",
    "speedup": "Eager mode's latency divided by this one's; `_low` and `_high`: 95 % interval over common rounds",
    "energy_joules": "Energy of an image, in J: geometric mean over rounds; `_low_` and `_high_`: 95 % interval",
    "cost": "Cost of a million images, in the currency of `tables.price_per_hour`; `_low` and `_high`: 95 % interval",
    "memory_mib": "Peak memory, in MiB, of a process that runs the cell alone, or on a GPU what torch allocated; `_low_` and `_high_`: 95 % interval",
    "noise": "Whether the two latencies differ by more than the noise floor",
    "device": "Device of the latency",
    "stale": "Whether records are of another config, code or data",
    "accuracy_status": "ok, or why there is no accuracy",
    "latency_status": "ok, or why there is no latency",
}


def deployment_jobs(study: StudySpec) -> list[Job]:
    """The jobs whose per-image results the table needs."""
    return [job for job in study.jobs() if job.kind == "deploy"]


def deployment_table(
    study: StudySpec, runs: pd.DataFrame, cells: pd.DataFrame, job_outcomes: Iterable[Outcome]
) -> pd.DataFrame:
    """One row per deployed variant and mode, eager mode first. Columns: DEPLOYMENT_TEXTS.

    `job_outcomes` are those of `deployment_jobs`. Latencies are those of the study's first protocol on the
    same dataset, at its smallest batch size. Values that are not there are NaN, with the reason.
    """
    every = list(job_outcomes)
    evidence = Evidence(study, runs, cells, every)
    rows = [
        _make_row(evidence, block, variant, mode, every)
        for block in study.deploy
        for variant in _list_variants(study, block)
        for mode in block.all_modes
    ]
    return make_frame(rows, DEPLOYMENT_COLUMNS)


def _list_variants(study: StudySpec, block: DeployBlock) -> list[str]:
    place = Experiment("deploy", block.dataset, name_deployment(block.recipe, BASE_MODE))
    found = {job.variant for job in study.jobs() if job.experiment == place}
    return [name for name in study.variant_names if name in found]


def _make_row(
    evidence: Evidence, block: DeployBlock, variant: str, mode: DeployMode, every: Sequence[Outcome]
) -> dict[str, Any]:
    timed = select(evidence.study, TableSpec(dataset=block.dataset)).latency
    about = Experiments(Experiment("train", block.dataset, block.recipe), timed)
    side, base = TrainedRow(variant=variant, mode=mode), TrainedRow(variant=variant, mode=BASE_MODE)
    sides = (side,) if mode == BASE_MODE else (side, base)
    return {
        "dataset": block.dataset,
        "dataset_label": evidence.label(block.dataset),
        "recipe": block.recipe,
        "variant": variant,
        "mode": mode,
        **_describe_files(block, variant, mode, every),
        **_describe_accuracy(evidence, about, sides),
        **_describe_latency(evidence, about, sides),
    }


def _describe_files(
    block: DeployBlock, variant: str, mode: str, every: Sequence[Outcome]
) -> dict[str, Any]:
    experiment = Experiment("deploy", block.dataset, name_deployment(block.recipe, mode))
    found = [
        outcome.record.deploy
        for outcome in every
        if (outcome.job.experiment, outcome.job.variant) == (experiment, variant)
        and outcome.usable
        and outcome.record
        and outcome.record.deploy
    ]
    if not found:
        return {}
    return {
        "file_bytes": found[0].file_bytes,
        "num_calibration": found[0].num_calibration,
        "output_error": max(one.output_error for one in found),
    }


def _describe_accuracy(
    evidence: Evidence, about: Experiments, sides: tuple[TrainedRow, ...]
) -> dict[str, Any]:
    test = ClaimTest(metric="accuracy")
    try:
        alone = evidence.measure(test, about, sides[:1])
    except NotTestable as error:
        return {"accuracy_status": str(error)}
    row = {
        "n": alone.estimate.num_seeds,
        "num_test": alone.num_images,
        "stale": alone.stale,
        "accuracy_status": "; ".join(alone.notes) or "ok",
        **_take_interval(ACCURACY, alone, PERCENT),
    }
    if len(sides) > 1:
        try:
            paired = evidence.measure(test, about, sides)
        except NotTestable as error:
            return {**row, "accuracy_status": str(error)}
        row |= _take_interval(DIFFERENCE, paired)
        row |= {"same_predictions": paired.same_predictions}
    return row


def _describe_latency(
    evidence: Evidence, about: Experiments, sides: tuple[TrainedRow, ...]
) -> dict[str, Any]:
    if about.latency is None:
        return {"latency_status": "this study measures no latency"}
    batch_size = _smallest_batch(evidence.study, about.latency)
    row = {"protocol": about.latency.recipe, "batch_size": batch_size}
    try:
        alone = evidence.measure_latency(about.latency, sides[:1], batch_size)
        row |= _take_interval(LATENCY, alone, logarithms=True)
        row |= {"rounds": alone.estimate.num_seeds, "device": alone.device}
        row["latency_status"] = "; ".join(alone.notes) or "ok"
        if len(sides) > 1:
            # How many times as fast: eager mode's latency is above the line.
            ratio = evidence.measure_latency(about.latency, sides[::-1], batch_size)
            row |= _take_interval(SPEEDUP, ratio, logarithms=True)
            back = evidence.measure_latency(about.latency, sides, batch_size)
            row["noise"] = back.noise
    except NotTestable as error:
        row["latency_status"] = str(error)
    return row | _describe_consumption(evidence, about.latency, sides[0], batch_size)


def _describe_consumption(
    evidence: Evidence, latency: Experiment, side: TrainedRow, batch_size: int
) -> dict[str, float]:
    """Energy, cost and memory where they are known; they are measured with the latency."""
    row: dict[str, float] = {}
    for metric, names in (("energy", ENERGY), ("cost", COST), ("memory", MEMORY)):
        with contextlib.suppress(NotTestable):
            found = evidence.measure_timed(metric, latency, (side,), batch_size)
            row |= _take_interval(names, found, logarithms=True)
    return row


def _smallest_batch(study: StudySpec, latency: Experiment) -> int:
    protocol = study.all_protocols.get(latency.recipe)
    return min(protocol.batch_sizes) if protocol else 1


def _take_interval(
    names: Sequence[str],
    measurement: Measurement,
    bounds: Bounds = UNBOUNDED,
    logarithms: bool = False,
) -> dict[str, float]:
    """Mean, low and high under these names; without an interval for modes that agree on every image."""
    estimate = measurement.estimate
    low = high = math.nan
    if not measurement.same_predictions:
        interval = two_way_interval(estimate, CONFIDENCE, bounds)
        low, high = float(interval.low), float(interval.high)
    values = (float(estimate.mean), low, high)
    return dict(zip(names, map(math.exp, values) if logarithms else values, strict=True))
