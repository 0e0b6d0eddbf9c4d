"""What n seeds of each variant can show: power, minimum detectable difference and required seeds.

A difference and its standard deviation over seeds are in one unit, whichever: that deviation divided by
the root of n is the standard error that n seeds of each variant leave. So is `image_error`, the standard
error that the choice of the test images leaves in the difference; 0 means that only these test images
matter. `df_ratio` is the test's degrees of freedom divided by n - 1: 1 for a paired t-test, up to 2 for
Welch's, up to 4 with moderated variances.
"""

import functools
import math
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtri, ndtr, ndtri, stdtrit

from resnest_bench.stats.intervals import weighted_quantile
from resnest_bench.stats.summary import MIN_FOR_INTERVAL

ALPHA = 0.05
POWER = 0.80
MAX_SEEDS = 10_000
NODES = 400


@dataclass(frozen=True)
class RequiredSeeds:
    """Seeds of each variant that a difference requires, and the same at the limits of the 95 % interval of its sd.

    None where not even 10,000 are enough: more seeds don't reduce the error from the test images.
    """

    seeds: int | None
    at_low_sd: int | None
    at_high_sd: int | None


def seed_power(
    difference: float,
    sd: float,
    n: int,
    image_error: float = 0.0,
    alpha: float = ALPHA,
    df_ratio: float = 1.0,
) -> float:
    """Probability that a test with `n` seeds of each variant rejects a difference of 0.

    The test is that of `two_way_p_value`. Without an image error it is a t-test, whose power comes from
    the noncentral t (Cohen, Statistical Power Analysis, 1988, ch. 2). In general, the mean is normal
    given the sample variance, which is sd^2 v / df with v from chi-squared with df degrees of freedom.
    The power is the average over v, at 400 equally probable values.

    Args:
        difference: the true difference.
        sd: the standard deviation of the difference over seeds.
        n: the number of seeds of each variant.
        image_error: the standard error from the test images.
        alpha: the two-sided level of the test.
        df_ratio: the test's degrees of freedom divided by n - 1.

    Returns:
        The power, from 0 to 1.

    Raises:
        ValueError: for n below 2, and for a negative or 0 sd, a negative image error or an alpha
            outside 0 to 1.

    >>> round(seed_power(difference=0.5, sd=0.4, n=5), 2)
    0.56
    """
    _check(sd, n, image_error, alpha)
    critical, true_error = _critical_values(sd, n, image_error, alpha, df_ratio)
    rejected = ndtr((difference - critical) / true_error) + ndtr(
        (-difference - critical) / true_error
    )
    return float(rejected.mean())


@functools.lru_cache(maxsize=1024)
def _critical_values(
    sd: float, n: int, image_error: float, alpha: float, df_ratio: float
) -> tuple[np.ndarray, float]:
    """(nodes,) differences from which the test rejects, and the true standard error.

    A search for a difference asks for the same ones again and again.
    """
    df = df_ratio * (n - 1)
    seed_variance = sd**2 / n * _variance_nodes(df)
    image_variance = image_error**2
    variance = seed_variance + image_variance
    t, z = -stdtrit(df, alpha / 2), -ndtri(alpha / 2)
    critical = np.asarray(weighted_quantile(seed_variance / variance, t, z)) * np.sqrt(variance)
    return critical, math.sqrt(sd**2 / n + image_variance)


@functools.lru_cache(maxsize=1024)
def _variance_nodes(df: float) -> np.ndarray:
    """Midpoints of 400 equal parts of the distribution of a sample variance, for a true one of 1."""
    parts = (np.arange(NODES) + 0.5) / NODES
    nodes: np.ndarray = chdtri(df, parts) / df
    return nodes


def minimum_detectable_difference(
    sd: float,
    n: int,
    image_error: float = 0.0,
    alpha: float = ALPHA,
    power: float = POWER,
    df_ratio: float = 1.0,
) -> float:
    """The smallest true difference that `n` seeds of each variant detect with probability `power`.

    A smaller difference may well exist and not be detected. It is found by bisection of `seed_power`,
    whose arguments and errors this function shares.

    Args:
        power: the probability of detection, 80 % by default.

    Returns:
        The difference, in the unit of `sd`.

    >>> round(minimum_detectable_difference(sd=0.4, n=5), 2)
    0.67
    """
    _check(sd, n, image_error, alpha)
    low, high = 0.0, sd + image_error
    while seed_power(high, sd, n, image_error, alpha, df_ratio) < power:
        high *= 2
    for _ in range(50):
        middle = (low + high) / 2
        enough = seed_power(middle, sd, n, image_error, alpha, df_ratio) >= power
        low, high = (low, middle) if enough else (middle, high)
    return high


def required_seeds(
    difference: float,
    sd: float,
    image_error: float = 0.0,
    alpha: float = ALPHA,
    power: float = POWER,
    max_seeds: int = MAX_SEEDS,
    df_ratio: float = 1.0,
) -> int | None:
    """The smallest number of seeds of each variant that detects `difference` with probability `power`.

    Args:
        difference: the true difference.
        sd: the standard deviation of the difference over seeds.
        image_error: the standard error from the test images.
        alpha: the two-sided level of the test.
        power: the probability of detection.
        max_seeds: the largest number to try.
        df_ratio: the test's degrees of freedom divided by n - 1.

    Returns:
        The number of seeds, at least 3 since nothing is tested below; None if `max_seeds` is too few.

    Raises:
        ValueError: as `seed_power` does, and for a difference of 0.

    >>> required_seeds(difference=0.5, sd=1.0)
    34
    """
    if difference == 0:
        raise ValueError("no number of seeds detects a difference of 0")
    low, high = MIN_FOR_INTERVAL - 1, MIN_FOR_INTERVAL
    while seed_power(difference, sd, high, image_error, alpha, df_ratio) < power:
        if high >= max_seeds:
            return None
        low, high = high, min(2 * high, max_seeds)
    while high - low > 1:
        middle = (low + high) // 2
        enough = seed_power(difference, sd, middle, image_error, alpha, df_ratio) >= power
        low, high = (low, middle) if enough else (middle, high)
    return high


def sd_interval(
    sd: float, n: int, confidence: float = 0.95, df_ratio: float = 1.0
) -> tuple[float, float]:
    """Confidence interval of a standard deviation that was estimated from n normal values.

    It is sd sqrt(df / chi2) at both tails of chi-squared with df degrees of freedom (NIST/SEMATECH
    e-Handbook of Statistical Methods, 7.2.3.1), n - 1 for a sample of n.

    Args:
        sd: the sample standard deviation.
        n: the sample size.
        df_ratio: the degrees of freedom divided by n - 1.
        confidence: the coverage, as a fraction.

    Returns:
        The lower and the upper limit.

    Raises:
        ValueError: for n below 2.

    >>> low, high = sd_interval(1.0, n=3)
    >>> round(low, 2), round(high, 2)
    (0.52, 6.28)
    """
    if n < 2:
        raise ValueError(f"one value has no spread: n must be 2 or more, but is {n}")
    tails = (1 - confidence) / 2, (1 + confidence) / 2
    df = df_ratio * (n - 1)
    low, high = (sd * math.sqrt(df / chdtri(df, tail)) for tail in tails)
    return low, high


def plan_seeds(
    difference: float,
    sd: float,
    n: int,
    image_error: float = 0.0,
    alpha: float = ALPHA,
    power: float = POWER,
    df_ratio: float = 1.0,
) -> RequiredSeeds:
    """Required seeds for an sd that was estimated from `n` seeds, with the uncertainty of that estimate.

    Args:
        n: the number of seeds behind `sd`. The other arguments are those of `required_seeds`.

    Returns:
        The number at the estimated sd and at both limits of `sd_interval`.

    >>> plan_seeds(difference=0.5, sd=0.5, n=10)
    RequiredSeeds(seeds=10, at_low_sd=6, at_high_sd=29)
    """
    numbers = [
        required_seeds(difference, one, image_error, alpha, power, df_ratio=df_ratio)
        for one in (sd, *sd_interval(sd, n, df_ratio=df_ratio))
    ]
    return RequiredSeeds(*numbers)


def _check(sd: float, n: int, image_error: float, alpha: float) -> None:
    if n < 2:
        raise ValueError(f"one seed has no spread: n must be 2 or more, but is {n}")
    if sd <= 0 or image_error < 0 or not 0 < alpha < 1:
        raise ValueError(
            f"sd must be above 0, the image error 0 or more and alpha between 0 and 1, "
            f"but got {sd}, {image_error} and {alpha}"
        )
