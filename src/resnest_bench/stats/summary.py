"""The mean of a few values with its 95 % confidence interval.

Every interval of a mean in tables, charts and exports comes from `confidence_limits` or, where the
standard error has another source, from `bounded_limits`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit, stdtrit

CONFIDENCE = 0.95
# Values that differ by less than this share of the largest one differ by rounding alone.
ROUNDING = 1e-9
# With two values t is 12.7: the interval has its coverage by being uselessly wide.
MIN_FOR_INTERVAL = 3

Array = np.ndarray | float


@dataclass(frozen=True)
class Bounds:
    """What a quantity can be. Its confidence intervals stay strictly between these limits."""

    low: float = -math.inf
    high: float = math.inf


UNBOUNDED = Bounds()
POSITIVE = Bounds(low=0.0)
FRACTION = Bounds(low=0.0, high=1.0)
PERCENT = Bounds(low=0.0, high=100.0)


def t_quantile(degrees_of_freedom: np.ndarray | float) -> np.ndarray | float:
    """The quantile of Student's t for a two-sided 95 % interval.

    Args:
        degrees_of_freedom: any shape.

    Returns:
        Half the width of the interval in standard errors, in the shape of the argument.

    >>> round(float(t_quantile(4)), 3)
    2.776
    """
    # scipy.stats has the same function, and takes half a second to import.
    quantile: np.ndarray | float = stdtrit(degrees_of_freedom, (1 + CONFIDENCE) / 2)
    return quantile


@dataclass(frozen=True)
class Summary:
    """Mean, sample standard deviation and 95 % interval of n values, all in the values' unit.

    `mean` is None without a value, `std` below two values. `low` and `high` are None below three
    values; readers then see the values themselves. They are None too where all values are equal:
    accuracies on few images can be equal by chance, and a width of 0 would claim certainty.
    """

    n: int
    mean: float | None
    std: float | None
    low: float | None
    high: float | None
    observed: tuple[float, ...]


def summarise(values: Sequence[float], bounds: Bounds = UNBOUNDED) -> Summary:
    """Summarise a sample by its mean, standard deviation and 95 % confidence interval.

    Args:
        values: any number of values, also none.
        bounds: what the quantity can be (see `bounded_limits`).

    Returns:
        A `Summary`. The standard deviation is sqrt(sum((x - mean)^2) / (n - 1)).

    >>> summary = summarise([60, 61, 65])
    >>> summary.n, summary.mean, round(summary.std, 3)
    (3, 62.0, 2.646)
    >>> round(summary.low, 2), round(summary.high, 2)
    (55.43, 68.57)
    """
    array = np.asarray(values, dtype=float)
    n, observed = len(array), tuple(map(float, array))
    if not n:
        return Summary(0, None, None, None, None, observed)
    mean = float(array.mean())
    if n == 1:
        return Summary(1, mean, None, None, None, observed)
    std = 0.0 if all_equal(array) else float(array.std(ddof=1))
    low, high = (float(limit) for limit in confidence_limits(mean, std, n, bounds))
    if math.isnan(low):
        return Summary(n, mean, std, None, None, observed)
    return Summary(n, mean, std, low, high, observed)


def confidence_limits(
    mean: Array, std: Array, n: Array, bounds: Bounds = UNBOUNDED, confidence: float = CONFIDENCE
) -> tuple[Array, Array]:
    """Limits of Student's confidence interval of a mean: t(n - 1) std / sqrt(n) to each side.

    It assumes that the values are independent and about normally distributed (Student, Biometrika 6
    (1908) 1).

    Args:
        mean, std, n: sample mean, sample standard deviation and sample size; one shape, or scalars.
        bounds: what the quantity can be (see `bounded_limits`).
        confidence: the coverage, as a fraction.

    Returns:
        The lower and the upper limit, in the shape of the arguments. NaN below three values, and
        where the standard deviation is 0 up to rounding.

    >>> low, high = confidence_limits(mean=62.0, std=7**0.5, n=3)
    >>> round(float(low), 2), round(float(high), 2)
    (55.43, 68.57)
    """
    count = np.asarray(n, dtype=float)
    t = stdtrit(np.maximum(count - 1, 1), (1 + confidence) / 2)
    half_width = t * std / np.sqrt(np.maximum(count, 1))
    varies = np.asarray(std) > ROUNDING * np.abs(mean)
    usable = (count >= MIN_FOR_INTERVAL) & varies
    return bounded_limits(mean, np.where(usable, half_width, np.nan), bounds)


def bounded_limits(
    mean: Array, half_width: Array, bounds: Bounds = UNBOUNDED
) -> tuple[Array, Array]:
    """Limits of an interval that never leaves `bounds`, by the delta method.

    The interval is symmetric on a scale without bounds, and is transformed back. Without bounds it
    is mean ± h. Above 0 it is exp(log m ± h / m). For a share p it is expit(logit p ± h / (p (1 - p))).
    benchmarks/interval_coverage.py compares it with t on the transformed values, which a single
    value of 0 or 100 % makes infinite. (Delta method: Agresti, Categorical Data Analysis, 2013, 16.1.)

    Args:
        mean: any shape.
        half_width: half the width of the interval without bounds, in the shape of `mean`.
        bounds: what the quantity can be.

    Returns:
        The lower and the upper limit, with the mean between them. NaN where the mean is not strictly
        between the bounds.

    >>> low, high = bounded_limits(98.0, 3.0, PERCENT)
    >>> round(float(low), 2), round(float(high), 2)
    (91.38, 99.56)
    """
    mean, half_width = np.asarray(mean, dtype=float), np.asarray(half_width, dtype=float)
    if math.isinf(bounds.low):
        return (mean - half_width)[()], (mean + half_width)[()]
    above, inside = mean - bounds.low, (mean > bounds.low) & (mean < bounds.high)
    if math.isinf(bounds.high):
        factor = np.exp(half_width / np.where(inside, above, np.nan))
        return (bounds.low + above / factor)[()], (bounds.low + above * factor)[()]
    span = bounds.high - bounds.low
    share = np.where(inside, above / span, np.nan)
    step = half_width / (span * share * (1 - share))
    low, high = (bounds.low + span * expit(logit(share) + sign * step) for sign in (-1, 1))
    return low[()], high[()]


def all_equal(values: np.ndarray) -> np.ndarray:
    """Whether all values along the last axis are equal up to rounding.

    Args:
        values: (..., n).

    Returns:
        Booleans of shape (...).

    >>> bool(all_equal(np.array([0.9 - 0.8, 0.7 - 0.6, 0.1])))
    True
    """
    equal: np.ndarray = np.ptp(values, axis=-1) <= ROUNDING * np.abs(values).max(axis=-1)
    return equal


def paired_difference(ours: Mapping[int, float], base: Mapping[int, float]) -> Summary:
    """Summarise ours - base over the seeds that both have.

    Args:
        ours, base: a value for each seed.

    Returns:
        The `Summary` of the paired differences.

    >>> summary = paired_difference({0: 5.0, 1: 7.0, 2: 9.0}, {1: 4.0, 2: 8.0, 3: 100.0})
    >>> summary.n, summary.mean
    (2, 2.0)
    """
    return summarise([ours[seed] - base[seed] for seed in sorted(ours.keys() & base.keys())])


def binomial_standard_error(p: float, n: int) -> float:
    """Standard error of an accuracy that comes from the draw of the test images alone.

    Args:
        p: the accuracy, as a fraction.
        n: the number of test images.

    Returns:
        sqrt(p (1 - p) / n).

    Raises:
        ValueError: unless 0 <= p <= 1 and n >= 1.

    >>> round(binomial_standard_error(0.62, 10_000), 4)
    0.0049
    """
    if not 0 <= p <= 1 or n < 1:
        raise ValueError(f"p must be a fraction and n at least 1, but got p={p}, n={n}")
    return math.sqrt(p * (1 - p) / n)
