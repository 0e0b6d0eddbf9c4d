"""Latencies of some variants against one: ratio, interval, and whether it is more than noise."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from resnest_bench.comparisons.evidence import Evidence, NotTestable
from resnest_bench.frames.typed import make_frame
from resnest_bench.paths import Experiment
from resnest_bench.specs import StudySpec
from resnest_bench.stats.intervals import crossed_interval

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
    """One row for each of `variants`: its p50 over that of `base`, in the rounds that both have.

    `experiment` is one of latencies. `time_ratio` is a geometric mean over `n` rounds with its 95 %
    interval (Student's, of the logarithms; NaN below three rounds and where all are alike). `noise`
    sets it beside the noise floor. `status` is 'ok' or says why there is no ratio, such as several
    devices or settings.
    """
    evidence = Evidence(study, runs, cells, ())
    rows = [
        {"variant": name, "base": base, **_ratio(evidence, experiment, name, base, batch_size)}
        for name in variants
        if name != base
    ]
    return make_frame(rows, RATIO_COLUMNS)


def _ratio(
    evidence: Evidence, experiment: Experiment, name: str, base: str, batch_size: int
) -> dict[str, Any]:
    try:
        measured = evidence.latency(experiment, (name, base), batch_size)
    except NotTestable as why:
        return {"status": str(why)}
    interval = crossed_interval(measured.error)
    return {
        "time_ratio": math.exp(measured.error.mean),
        "low_ratio": math.exp(interval.low),
        "high_ratio": math.exp(interval.high),
        "n": measured.error.num_seeds,
        "noise": measured.noise,
        "device": measured.device,
        "status": "; ".join(measured.notes) or "ok",
    }
