"""The noise floor of a latency run: how much the same network's latency varies from job to job.

Each latency job times a fixed reference network before and after its variant. That network is the
same in every job, so whatever differs is noise.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from resnest_bench.formats import known
from resnest_bench.frames.fresh import keep_counted
from resnest_bench.frames.typed import make_frame
from resnest_bench.stats.summary import CONFIDENCE, ROUNDING
from resnest_bench.tables.values import device_texts

# By the names that they have in `runs`.
REFERENCE_COLUMNS = {
    "dataset": "dataset",
    "recipe": "protocol",
    "variant": "variant",
    "seed": "round",
    "device_name": "device_name",
    "device": "device",
    "reference_model": "model",
    "reference_batch_size": "batch_size",
    "reference_before_ms": "before_ms",
    "reference_after_ms": "after_ms",
}
NOISE_COLUMNS = {
    **dict.fromkeys(["dataset", "protocol", "device", "reference_model"], "str"),
    **dict.fromkeys(
        ["reference_batch_size", "num_jobs", "num_rounds", "degrees_of_freedom"], "Int64"
    ),
    **dict.fromkeys(
        ["floor_percent", "job_percent", "round_percent", "drift_percent", "bias_percent"],
        "float64",
    ),
    "reason": "str",
}
NO_RECORD = "no record yet"
NO_REFERENCE = "no latency job timed a reference network"
SEVERAL = "its rounds ran on several devices"
ONE_JOB = "each round has one job only"
ALL_ALIKE = "all timings of a round are the very same"


@dataclass(frozen=True)
class NoiseFloor:
    """Spreads of the reference network's latency, each a standard deviation of its logarithm.

    A value of 0.01 means 1 %. `job` is within a round, from one job to the next: what a comparison
    of two variants suffers from. `round` is between the means of rounds: what all variants of a
    round share, so that it cancels between them. `drift` is within a job, of one timing: from
    before to after, divided by sqrt(2). `bias` is the mean of log(after / before) over jobs: a
    machine that slows down has one. None where there are too few jobs or rounds for it.
    """

    job: float | None
    round: float | None
    drift: float | None
    bias: float
    degrees_of_freedom: int
    num_jobs: int
    num_rounds: int

    @property
    def unknown(self) -> str:
        """Why the floor isn't known; '' where it is."""
        if self.job is None:
            return ONE_JOB
        # As with seeds: that all timings are alike is no sign that nothing varies.
        return ALL_ALIKE if self.job < ROUNDING else ""

    def least_ratio(self, num_rounds: int, confidence: float = CONFIDENCE) -> float | None:
        """The ratio of two latencies above which the same network hardly ever comes out.

        exp(t job sqrt(2 / R)), both measured in `num_rounds` rounds: the same network timed twice
        gives a larger ratio, up or down, in 1 - confidence of all comparisons. 1.02: differences
        below 2 % are not distinguishable from noise. None where the floor isn't known.
        """
        if self.job is None or self.unknown:
            return None
        t = float(stdtrit(self.degrees_of_freedom, (1 + confidence) / 2))
        return math.exp(t * self.job * math.sqrt(2 / num_rounds))


def reference_frame(runs: pd.DataFrame) -> pd.DataFrame:
    """One row for each latency job of `runs`: medians in ms of the reference before and after.

    Jobs without such timings, or whose medians are 0, are left out. Stale ones count only where an
    experiment has no others, as in every table. Batch size and model are the reference's own.
    """
    timed = runs[runs["kind"] == "latency"]
    timed = timed[timed["reference_before_ms"].gt(0) & timed["reference_after_ms"].gt(0)]
    used = keep_counted(timed, ["dataset", "recipe"])
    used = used.assign(device=device_texts(used).astype("str"))
    return used[list(REFERENCE_COLUMNS)].rename(columns=REFERENCE_COLUMNS).reset_index(drop=True)


def noise_floor(reference: pd.DataFrame) -> NoiseFloor:
    """Noise floor from the rows of `reference_frame` of one device and protocol.

    `job`^2 is the variance within rounds of one timing's logarithm, the mean of that before and that
    after; it has (jobs - rounds) degrees of freedom. It holds what differs between processes and
    what one timing varies by. `round`^2 is the variance of the rounds' means. Raises ValueError for
    no row, for two reference networks, and for two devices: their spread would not be noise.
    """
    if not len(reference):
        raise ValueError("no latency job timed a reference network")
    for column in ("device_name", "model", "batch_size"):
        found = reference[column].unique()
        if len(found) > 1:
            raise ValueError(
                f"a noise floor is of one {column}, but came {', '.join(map(str, found))}"
            )
    # numpy's functions give a frame for a frame.
    logs = cast(pd.DataFrame, np.log(reference[["before_ms", "after_ms"]]))
    by_round = logs.groupby(reference["round"])
    num_jobs, num_rounds = len(logs), by_round.ngroups
    free = num_jobs - num_rounds
    residual = (logs - by_round.transform("mean")).to_numpy()
    change = (logs["after_ms"] - logs["before_ms"]).to_numpy()
    means = by_round.mean().mean(axis="columns").to_numpy()
    return NoiseFloor(
        job=math.sqrt((residual**2).sum() / (2 * free)) if free else None,
        round=float(means.std(ddof=1)) if num_rounds > 1 else None,
        drift=float(change.std(ddof=1)) / math.sqrt(2) if num_jobs > 1 else None,
        bias=float(change.mean()),
        degrees_of_freedom=free,
        num_jobs=num_jobs,
        num_rounds=num_rounds,
    )


NOISE_PARTS = (
    "Every latency job times the same network before and after its own: what those times differ by is "
    "noise. Job to job: standard deviation within a round, which the floor is made of. Round to round: of "
    "the rounds' means; all networks of a round share it, so that it cancels between them. Within a job: "
    "from before to after. Before to after: mean change; a machine that slows down has one. The floor is of "
    "that network: one that is noisier itself needs more."
)
Place = tuple[str, str, str]  # dataset, protocol and device, as `device_texts` names it


def noise_floors(runs: pd.DataFrame) -> dict[Place, NoiseFloor | str]:
    """The floor of each dataset, protocol and device that reference timings are of, or why none is."""
    floors: dict[Place, NoiseFloor | str] = {}
    groups = reference_frame(runs).groupby(["dataset", "protocol", "device"], sort=False)
    for key, rows in groups:
        place = cast(Place, key)
        try:
            floors[place] = noise_floor(rows)
        except ValueError as why:
            floors[place] = str(why)
    return floors


def noise_table(runs: pd.DataFrame) -> pd.DataFrame:
    """One row for each dataset, protocol and device of the latencies: the floor and its parts.

    `floor_percent` is 100 (`least_ratio` - 1) for as many rounds as there were; `job_percent`,
    `round_percent` and `drift_percent` are standard deviations, `bias_percent` a mean change, all of
    logarithms times 100, as in `NoiseFloor`. A floor that is not known has its `reason`.
    """
    timed = runs[runs["kind"] == "latency"]
    measured = timed[timed["device_kind"].notna()]
    places = measured[["dataset", "recipe"]].assign(device=device_texts(measured).astype("str"))
    whole = dict.fromkeys(places.itertuples(index=False, name=None))
    begun = {place[:2] for place in whole}
    asked = dict.fromkeys(timed[["dataset", "recipe"]].itertuples(index=False, name=None))
    empty = [(*place, None) for place in asked if place not in begun]
    reference, floors = reference_frame(runs), noise_floors(runs)
    rows = [_noise_row(place, floors.get(place), reference) for place in [*whole, *empty]]
    return make_frame(rows, NOISE_COLUMNS)


def _noise_row(
    place: tuple[str, str, str | None], floor: NoiseFloor | str | None, reference: pd.DataFrame
) -> dict[str, Any]:
    row: dict[str, Any] = dict(zip(("dataset", "protocol", "device"), place, strict=True))
    if not isinstance(floor, NoiseFloor):
        return {**row, "reason": floor or (NO_REFERENCE if place[2] else NO_RECORD)}
    keys = ["dataset", "protocol", "device"]
    first = reference[(reference[keys] == list(place)).all(axis="columns")].iloc[0]
    parts = {"job": floor.job, "round": floor.round, "drift": floor.drift, "bias": floor.bias}
    return {
        **row,
        "reference_model": first["model"],
        "reference_batch_size": first["batch_size"],
        "num_jobs": floor.num_jobs,
        "num_rounds": floor.num_rounds,
        "degrees_of_freedom": floor.degrees_of_freedom,
        "floor_percent": floor_percent(floor, floor.num_rounds),
        **{f"{name}_percent": None if s is None else 100 * s for name, s in parts.items()},
        "reason": floor.unknown,
    }


def floor_percent(floor: NoiseFloor, num_rounds: int) -> float | None:
    """100 (`least_ratio` - 1): of 2 % smaller differences can't be distinguished from noise.

    None where it isn't known.
    """
    ratio = floor.least_ratio(num_rounds)
    return None if ratio is None else 100 * (ratio - 1)


def floor_sentence(row: Mapping[str, Any]) -> str:
    """A row of `noise_table` in words: which differences could be noise, on which device."""
    where = f"Noise floor of protocol {row['protocol']} (images as in {row['dataset']})"
    where += f" on {row['device']}" if known(row["device"]) else ""
    return f"{where}: {floor_clause(row['floor_percent'], row['num_rounds'], row['reason'])}."


def floor_clause(percent: float | None, num_rounds: int, reason: str) -> str:
    """What follows 'Noise floor: ': which differences could be noise, or why that isn't known."""
    if percent is None or not known(percent):
        return f"not known, since {reason}"
    return (
        f"the same network timed twice in {num_rounds} round{'' if num_rounds == 1 else 's'} differs by "
        f"up to {percent_text(percent)} % (95 %); smaller differences are not distinguishable from noise"
    )


def percent_text(percent: float) -> str:
    """'2.1', and '0.04' below 0.1: a floor is never said to be 0."""
    return f"{percent:.1f}" if percent >= 0.095 else f"{percent:.1g}"


def noise_text(floor: NoiseFloor, ours_ms: float, base_ms: float, num_rounds: int) -> str:
    """'1.3 % slower: below the noise floor of 2.1 %' or '... above ...', of two mean latencies.

    The floor is of the reference network: a variant that is noisier itself needs more.
    """
    change = ours_ms / base_ms - 1
    said = f"{percent_text(abs(100 * change))} % {'slower' if change > 0 else 'faster'}"
    ratio = floor.least_ratio(num_rounds)
    if ratio is None:
        return f"{said}: the noise floor is not known, since {floor.unknown}"
    word = "below" if is_noise(floor, ours_ms, base_ms, num_rounds) else "above"
    return f"{said}: {word} the noise floor of {percent_text(100 * (ratio - 1))} %"


def is_noise(floor: NoiseFloor, ours_ms: float, base_ms: float, num_rounds: int) -> bool | None:
    """Whether two mean latencies are nearer than the floor; None where the floor isn't known."""
    ratio = floor.least_ratio(num_rounds)
    return None if ratio is None else max(ours_ms / base_ms, base_ms / ours_ms) < ratio
