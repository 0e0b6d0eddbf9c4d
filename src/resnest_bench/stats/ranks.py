"""Variants over several data sets: mean ranks, and whether they differ (Demsar, JMLR 7 (2006) 1)."""

import math

import numpy as np
from scipy.special import fdtrc

from resnest_bench.stats.power import ALPHA

# With fewer data sets no test of ranks can show much.
FEW_DATASETS = 5


def rank_values(values_DV: np.ndarray, higher_is_better: bool = True) -> np.ndarray:
    """Ranks of V variants within each of D data sets: 1 for the best, the mean rank for ties.

    Args:
        values_DV: (D, V), without gaps.
        higher_is_better: whether the greatest value has rank 1.

    Returns:
        Ranks in the same shape.

    >>> rank_values(np.array([[0.9, 0.7, 0.7], [0.5, 0.6, 0.4]])).tolist()
    [[1.0, 2.5, 2.5], [2.0, 1.0, 3.0]]
    """
    # It takes half a second to import.
    from scipy.stats import rankdata

    values = np.asarray(values_DV, dtype=float)
    ranks: np.ndarray = rankdata(-values if higher_is_better else values, axis=1)
    return ranks


def friedman_p_value(ranks_DV: np.ndarray) -> float:
    """Test that all variants have the same mean rank: Friedman's, in Iman and Davenport's form.

    With chi2 = 12 D / (V (V + 1)) (sum of R_v^2 - V (V + 1)^2 / 4), F = (D - 1) chi2 / (D (V - 1) - chi2) has
    V - 1 and (V - 1) (D - 1) degrees of freedom (Iman and Davenport, Commun. Stat. A9 (1980) 571).

    Args:
        ranks_DV: (D, V), from `rank_values`.

    Returns:
        The p-value; NaN below two data sets or two variants, 0 where the ranks are the same everywhere.

    >>> ranks = np.array([[1, 2, 3], [1, 3, 2], [1, 2, 3], [2, 1, 3]])
    >>> round(friedman_p_value(ranks), 3)
    0.084
    """
    num_datasets, num_variants = ranks_DV.shape
    if num_datasets < 2 or num_variants < 2:
        return math.nan
    mean_ranks = ranks_DV.mean(axis=0)
    scale = 12 * num_datasets / (num_variants * (num_variants + 1))
    chi2 = scale * ((mean_ranks**2).sum() - num_variants * (num_variants + 1) ** 2 / 4)
    rest = num_datasets * (num_variants - 1) - chi2
    if rest <= 1e-9 * chi2:
        return 0.0
    df = num_variants - 1
    return float(fdtrc(df, df * (num_datasets - 1), (num_datasets - 1) * chi2 / rest))


def critical_difference(num_variants: int, num_datasets: int, alpha: float = ALPHA) -> float:
    """Nemenyi's critical difference: two mean ranks that differ by more are significantly different.

    q sqrt(V (V + 1) / (6 D)), with q the studentised range's quantile divided by the root of 2.

    Args:
        num_variants: V, two or more.
        num_datasets: D.
        alpha: the level for all pairs together.

    Returns:
        The difference of two mean ranks.

    Demsar's table 5 has q = 2.343 for three variants and 2.728 for five:

    >>> round(critical_difference(5, 30), 3), round(critical_difference(3, 2), 3)
    (1.114, 2.344)
    """
    # It takes half a second to import.
    from scipy.stats import studentized_range

    q = float(studentized_range.ppf(1 - alpha, num_variants, np.inf)) / math.sqrt(2)
    return q * math.sqrt(num_variants * (num_variants + 1) / (6 * num_datasets))


def performance_profile(values_VR: np.ndarray, thresholds_T: np.ndarray) -> np.ndarray:
    """Share of the runs of each variant that reach each threshold.

    The score distribution of Agarwal et al. (NeurIPS 2021, arXiv:2108.13264), of runs over all data sets and
    seeds. A curve that is above another everywhere is better whatever one asks for.

    Args:
        values_VR: (V, R), one value per run; NaN is no run.
        thresholds_T: (T,).

    Returns:
        Shares in shape (V, T); NaN for a variant without a run.

    >>> performance_profile(np.array([[0.5, 0.7, np.nan]]), np.array([0.4, 0.6, 0.8])).tolist()
    [[1.0, 0.5, 0.0]]
    """
    values = np.asarray(values_VR, dtype=float)
    known = ~np.isnan(values)
    reached = (values[:, None, :] >= np.asarray(thresholds_T)[:, None]).sum(axis=-1)
    count = known.sum(axis=-1, keepdims=True)
    shares: np.ndarray = np.divide(
        reached, count, out=np.full(reached.shape, np.nan), where=count > 0
    )
    return shares
