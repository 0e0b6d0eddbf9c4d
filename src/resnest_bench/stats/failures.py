"""Find failed trainings and trainings that split into two groups, from their results alone.

Both tests assume that the other results are about normally distributed. A few seeds show little: below
MIN_SEEDS nothing is flagged, and above it only gross failures are. At the level ALPHA, about one in 20
networks without any failure is flagged by each test. A flag is a reason to look, not to drop a seed.
"""

import functools
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

# Iglewicz and Hoaglin, How to Detect and Handle Outliers, ASQC 1993.
FAR_BELOW = -3.5
ALPHA = 0.05
MIN_SEEDS = 5
# As for moderated variances: fewer networks say too little about their common spread.
MIN_NETWORKS = 4
SMALLEST_GROUP = 2
NUM_DRAWS = 20_000


def modified_z_scores(values_S: np.ndarray, scale: np.ndarray | float | None = None) -> np.ndarray:
    """Return 0.6745 (x - median) / MAD: how far each value is from the median, in robust units.

    If half of the values are equal, the MAD is 0, and 1.2533 times the mean absolute deviation replaces
    MAD / 0.6745. Source: Iglewicz and Hoaglin, 1993.

    Args:
        values_S: results of the seeds, any leading axes; NaN for a missing one.
        scale: a standard deviation to use instead of MAD / 0.6745, in the shape of the leading axes.

    Returns:
        The scores in the same shape; 0 if all values are equal.

    >>> modified_z_scores(np.array([37.0, 38.5, 40.0, 41.0, 26.8])).round(2)
    array([-0.67,  0.  ,  0.67,  1.12, -5.26])
    """
    deviation_S = values_S - np.nanmedian(values_S, axis=-1, keepdims=True)
    if scale is None:
        distance_S = np.abs(deviation_S)
        robust = np.nanmedian(distance_S, axis=-1, keepdims=True) / 0.6745
        mean = np.nanmean(distance_S, axis=-1, keepdims=True) * 1.253314
        spread = np.where(robust > 0, robust, mean)
    else:
        spread = np.asarray(scale, dtype=float)[..., None]
    scores_S: np.ndarray = deviation_S / np.where(spread > 0, spread, 1.0)
    return scores_S


def typical_spread(values_VS: np.ndarray) -> float:
    """Return the median over networks of their standard deviation over seeds.

    The MAD of a handful of seeds is too noisy to find failures, and the standard deviation of the network
    itself includes them. A median over networks is not affected by the few that have failures.

    Args:
        values_VS: results, networks by seeds; NaN for a missing one.

    Returns:
        The spread in the unit of the values; NaN below MIN_NETWORKS networks with MIN_SEEDS seeds.

    >>> round(typical_spread(np.array([[1.0, 2, 3, 4, 5], [2, 4, 6, 8, 10]] * 2)), 2)
    2.37
    """
    num_V = np.count_nonzero(~np.isnan(values_VS), axis=-1)
    tested_VS = values_VS[num_V >= MIN_SEEDS]
    if len(tested_VS) < MIN_NETWORKS:
        return float("nan")
    return float(np.median(np.nanstd(tested_VS, axis=-1, ddof=1)))


def grubbs_p(values_S: np.ndarray) -> np.ndarray:
    """Return the p-value of Grubbs' test that the lowest value is too low for a normal sample.

    With G = (mean - min) / s and t^2 = n (n - 2) G^2 / ((n - 1)^2 - n G^2), the one-sided p is at most
    n P(T > t) for n - 2 degrees of freedom. Source: Grubbs, Technometrics 11 (1969) 1; the formula as in
    the NIST/SEMATECH e-Handbook of Statistical Methods, section 1.3.5.17.1.

    Args:
        values_S: results of the seeds, any leading axes; NaN for a missing one.

    Returns:
        p-values in the shape of the leading axes; 1 below three values, or if all are equal.

    >>> float(grubbs_p(np.array([37.0, 38.5, 40.0, 41.0, 26.8])).round(3))
    0.02
    """
    n = np.count_nonzero(~np.isnan(values_S), axis=-1).astype(float)
    mean = np.nanmean(values_S, axis=-1)
    squares = np.nansum((values_S - mean[..., None]) ** 2, axis=-1)
    usable = (n >= 3) & (squares > 0)
    variance = np.where(usable, squares / np.maximum(n - 1, 1), 1.0)
    g_squared = (mean - np.nanmin(values_S, axis=-1)) ** 2 / variance
    # The largest possible G makes this 0.
    rest = np.maximum((n - 1) ** 2 - n * g_squared, 1e-12)
    t = np.sqrt(np.maximum(n * (n - 2), 0.0) * g_squared / rest)
    p = np.minimum(n * stdtr(np.maximum(n - 2, 1.0), -t), 1.0)
    return np.where(usable, p, 1.0)


def find_failed(values_S: np.ndarray, scale: np.ndarray | float | None = None) -> np.ndarray:
    """Return which results are far below the others: by modified z-score and by Grubbs' test.

    A result has failed if both say so. The modified z-score alone flags 12 % of normal samples of five, and
    Grubbs' test alone finds small differences if the other results happen to agree. The lowest value is tested
    again after each failure. Two failures of equal size hide each other: see `find_two_groups`.

    Args:
        values_S: results of the seeds, any leading axes; NaN for a missing one.
        scale: see `modified_z_scores`; `typical_spread` of the study.

    Returns:
        Booleans in the same shape; all False below MIN_SEEDS values.

    >>> find_failed(np.array([37.0, 38.5, 40.0, 41.0, 26.8]))
    array([False, False, False, False,  True])
    """
    failed_S = np.zeros(values_S.shape, dtype=bool)
    for _ in range((values_S.shape[-1] - 1) // 2):
        rest_S = np.where(failed_S, np.nan, values_S)
        num = np.count_nonzero(~np.isnan(rest_S), axis=-1)
        enough = (num >= MIN_SEEDS) & (failed_S.sum(axis=-1) < (num + failed_S.sum(axis=-1)) / 2)
        if not enough.any():
            break
        # A row without values would only warn.
        tested_S = np.where(enough[..., None], rest_S, 0.0)
        suspect = enough & (grubbs_p(tested_S) <= ALPHA)
        is_lowest_S = tested_S == np.nanmin(tested_S, axis=-1, keepdims=True)
        is_far_S = modified_z_scores(tested_S, scale) < FAR_BELOW
        more_S = suspect[..., None] & is_lowest_S & is_far_S
        if not more_S.any():
            break
        failed_S |= more_S
    return failed_S


@dataclass(frozen=True)
class TwoGroups:
    """The best division of results into a lower and a higher group.

    `p` is for one normal sample. `num_low` results are in the lower group; `gap` is the difference of the
    groups' means, in the unit of the values.
    """

    p: np.ndarray
    num_low: np.ndarray
    gap: np.ndarray


def find_two_groups(values_S: np.ndarray) -> TwoGroups:
    """Divide each sample into two groups, and test whether they are further apart than in one normal sample.

    The statistic is the largest share of the sum of squares between two groups of at least two values
    (Engelman and Hartigan, JASA 64 (1969) 1647). Its p-value is by simulation of NUM_DRAWS normal samples
    of the same size with a fixed seed: (1 + draws at least as large) / (1 + NUM_DRAWS).

    Args:
        values_S: results of the seeds, any leading axes, without NaN.

    Returns:
        `TwoGroups` in the shape of the leading axes. p is 1 below MIN_SEEDS values.

    >>> groups = find_two_groups(np.array([61.0, 40.1, 60.8, 40.5, 61.2, 60.9]))
    >>> bool(groups.p < 0.001), int(groups.num_low), round(float(groups.gap), 2)
    (True, 2, 20.67)
    """
    n = values_S.shape[-1]
    if n < MIN_SEEDS:
        shape = values_S.shape[:-1]
        return TwoGroups(np.ones(shape), np.zeros(shape, dtype=int), np.zeros(shape))
    share, num_low, gap = _best_split(values_S)
    null = _null_shares(n)
    at_least = NUM_DRAWS - np.searchsorted(null, share, side="left")
    return TwoGroups((1 + at_least) / (1 + NUM_DRAWS), num_low, gap)


def _best_split(values_S: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the largest share of squares between two groups, the size of the lower one, and the gap."""
    n = values_S.shape[-1]
    sorted_S = np.sort(values_S, axis=-1)
    sizes = np.arange(SMALLEST_GROUP, n - SMALLEST_GROUP + 1)
    sums = np.cumsum(sorted_S, axis=-1)[..., sizes - 1]
    total = sorted_S.sum(axis=-1, keepdims=True)
    gaps = (total - sums) / (n - sizes) - sums / sizes
    squares = sizes * (n - sizes) / n * gaps**2
    best = squares.argmax(axis=-1)[..., None]
    all_squares = ((sorted_S - total / n) ** 2).sum(axis=-1)
    largest = np.take_along_axis(squares, best, -1)[..., 0]
    share = np.where(all_squares > 0, largest / np.where(all_squares > 0, all_squares, 1.0), 0.0)
    return share, sizes[best[..., 0]], np.take_along_axis(gaps, best, -1)[..., 0]


@functools.lru_cache(maxsize=64)
def _null_shares(n: int) -> np.ndarray:
    draws_KS = np.random.default_rng(0).standard_normal((NUM_DRAWS, n))
    return np.sort(_best_split(draws_KS)[0])


def interquartile_mean(values_S: np.ndarray) -> np.ndarray:
    """Return the mean without the lowest and the highest quarter of the values, rounded down.

    Source: Agarwal et al., Deep RL at the Edge of the Statistical Precipice, NeurIPS 2021; equal to
    `scipy.stats.trim_mean(values, 0.25)`.

    Args:
        values_S: at least one result, any leading axes, without NaN.

    Returns:
        The means in the shape of the leading axes.

    >>> float(interquartile_mean(np.array([37.0, 38.5, 40.0, 41.0, 26.8])))
    38.5
    """
    n = values_S.shape[-1]
    cut = n // 4
    mean: np.ndarray = np.sort(values_S, axis=-1)[..., cut : n - cut].mean(axis=-1)
    return mean
