"""What n paired seeds can show: power, minimum detectable difference and required seeds.

A difference and its standard deviation over seeds are in one unit, whichever. So is `image_error`, the
standard error that the choice of the test images leaves in the difference; 0 means that only these
test images matter.
"""

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
    """Paired seeds that a difference requires, and the same at the limits of the 95 % interval of its sd.

    None where not even 10,000 are enough: more seeds don't reduce the error from the test images.
    """

    seeds: int | None
    at_low_sd: int | None
    at_high_sd: int | None


def paired_power(
    difference: float, sd: float, n: int, image_error: float = 0.0, alpha: float = ALPHA
) -> float:
    """Probability that a test with `n` paired seeds rejects a difference of 0.

    The test is that of `two_way_p_value`. Without an image error it is the paired t-test, whose power
    comes from the noncentral t (Cohen, Statistical Power Analysis, 1988, ch. 2). In general, the mean
    is normal given the sample variance, which is sd^2 v / (n - 1) with v from chi-squared. The power
    is the average over v, at 400 equally probable values.

    Args:
        difference: the true difference.
        sd: the standard deviation of the difference over seeds.
        n: the number of paired seeds.
        image_error: the standard error from the test images.
        alpha: the two-sided level of the test.

    Returns:
        The power, from 0 to 1.

    Raises:
        ValueError: for n below 2, and for a negative or 0 sd, a negative image error or an alpha
            outside 0 to 1.

    >>> round(paired_power(difference=0.5, sd=0.4, n=5), 2)
    0.56
    """
    _check(sd, n, image_error, alpha)
    # Midpoints of 400 equal parts of the distribution of the sample variance of the mean.
    parts = (np.arange(NODES) + 0.5) / NODES
    seed_variance = sd**2 / n * chdtri(n - 1, parts) / (n - 1)
    image_variance = image_error**2
    variance = seed_variance + image_variance
    t, z = -stdtrit(n - 1, alpha / 2), -ndtri(alpha / 2)
    critical = weighted_quantile(seed_variance / variance, t, z) * np.sqrt(variance)
    true_error = math.sqrt(sd**2 / n + image_variance)
    rejected = ndtr((difference - critical) / true_error) + ndtr(
        (-difference - critical) / true_error
    )
    return float(rejected.mean())


def minimum_detectable_difference(
    sd: float, n: int, image_error: float = 0.0, alpha: float = ALPHA, power: float = POWER
) -> float:
    """The smallest true difference that `n` paired seeds detect with probability `power`.

    A smaller difference may well exist and not be detected. It is found by bisection of `paired_power`,
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
    while paired_power(high, sd, n, image_error, alpha) < power:
        high *= 2
    for _ in range(50):
        middle = (low + high) / 2
        enough = paired_power(middle, sd, n, image_error, alpha) >= power
        low, high = (low, middle) if enough else (middle, high)
    return high


def required_seeds(
    difference: float,
    sd: float,
    image_error: float = 0.0,
    alpha: float = ALPHA,
    power: float = POWER,
    max_seeds: int = MAX_SEEDS,
) -> int | None:
    """The smallest number of paired seeds that detects `difference` with probability `power`.

    Args:
        difference: the true difference.
        sd: the standard deviation of the difference over seeds.
        image_error: the standard error from the test images.
        alpha: the two-sided level of the test.
        power: the probability of detection.
        max_seeds: the largest number to try.

    Returns:
        The number of seeds, at least 3 since nothing is tested below; None if `max_seeds` is too few.

    Raises:
        ValueError: as `paired_power` does, and for a difference of 0.

    >>> required_seeds(difference=0.5, sd=1.0)
    34
    """
    if difference == 0:
        raise ValueError("no number of seeds detects a difference of 0")
    low, high = MIN_FOR_INTERVAL - 1, MIN_FOR_INTERVAL
    while paired_power(difference, sd, high, image_error, alpha) < power:
        if high >= max_seeds:
            return None
        low, high = high, min(2 * high, max_seeds)
    while high - low > 1:
        middle = (low + high) // 2
        enough = paired_power(difference, sd, middle, image_error, alpha) >= power
        low, high = (low, middle) if enough else (middle, high)
    return high


def sd_interval(sd: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Confidence interval of a standard deviation that was estimated from n normal values.

    It is sd sqrt((n - 1) / chi2) at both tails of chi-squared with n - 1 degrees of freedom
    (NIST/SEMATECH e-Handbook of Statistical Methods, 7.2.3.1).

    Args:
        sd: the sample standard deviation.
        n: the sample size.
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
    low, high = (sd * math.sqrt((n - 1) / chdtri(n - 1, tail)) for tail in tails)
    return low, high


def plan_seeds(
    difference: float,
    sd: float,
    n: int,
    image_error: float = 0.0,
    alpha: float = ALPHA,
    power: float = POWER,
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
        required_seeds(difference, one, image_error, alpha, power)
        for one in (sd, *sd_interval(sd, n))
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
