"""What n paired seeds can and can't show: power, least detectable difference, seeds needed.

A difference and its standard deviation over seeds are in one unit, whichever; so is `image_error`,
the standard error that the test images alone leave in the difference (0: these images only).
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtri, ndtr, ndtri, stdtrit

from resnest_bench.stats.intervals import weighted_quantile
from resnest_bench.stats.summary import FEWEST_FOR_INTERVAL

ALPHA = 0.05
POWER = 0.80
MOST_SEEDS = 10_000
NODES = 400


@dataclass(frozen=True)
class SeedsNeeded:
    """Paired seeds that a difference needs, and the same at the ends of the sd's 95 % interval.

    None where no number up to 10,000 is enough: the test images' own error can't be trained away.
    """

    seeds: int | None
    at_low_sd: int | None
    at_high_sd: int | None


def paired_power(
    difference: float, sd: float, n: int, image_error: float = 0.0, alpha: float = ALPHA
) -> float:
    """Probability that `n` paired seeds find a true `difference` at the two-sided level `alpha`.

    The test is that of `crossed_p_value`. Without an image error it is the paired t-test, whose power
    is that of the noncentral t (Cohen, Statistical Power Analysis, 1988, ch. 2). In general: given
    the sample variance v, sd^2 v / (n - 1) of a chi-squared value, the mean is normal; the power is
    the mean over v, at 400 equally probable values.

    Raises ValueError for n below 2, for sd, image error or alpha that make no sense.
    """
    _check(sd, n, image_error, alpha)
    # Midpoints of 400 equal parts of the distribution of the sample variance of the mean.
    parts = (np.arange(NODES) + 0.5) / NODES
    seed_part = sd**2 / n * chdtri(n - 1, parts) / (n - 1)
    image_part = image_error**2
    whole = seed_part + image_part
    t, z = -stdtrit(n - 1, alpha / 2), -ndtri(alpha / 2)
    critical = weighted_quantile(seed_part / whole, t, z) * np.sqrt(whole)
    true = math.sqrt(sd**2 / n + image_part)
    found = ndtr((difference - critical) / true) + ndtr((-difference - critical) / true)
    return float(found.mean())


def least_detectable(
    sd: float, n: int, image_error: float = 0.0, alpha: float = ALPHA, wanted: float = POWER
) -> float:
    """The true difference that `n` paired seeds find with probability `wanted` (80 %).

    A smaller one may well be there and not be found. Same arguments and errors as `paired_power`.
    """
    _check(sd, n, image_error, alpha)
    low, high = 0.0, sd + image_error
    while paired_power(high, sd, n, image_error, alpha) < wanted:
        high *= 2
    for _ in range(50):
        middle = (low + high) / 2
        enough = paired_power(middle, sd, n, image_error, alpha) >= wanted
        low, high = (low, middle) if enough else (middle, high)
    return high


def seeds_needed(
    difference: float,
    sd: float,
    image_error: float = 0.0,
    alpha: float = ALPHA,
    wanted: float = POWER,
    most: int = MOST_SEEDS,
) -> int | None:
    """The fewest paired seeds that find `difference` with probability `wanted`; None above `most`.

    Never fewer than 3, below which nothing is tested. Raises ValueError as `paired_power` does, and for a difference of 0.
    """
    if difference == 0:
        raise ValueError("no number of seeds finds a difference of 0")
    low, high = FEWEST_FOR_INTERVAL - 1, FEWEST_FOR_INTERVAL
    while paired_power(difference, sd, high, image_error, alpha) < wanted:
        if high >= most:
            return None
        low, high = high, min(2 * high, most)
    while high - low > 1:
        middle = (low + high) // 2
        enough = paired_power(difference, sd, middle, image_error, alpha) >= wanted
        low, high = (low, middle) if enough else (middle, high)
    return high


def sd_interval(sd: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of a standard deviation that was seen over n values.

    sd sqrt((n - 1) / chi2), at both tails of chi-squared with n - 1 degrees of freedom: of three
    values it reaches from 0.52 to 6.3 times what was seen. Raises ValueError for n below 2.
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
    wanted: float = POWER,
) -> SeedsNeeded:
    """`seeds_needed` with an sd that was seen over `n` seeds, and how far that can be trusted."""
    needed = [
        seeds_needed(difference, each, image_error, alpha, wanted)
        for each in (sd, *sd_interval(sd, n))
    ]
    return SeedsNeeded(*needed)


def _check(sd: float, n: int, image_error: float, alpha: float) -> None:
    if n < 2:
        raise ValueError(f"one seed has no spread: n must be 2 or more, but is {n}")
    if sd <= 0 or image_error < 0 or not 0 < alpha < 1:
        raise ValueError(
            f"sd must be above 0, the image error 0 or more and alpha between 0 and 1, "
            f"but came {sd}, {image_error} and {alpha}"
        )
