"""The noise floor of latencies: how much the latency of one network varies from job to job.

Each latency job times a fixed reference network before and after its variant. That network is the
same in every job, so any difference is noise.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from resnest_bench.formats import is_known
from resnest_bench.frames.fresh import keep_counted
from resnest_bench.frames.typed import make_frame
from resnest_bench.stats.summary import CONFIDENCE, ROUNDING
from resnest_bench.tables.values import name_devices
from resnest_bench.words import count_noun

# Column of `runs` to column of the frame of reference timings.
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
    **dict.fromkeys(["dataset", "protocol", "device", "quantity", "reference_model"], "str"),
    **dict.fromkeys(
        ["reference_batch_size", "num_jobs", "num_rounds", "degrees_of_freedom"], "Int64"
    ),
    **dict.fromkeys(
        ["floor_percent", "job_percent", "round_percent", "drift_percent", "bias_percent"],
        "float64",
    ),
    "reason": "str",
}
Quantity = Literal["latency", "energy"]
NO_RECORD = "there is no record yet"
NO_REFERENCE = "no latency job timed a reference network"
SEVERAL = "its rounds ran on several devices"
ONE_JOB = "each round has only one job"
ALL_ALIKE = "all timings of a round are equal"


@dataclass(frozen=True)
class NoiseFloor:
    """Standard deviations of the logarithm of the reference network's latency; 0.01 means 1 %.

    `job` is the spread from job to job within a round: the noise in a comparison of two variants.
    `round` is the spread between the means of rounds. All variants of a round share it, so it cancels
    between them. `drift` is the spread of one timing within a job, from before to after, divided by
    sqrt(2). `bias` is the mean of log(after / before) over jobs; a machine that slows down has one.
    None with too few jobs or rounds.
    """

    job: float | None
    round: float | None
    drift: float | None
    bias: float
    degrees_of_freedom: int
    num_jobs: int
    num_rounds: int

    @property
    def reason(self) -> str:
        """Why the floor is unknown; '' if it is known."""
        if self.job is None:
            return ONE_JOB
        # As with seeds: equal timings don't show that nothing varies.
        return ALL_ALIKE if self.job < ROUNDING else ""

    def noise_ratio(self, num_rounds: int, confidence: float = CONFIDENCE) -> float | None:
        """The ratio of two latencies that noise alone hardly ever exceeds: exp(t job sqrt(2 / R)).

        Both are measured in `num_rounds` rounds, R. The same network timed twice gives a larger ratio,
        up or down, in a share of 1 - confidence of all comparisons. A value of 1.02 means: differences
        below 2 % are not distinguishable from noise. None if the floor is unknown.
        """
        if self.job is None or self.reason:
            return None
        t = float(stdtrit(self.degrees_of_freedom, (1 + confidence) / 2))
        return math.exp(t * self.job * math.sqrt(2 / num_rounds))

    def percent(self, num_rounds: int) -> float | None:
        """100 (`noise_ratio` - 1): smaller differences are not distinguishable from noise.

        None if the floor is unknown.
        """
        ratio = self.noise_ratio(num_rounds)
        return None if ratio is None else 100 * (ratio - 1)

    def covers(self, ours_ms: float, base_ms: float, num_rounds: int) -> bool | None:
        """Whether the difference of two mean latencies is below the floor; None if that is unknown."""
        ratio = self.noise_ratio(num_rounds)
        return None if ratio is None else max(ours_ms / base_ms, base_ms / ours_ms) < ratio

    def describe_difference(
        self,
        ours_ms: float,
        base_ms: float,
        num_rounds: int,
        words: tuple[str, str] = ("slower", "faster"),
    ) -> str:
        """'1.3 % slower, below the noise floor of 2.1 %' or '... above ...', for two mean latencies.

        The floor is that of the reference network; a variant with more noise has a higher one. `words` are for
        a larger and a smaller value.
        """
        change = ours_ms / base_ms - 1
        text = f"{format_floor(abs(100 * change))} % {words[0] if change > 0 else words[1]}"
        percent = self.percent(num_rounds)
        if percent is None:
            return f"{text}; the noise floor is unknown, since {self.reason}"
        word = "below" if self.covers(ours_ms, base_ms, num_rounds) else "above"
        return f"{text}, {word} the noise floor of {format_floor(percent)} %"


def reference_frame(runs: pd.DataFrame, quantity: Quantity = "latency") -> pd.DataFrame:
    """One row per latency job of `runs`: median times of the reference network before and after, in ms.

    Jobs without such timings, or with medians of 0, are left out. Stale jobs count only if an
    experiment has no others, as in every table. Batch size and model are those of the reference.
    Of energy, `before_ms` and `after_ms` are joules per image.
    """
    unit = "joules" if quantity == "energy" else "ms"
    ends = ("before_ms", "after_ms")
    kept = {column: name for column, name in REFERENCE_COLUMNS.items() if name not in ends}
    kept |= {f"reference_{when}_{unit}": f"{when}_ms" for when in ("before", "after")}
    timed = runs[runs["kind"] == "latency"]
    before, after = (timed[f"reference_{when}_{unit}"] for when in ("before", "after"))
    counted = keep_counted(timed[before.gt(0) & after.gt(0)], ["dataset", "recipe"])
    counted = counted.assign(device=name_devices(counted).astype("str"))
    return counted[list(kept)].rename(columns=kept).reset_index(drop=True)


def noise_floor(reference: pd.DataFrame) -> NoiseFloor:
    """Estimate the noise floor from the rows of `reference_frame` of one device and protocol.

    `job`^2 is the variance within rounds of the logarithm of one timing, averaged over before and
    after. It has (jobs - rounds) degrees of freedom, and includes the spread between processes and that
    of a single timing. `round`^2 is the variance of the rounds' means. Raises ValueError without a row,
    for two reference networks and for two devices: their spread is not noise.
    """
    if not len(reference):
        raise ValueError(NO_REFERENCE)
    for column in ("device_name", "model", "batch_size"):
        values = reference[column].unique()
        if len(values) > 1:
            raise ValueError(
                f"a noise floor needs one {column}, but got {', '.join(map(str, values))}"
            )
    # numpy's functions return a frame for a frame.
    logs = cast(pd.DataFrame, np.log(reference[["before_ms", "after_ms"]]))
    by_round = logs.groupby(reference["round"])
    num_jobs, num_rounds = len(logs), by_round.ngroups
    degrees_of_freedom = num_jobs - num_rounds
    residuals = (logs - by_round.transform("mean")).to_numpy()
    change = (logs["after_ms"] - logs["before_ms"]).to_numpy()
    means = by_round.mean().mean(axis="columns").to_numpy()
    return NoiseFloor(
        job=math.sqrt((residuals**2).sum() / (2 * degrees_of_freedom))
        if degrees_of_freedom
        else None,
        round=float(means.std(ddof=1)) if num_rounds > 1 else None,
        drift=float(change.std(ddof=1)) / math.sqrt(2) if num_jobs > 1 else None,
        bias=float(change.mean()),
        degrees_of_freedom=degrees_of_freedom,
        num_jobs=num_jobs,
        num_rounds=num_rounds,
    )


NOISE_PARTS = (
    "Every latency job times the same reference network before and after its own network; differences "
    "between those times are noise. Job to job: standard deviation within a round, the source of the "
    "floor. Round to round: standard deviation of the rounds' means, which cancels between the networks "
    "of a round. Within a job: standard deviation from before to after. Before to after: mean change, "
    "which shows a machine that slows down. A network with more noise than the reference network has a "
    "higher floor."
)
FloorKey = tuple[str, str, str]  # dataset, protocol and device, as `name_devices` names it


def noise_floors(
    runs: pd.DataFrame, quantity: Quantity = "latency"
) -> dict[FloorKey, NoiseFloor | str]:
    """The floor of each dataset, protocol and device with reference timings, or why it is unknown."""
    floors: dict[FloorKey, NoiseFloor | str] = {}
    reference = reference_frame(runs, quantity)
    groups = reference.groupby(["dataset", "protocol", "device"], sort=False)
    for key, rows in groups:
        floor_key = cast(FloorKey, key)
        try:
            floors[floor_key] = noise_floor(rows)
        except ValueError as error:
            floors[floor_key] = str(error)
    return floors


def energy_noise_table(runs: pd.DataFrame) -> pd.DataFrame:
    """As `noise_table`, of the energy per image; only where the reference network's was measured."""
    reference, floors = reference_frame(runs, "energy"), noise_floors(runs, "energy")
    rows = [
        {**_noise_row(key, floor, reference), "quantity": "energy"} for key, floor in floors.items()
    ]
    return make_frame(rows, NOISE_COLUMNS)


def noise_table(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per dataset, protocol and device of the latencies: the floor and its components.

    `floor_percent` is `NoiseFloor.percent` for the rounds that there are. `job_percent`,
    `round_percent` and `drift_percent` are standard deviations and `bias_percent` is a mean change, of
    logarithms times 100. An unknown floor has a `reason`.
    """
    timed = runs[runs["kind"] == "latency"]
    measured = timed[timed["device_kind"].notna()]
    devices = measured[["dataset", "recipe"]].assign(device=name_devices(measured).astype("str"))
    measured_keys = dict.fromkeys(devices.itertuples(index=False, name=None))
    started = {key[:2] for key in measured_keys}
    protocols = dict.fromkeys(timed[["dataset", "recipe"]].itertuples(index=False, name=None))
    missing = [(*protocol, None) for protocol in protocols if protocol not in started]
    reference, floors = reference_frame(runs), noise_floors(runs)
    rows = [_noise_row(key, floors.get(key), reference) for key in [*measured_keys, *missing]]
    return make_frame(rows, NOISE_COLUMNS)


def _noise_row(
    key: tuple[str, str, str | None], floor: NoiseFloor | str | None, reference: pd.DataFrame
) -> dict[str, Any]:
    row: dict[str, Any] = dict(zip(("dataset", "protocol", "device"), key, strict=True))
    row["quantity"] = "latency"
    if not isinstance(floor, NoiseFloor):
        return {**row, "reason": floor or (NO_REFERENCE if key[2] else NO_RECORD)}
    columns = ["dataset", "protocol", "device"]
    first = reference[(reference[columns] == list(key)).all(axis="columns")].iloc[0]
    parts = {"job": floor.job, "round": floor.round, "drift": floor.drift, "bias": floor.bias}
    return {
        **row,
        "reference_model": first["model"],
        "reference_batch_size": first["batch_size"],
        "num_jobs": floor.num_jobs,
        "num_rounds": floor.num_rounds,
        "degrees_of_freedom": floor.degrees_of_freedom,
        "floor_percent": floor.percent(floor.num_rounds),
        **{f"{name}_percent": None if s is None else 100 * s for name, s in parts.items()},
        "reason": floor.reason,
    }


def describe_floor(row: Mapping[str, Any]) -> str:
    """A row of `noise_table` as a sentence: which differences could be noise, and on which device."""
    what = " of energies" if row["quantity"] == "energy" else ""
    where = f"Noise floor{what} of protocol {row['protocol']} (images as in {row['dataset']})"
    where += f" on {row['device']}" if is_known(row["device"]) else ""
    return f"{where}: {explain_floor(row['floor_percent'], row['num_rounds'], row['reason'])}."


def explain_floor(percent: float | None, num_rounds: int, reason: str) -> str:
    """What follows 'Noise floor: ': which differences could be noise, or why that is unknown."""
    if percent is None or not is_known(percent):
        return f"unknown, since {reason}"
    return (
        f"the same network, timed twice in {count_noun(num_rounds, 'round')}, differs by up to "
        f"{format_floor(percent)} % (95 %); smaller differences are not distinguishable from noise"
    )


def format_floor(percent: float) -> str:
    """'2.1', or '0.04' below 0.1: a floor is never shown as 0."""
    return f"{percent:.1f}" if percent >= 0.095 else f"{percent:.1g}"
