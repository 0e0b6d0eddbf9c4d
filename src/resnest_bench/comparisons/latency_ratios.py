"""Latencies of several variants relative to one: ratio, interval, and comparison with the noise floor."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from resnest_bench.comparisons.evidence import Evidence
from resnest_bench.comparisons.measurement import NotTestable
from resnest_bench.frames.typed import make_frame
from resnest_bench.paths import Experiment
from resnest_bench.specs import StudySpec
from resnest_bench.stats.intervals import two_way_interval

RATIO_COLUMNS = {
    **dict.fromkeys(["variant", "base"], "str"),
    **dict.fromkeys(["time_ratio", "low_ratio", "high_ratio"], "float64"),
    "n": "Int64",
    **dict.fromkeys(["noise", "device", "status"], "str"),
}


def latency_ratios(
    study: StudySpec,
    runs: pd.DataFrame,
    cells: pd.DataFrame,
    experiment: Experiment,
    base: str,
    variants: Sequence[str],
    batch_size: int,
) -> pd.DataFrame:
    """One row per variant: its p50 divided by that of `base`, in the rounds that both have.

    `experiment` is one of latencies. `time_ratio` is a geometric mean over `n` rounds with its 95 %
    interval (Student's, of the logarithms; NaN below three rounds and if all are equal). `noise`
    compares it with the noise floor. `status` is 'ok' or says why there is no ratio, such as several
    devices or settings.
    """
    evidence = Evidence(study, runs, cells, ())
    rows = [
        {"variant": name, "base": base, **_ratio(evidence, experiment, name, base, batch_size)}
        for name in variants
        if name != base
    ]
    return make_frame(rows, RATIO_COLUMNS)


def ratios_by_batch(
    study: StudySpec,
    runs: pd.DataFrame,
    cells: pd.DataFrame,
    experiment: Experiment,
    pair: tuple[str, str],
) -> pd.DataFrame:
    """One row per batch size: `latency_ratios` of the first of two variants, with the second as the base."""
    name, base = pair
    own = cells[cells["variant"].isin(pair)]
    own = own[own["dataset"].eq(experiment.dataset) & own["recipe"].eq(experiment.recipe)]
    sizes = sorted(int(size) for size in own["batch_size"].dropna().unique())
    # Only the noise floor needs the other networks.
    evidence = Evidence(study, runs[runs["kind"] == "latency"], own, ())
    rows = [
        {
            "variant": name,
            "base": base,
            "batch_size": size,
            **_ratio(evidence, experiment, name, base, size),
        }
        for size in sizes
    ]
    return make_frame(rows, {**RATIO_COLUMNS, "batch_size": "Int64"})


def _ratio(
    evidence: Evidence, experiment: Experiment, name: str, base: str, batch_size: int
) -> dict[str, Any]:
    try:
        measurement = evidence.measure_latency(experiment, (name, base), batch_size)
    except NotTestable as error:
        return {"status": str(error)}
    interval = two_way_interval(measurement.estimate)
    return {
        "time_ratio": math.exp(measurement.estimate.mean),
        "low_ratio": math.exp(interval.low),
        "high_ratio": math.exp(interval.high),
        "n": measurement.estimate.num_seeds,
        "noise": measurement.noise,
        "device": measurement.device,
        "status": "; ".join(measurement.notes) or "ok",
    }
