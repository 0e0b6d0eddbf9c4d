"""A measurement of one variant or of the difference of two, for the tests of claims.

Everything is on an additive scale: measures of trained networks in their unit for readers (an accuracy in
percentage points), everything else as natural logarithms, so that a difference is the logarithm of a ratio.
"""

import math
from dataclasses import dataclass

import numpy as np

from resnest_bench.stats.intervals import MeanEstimate
from resnest_bench.stats.sequential import Looks


class NotTestable(Exception):  # noqa: N818 - it is a finding, not an error
    """Why there is nothing to test, as a text for readers."""


@dataclass(frozen=True)
class Measurement:
    """A mean, or a difference of two means, over seeds or rounds.

    `estimate` is on the additive scale; its variances are NaN for a single seed. `seeds` are those (or the
    rounds) that all its variants have, and `seed_values` holds the value or the difference of each.
    `side_counts` says how many seeds each side has, if they are seeds. `exact` marks a count, which has no
    error. `same_predictions` says that the variants agree on every image in every seed, `only_seeds` that
    new images were not considered. `notes` say which seeds or rounds are missing, and why. `looks` are the interim analyses of an adaptive study's training, and the other fields are
    those of the last one; None if the seeds are fixed. `noise` compares two latencies with the noise
    floor of their device, in words.
    """

    estimate: MeanEstimate
    seeds: tuple[int, ...]
    seed_values: tuple[float, ...]
    num_images: int | None = None
    side_counts: tuple[int, ...] = ()
    stale: bool = False
    device: str | None = None
    exact: bool = False
    same_predictions: bool = False
    only_seeds: bool = False
    notes: tuple[str, ...] = ()
    looks: Looks | None = None
    noise: str = ""


def estimate_over_rounds(values: np.ndarray) -> MeanEstimate:
    """Mean and its variance over rounds, or over seeds, without an image variance."""
    n = len(values)
    if n < 2:
        return MeanEstimate(float(values[0]), math.nan, math.nan, 1)
    variance = float(values.var(ddof=1)) if np.ptp(values) else 0.0
    return MeanEstimate(float(values.mean()), variance / n, 0.0, n)
