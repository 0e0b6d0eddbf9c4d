"""How good the best of n trials is, for a search of random trials.

The expectation is that of Dodge et al., Show Your Work: Improved Reporting of Experimental Results,
arXiv:1909.03004. Its bootstrap interval covers half of what it should with all trials
(benchmarks/tuning_curves.py), since no resample has a better trial than the best one. So the interval
is the exact one of the median best of n, after Lourie et al., Show Your Work with Confidence,
arXiv:2311.09480.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr

CONFIDENCE = 0.95


@dataclass(frozen=True)
class TuningCurve:
    """The best of n = 1 to N trials: arrays (N,).

    `expected` is the mean. `low` and `high` are the 95 % interval of the median; NaN where N trials give
    no limit.
    """

    expected: np.ndarray
    low: np.ndarray
    high: np.ndarray


def expected_best(values_RN: np.ndarray) -> np.ndarray:
    """Expected maximum of n draws with replacement from N values, for n = 1 to N.

    The largest of n draws is at most the i-th smallest value with probability (i / N)^n (Dodge et al.,
    eq. 6 and 7). It is a plug-in estimate: with n near N it is too low on average (Tang et al.,
    arXiv:2004.13705), since no draw exceeds the best value so far.

    Args:
        values_RN: (..., N) values; more is better.

    Returns:
        (..., N): element n - 1 is the expected best of n trials.

    >>> expected_best(np.array([0.5, 0.7])).round(2).tolist()
    [0.6, 0.65]
    """
    values = np.sort(np.asarray(values_RN, dtype=float), axis=-1)
    count = values.shape[-1]
    n_N = np.arange(1, count + 1)
    at_most = (np.arange(count + 1) / count)[:, None] ** n_N[None, :]
    weights_IN = np.diff(at_most, axis=0)
    expected: np.ndarray = values @ weights_IN
    return expected


def tuning_curve(values_N: np.ndarray) -> TuningCurve:
    """`expected_best`, with the exact pointwise interval of the median best of n trials.

    The median of the largest of n draws is the quantile q = 0.5^(1/n) of one draw, whose distribution-free
    interval is between two order statistics (David and Nagaraja, Order Statistics, 2003, section 7.1).
    There is no upper limit unless q^N is at most 2.5 %, so for n up to about N / 5.3.

    Args:
        values_N: (N,) results of all trials; more is better. A failed one counts with its worth.

    >>> curve = tuning_curve(np.linspace(0.0, 1.0, 21))
    >>> round(float(curve.low[0]), 2), round(float(curve.high[0]), 2), bool(np.isnan(curve.high[20]))
    (0.25, 0.75, True)
    """
    values = np.sort(np.asarray(values_N, dtype=float))
    count = len(values)
    tail = (1 - CONFIDENCE) / 2
    quantiles_N = 0.5 ** (1 / np.arange(1, count + 1))
    # [n - 1, k]: the probability that at most k of N trials are below the quantile.
    at_most = np.array([[bdtr(k, count, q) for k in range(count)] for q in quantiles_N])
    low_rank = (at_most <= tail).sum(axis=1)
    high_rank = (1 - at_most > tail).sum(axis=1)
    low = np.where(low_rank > 0, values[np.maximum(low_rank - 1, 0)], np.nan)
    high = np.where(high_rank < count, values[np.minimum(high_rank, count - 1)], np.nan)
    return TuningCurve(expected_best(values), low, high)
