"""Means with their uncertainty, and the Pareto front.

Every interval of a mean in tables, charts and exports is computed by `mean_ends` or carried to its
scale by `interval_ends`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit, stdtrit

CONFIDENCE = 0.95
# Values that differ by less than this share of the largest one differ by rounding alone.
ROUNDING = 1e-9
# Two values have a spread on paper: its t is 12.7, and the interval covers by being useless.
FEWEST_FOR_INTERVAL = 3

Array = np.ndarray | float


@dataclass(frozen=True)
class Bounds:
    """What a quantity can be. Its intervals stay strictly between these limits."""

    low: float = -math.inf
    high: float = math.inf


UNBOUNDED = Bounds()
POSITIVE = Bounds(low=0.0)
FRACTION = Bounds(low=0.0, high=1.0)
PERCENT = Bounds(low=0.0, high=100.0)


def t_quantile(degrees_of_freedom: np.ndarray | float) -> np.ndarray | float:
    """Student's t at (1 + CONFIDENCE) / 2: what an interval of CONFIDENCE is wide in standard errors."""
    # scipy.stats has the same function, and takes half a second to import.
    quantile: np.ndarray | float = stdtrit(degrees_of_freedom, (1 + CONFIDENCE) / 2)
    return quantile


@dataclass(frozen=True)
class Summary:
    """Of n values: mean, sample standard deviation, and the ends of the 95 % interval of the mean.

    All in the unit of the values. `mean` is None without a value, `std` is None below two. `low` and
    `high` are None below three values, which are then shown themselves. They are None too where all
    values are alike: accuracies on few images can be so by chance, and a width of 0 would claim
    certainty.
    """

    n: int
    mean: float | None
    std: float | None
    low: float | None
    high: float | None
    observed: tuple[float, ...]


def summarise(values: Sequence[float], bounds: Bounds = UNBOUNDED) -> Summary:
    """Mean, std = sqrt(sum((x - mean)^2) / (n - 1)), and the ends of `mean_ends`."""
    array = np.asarray(values, dtype=float)
    n, kept = len(array), tuple(map(float, array))
    if not n:
        return Summary(0, None, None, None, None, kept)
    mean = float(array.mean())
    if n == 1:
        return Summary(1, mean, None, None, None, kept)
    std = 0.0 if are_alike(array) else float(array.std(ddof=1))
    low, high = (float(end) for end in mean_ends(mean, std, n, bounds))
    if math.isnan(low):
        return Summary(n, mean, std, None, None, kept)
    return Summary(n, mean, std, low, high, kept)


def mean_ends(
    mean: Array, std: Array, n: Array, bounds: Bounds = UNBOUNDED, confidence: float = CONFIDENCE
) -> tuple[Array, Array]:
    """Ends of the interval of a mean over n values: t(n - 1) std / sqrt(n) to each side.

    Student's interval, which takes the values as independent and about normal, on the scale of
    `bounds` (`interval_ends`). Arguments have one shape, or are numbers. NaN below three values, and
    where the std is 0 but for rounding.
    """
    count = np.asarray(n, dtype=float)
    t = stdtrit(np.maximum(count - 1, 1), (1 + confidence) / 2)
    half = t * std / np.sqrt(np.maximum(count, 1))
    spread_seen = np.asarray(std) > ROUNDING * np.abs(mean)
    usable = (count >= FEWEST_FOR_INTERVAL) & spread_seen
    return interval_ends(mean, np.where(usable, half, np.nan), bounds)


def interval_ends(
    mean: Array, half_width: Array, bounds: Bounds = UNBOUNDED
) -> tuple[Array, Array]:
    """mean -+ half_width, on a scale on which the quantity has no bounds, and carried back.

    Without a bound that is mean -+ half_width; above 0 it is exp(log m -+ h / m); of a share p it is
    expit(logit p -+ h / (p (1 - p))): the delta method. benchmarks/interval_coverage.py compares it
    with t on the transformed values, which a single value of 0 or 100 % makes infinite. The mean is
    always inside. NaN where the mean is not strictly between the bounds.
    """
    mean, half = np.asarray(mean, dtype=float), np.asarray(half_width, dtype=float)
    if math.isinf(bounds.low):
        return (mean - half)[()], (mean + half)[()]
    above, inside = mean - bounds.low, (mean > bounds.low) & (mean < bounds.high)
    if math.isinf(bounds.high):
        factor = np.exp(half / np.where(inside, above, np.nan))
        return (bounds.low + above / factor)[()], (bounds.low + above * factor)[()]
    span = bounds.high - bounds.low
    share = np.where(inside, above / span, np.nan)
    step = half / (span * share * (1 - share))
    low, high = (bounds.low + span * expit(logit(share) + sign * step) for sign in (-1, 1))
    return low[()], high[()]


def are_alike(values: np.ndarray) -> np.ndarray:
    """Whether all values along the last axis are one value, but for rounding."""
    alike: np.ndarray = np.ptp(values, axis=-1) <= ROUNDING * np.abs(values).max(axis=-1)
    return alike


def paired_difference(ours: Mapping[int, float], base: Mapping[int, float]) -> Summary:
    """Summary of ours - base over the seeds (keys) that both have."""
    return summarise([ours[seed] - base[seed] for seed in sorted(ours.keys() & base.keys())])


def binomial_standard_error(p: float, n: int) -> float:
    """sqrt(p * (1 - p) / n): what drawing n test images alone does to an accuracy p (a fraction).

    Raises ValueError unless 0 <= p <= 1 and n >= 1.
    """
    if not 0 <= p <= 1 or n < 1:
        raise ValueError(f"p is a fraction and n at least 1, but came p={p}, n={n}")
    return math.sqrt(p * (1 - p) / n)
