"""Two-sided p-values that match the intervals: an interval with coverage 1 - p just touches 0."""

from dataclasses import replace

import numpy as np
from scipy.special import stdtr

from resnest_bench.stats.intervals import (
    MeanEstimate,
    combined_quantile,
    sample_variance,
    where_positive,
)
from resnest_bench.stats.summary import MIN_FOR_INTERVAL, Array

# Below this a two-sided p-value is not computed any further.
SMALLEST_P = 1e-15


def seed_p_value(values_S: np.ndarray) -> Array:
    """Student's t-test that the mean over new seeds is 0 (Biometrika 6 (1908) 1).

    Args:
        values_S: (..., seeds).

    Returns:
        Two-sided p-values in shape (...). 1 where all values are 0. NaN below three values, and where
        all values are equal but not 0.

    >>> round(float(seed_p_value(np.array([0.5, 1.0, 1.8]))), 4)
    0.1009
    """
    values = np.asarray(values_S, dtype=float)
    n = values.shape[-1]
    mean = values.mean(axis=-1)
    if n < MIN_FOR_INTERVAL:
        gap: Array = mean * np.nan
        return gap
    error = np.sqrt(sample_variance(values) / n)
    t = _divide_where_positive(np.abs(mean), error)
    return where_positive(error, 2 * stdtr(n - 1, -t), _one_at_zero(mean))


def two_way_p_value(estimate: MeanEstimate) -> Array:
    """Test that a mean is 0 for new seeds on new images, by the interval of `two_way_interval`.

    Cochran's quantile (Biometrics 20 (1964) 191) has no inverse in closed form, so it is bisected.

    Args:
        estimate: from `estimate_mean`.

    Returns:
        Two-sided p-values in the shape of the estimate, not below 1e-15. NaN as in `seed_p_value`.

    >>> estimate = MeanEstimate(0.0125, seed_variance=9e-6, image_variance=16e-6, num_seeds=5)
    >>> round(float(two_way_p_value(estimate)), 3)
    0.034
    """
    enough = np.asarray(estimate.num_seeds) >= MIN_FOR_INTERVAL
    if not enough.any():
        gap: Array = np.asarray(estimate.mean) * np.nan
        return gap
    t = _divide_where_positive(np.abs(estimate.mean), estimate.standard_error)
    p = where_positive(
        estimate.seed_variance, _combined_tail(estimate, t), _one_at_zero(estimate.mean)
    )
    return np.where(enough, p, np.nan)[()]


def one_sided_p_value(estimate: MeanEstimate, limit: Array) -> Array:
    """One-sided `two_way_p_value` that a mean is `limit` or less: small well above the limit.

    Args:
        estimate: from `estimate_mean` or `SeedModel.difference`.
        limit: in the unit and the shape of the estimate, or a scalar.

    Returns:
        P-values in the shape of the estimate.

    >>> estimate = MeanEstimate(0.0125, seed_variance=9e-6, image_variance=16e-6, num_seeds=5)
    >>> round(float(one_sided_p_value(estimate, 0.0)), 3)
    0.017
    """
    shifted = replace(estimate, mean=estimate.mean - limit)
    p = np.asarray(two_way_p_value(shifted))
    return np.where(np.asarray(shifted.mean) > 0, p / 2, 1 - p / 2)[()]


def probability_above(mean: Array, p_value: Array) -> Array:
    """Probability that the true mean is above 0, under a flat prior.

    It is 1 - p / 2 for a positive mean and p / 2 otherwise: the posterior probability under the
    reference prior that turns a t interval into a credible interval (flat in the mean and in log sd;
    Box and Tiao, Bayesian Inference in Statistical Analysis, 1973, 2.4).

    Args:
        mean: the estimated mean, any shape.
        p_value: its two-sided p-value against 0, in the same shape.

    Returns:
        Probabilities in the same shape.

    >>> probability_above(np.array([1.7, -1.7]), 0.04).tolist()
    [0.98, 0.02]
    """
    return np.where(np.asarray(mean) > 0, 1 - np.asarray(p_value) / 2, np.asarray(p_value) / 2)


def _combined_tail(estimate: MeanEstimate, t: Array) -> Array:
    """Two-sided tail of Cochran's quantile beyond `t`, by bisection of the logarithm of the tail."""
    low = np.full(np.shape(t), np.log(SMALLEST_P / 2))
    high = np.full(np.shape(t), np.log(0.5))
    for _ in range(60):
        middle = (low + high) / 2
        beyond = combined_quantile(estimate, np.exp(middle)) > t
        low, high = np.where(beyond, middle, low), np.where(beyond, high, middle)
    tail: Array = 2 * np.exp((low + high) / 2)
    return tail


def _divide_where_positive(mean: Array, error: Array) -> Array:
    return np.divide(mean, error, out=np.zeros(np.shape(mean)), where=np.asarray(error) > 0)


def _one_at_zero(mean: Array) -> Array:
    return np.where(np.asarray(mean) == 0, 1.0, np.nan)
