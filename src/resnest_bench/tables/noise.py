"""The noise floor of a latency run: how much the same network's latency varies from job to job.

Each latency job times a fixed reference network before and after its variant. That network is the
same in every job, so whatever differs is noise.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from resnest_bench.records import Record
from resnest_bench.tables.statistics import CONFIDENCE

REFERENCE_COLUMNS = {
    **dict.fromkeys(["dataset", "protocol", "variant"], "str"),
    "round": "Int64",
    **dict.fromkeys(["device_name", "model"], "str"),
    "batch_size": "Int64",
    **dict.fromkeys(["before_ms", "after_ms"], "float64"),
}


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

    def least_ratio(self, num_rounds: int, confidence: float = CONFIDENCE) -> float | None:
        """The ratio of two latencies above which the same network hardly ever comes out.

        exp(t job sqrt(2 / R)), both measured in `num_rounds` rounds: the same network timed twice
        gives a larger ratio, up or down, in 1 - confidence of all comparisons. 1.02: differences
        below 2 % are noise. None where the floor isn't known.
        """
        if self.job is None:
            return None
        t = float(stdtrit(self.degrees_of_freedom, (1 + confidence) / 2))
        return math.exp(t * self.job * math.sqrt(2 / num_rounds))


def reference_frame(records: Iterable[Record]) -> pd.DataFrame:
    """One row for each latency job: medians in ms of the reference network before and after.

    Jobs without such timings, or whose medians are 0, are left out. Batch size and model are the
    reference's own.
    """
    rows = []
    for record in records:
        if record.latency is None:
            continue
        reference = record.latency.reference
        if not reference.before_ms or not reference.after_ms:
            continue
        rows.append(
            {
                "dataset": record.job.dataset,
                "protocol": record.job.recipe,
                "variant": record.job.variant,
                "round": record.job.seed,
                "device_name": record.environment.device_name,
                "model": reference.model,
                "batch_size": reference.batch_size,
                "before_ms": float(np.median(reference.before_ms)),
                "after_ms": float(np.median(reference.after_ms)),
            }
        )
    frame = pd.DataFrame(rows, columns=list(REFERENCE_COLUMNS)).astype(REFERENCE_COLUMNS)
    return frame[(frame["before_ms"] > 0) & (frame["after_ms"] > 0)].reset_index(drop=True)


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
    logs = np.log(reference[["before_ms", "after_ms"]])
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


def noise_text(floor: NoiseFloor, ours_ms: float, base_ms: float, num_rounds: int) -> str:
    """'1.3 % slower: below the noise floor of 2.1 %' or '... above ...', of two mean latencies.

    The floor is of the reference network: a variant that is noisier itself needs more.
    """
    change = ours_ms / base_ms - 1
    said = f"{abs(100 * change):.1f} % {'slower' if change > 0 else 'faster'}"
    ratio = floor.least_ratio(num_rounds)
    if ratio is None:
        return f"{said}: the noise floor is not known, since each round has one job only"
    word = "below" if is_noise(floor, ours_ms, base_ms, num_rounds) else "above"
    return f"{said}: {word} the noise floor of {100 * (ratio - 1):.1f} %"


def is_noise(floor: NoiseFloor, ours_ms: float, base_ms: float, num_rounds: int) -> bool | None:
    """Whether two mean latencies are nearer than the floor; None where the floor isn't known."""
    ratio = floor.least_ratio(num_rounds)
    return None if ratio is None else max(ours_ms / base_ms, base_ms / ours_ms) < ratio
