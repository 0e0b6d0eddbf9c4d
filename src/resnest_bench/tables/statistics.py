"""Means with their uncertainty, and the Pareto front."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import stdtrit

CONFIDENCE = 0.95
# Values that differ by less than this share of the largest one differ by rounding alone.
ROUNDING = 1e-9


def t_quantile(degrees_of_freedom: np.ndarray | float) -> np.ndarray | float:
    """Student's t at (1 + CONFIDENCE) / 2: what an interval of CONFIDENCE is wide in standard errors."""
    # scipy.stats has the same function, and takes half a second to import.
    quantile: np.ndarray | float = stdtrit(degrees_of_freedom, (1 + CONFIDENCE) / 2)
    return quantile


@dataclass(frozen=True)
class Summary:
    """Of n values: mean, sample standard deviation, half of the 95 % interval of the mean.

    All in the unit of the values. `mean` is None without a value, `std` and `half_width` are None
    below two: one value says nothing of its spread. `half_width` is None too where all values are
    alike: accuracies on few images can be so by chance, and a width of 0 would claim certainty.
    """

    n: int
    mean: float | None
    std: float | None
    half_width: float | None


def summarise(values: Sequence[float]) -> Summary:
    """Mean, std = sqrt(sum((x - mean)^2) / (n - 1)), and t(0.975, n - 1) * std / sqrt(n).

    The interval is Student's: it takes the values as independent and about normal.
    """
    array = np.asarray(values, dtype=float)
    n = len(array)
    if not n:
        return Summary(0, None, None, None)
    if n == 1:
        return Summary(1, float(array[0]), None, None)
    if are_alike(array):
        return Summary(n, float(array.mean()), 0.0, None)
    std = float(array.std(ddof=1))
    factor = float(t_quantile(n - 1))
    return Summary(n, float(array.mean()), std, factor * std / math.sqrt(n))


def are_alike(values: np.ndarray) -> np.ndarray:
    """Whether all values along the last axis are one value, but for rounding."""
    alike: np.ndarray = np.ptp(values, axis=-1) <= ROUNDING * np.abs(values).max(axis=-1)
    return alike


def half_widths(means: pd.Series, stds: pd.Series, counts: pd.Series) -> pd.Series:
    """`Summary.half_width` of many at once: t(0.975, n - 1) * std / sqrt(n).

    NaN below n = 2, and where the std is 0 but for rounding.
    """
    n, std = counts.to_numpy(dtype=float), stds.to_numpy(dtype=float)
    factor = t_quantile(np.maximum(n - 1, 1)) / np.sqrt(np.maximum(n, 1))
    seen = (n > 1) & (std > ROUNDING * np.abs(means.to_numpy(dtype=float)))
    return pd.Series(np.where(seen, factor * std, np.nan), index=stds.index)


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


def pareto_front(frame: pd.DataFrame, x: str, y: str) -> pd.Series:
    """Boolean mask of the rows that no other row dominates: x is minimised, y maximised.

    A row is dominated by one that is no worse in both and better in one. So two rows with the same
    x and y are both on the front, or both off it. A row that lacks x or y is never on it.
    """
    xs = frame[x].to_numpy(dtype=float, na_value=np.nan)
    ys = frame[y].to_numpy(dtype=float, na_value=np.nan)
    # [i, j]: does row j dominate row i? Comparisons with NaN are False.
    no_worse = (xs[None, :] <= xs[:, None]) & (ys[None, :] >= ys[:, None])
    better = (xs[None, :] < xs[:, None]) | (ys[None, :] > ys[:, None])
    dominated = (no_worse & better).any(axis=1)
    known = ~(np.isnan(xs) | np.isnan(ys))
    return pd.Series(known & ~dominated, index=frame.index, dtype=bool)
