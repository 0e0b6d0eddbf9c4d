"""Interim analyses of one comparison, as an adaptive study makes them.

An interim analysis, "look" for short, tests a comparison before all of its seeds are trained. The
numbers of seeds at which this happens are planned beforehand. The looks share the level as O'Brien and
Fleming do (Biometrics 35 (1979) 549): a look at a share t of the seeds rejects where z sqrt(t) exceeds one
constant, so that early looks must be very clear and the last one hardly pays. The constant comes from the
union bound over the looks instead of their joint distribution, which would rest on normal values with a
known spread. So the probability that any look rejects a true hypothesis is at most the level, whichever
looks are taken and for whatever reason seeds are added (benchmarks/adaptive_error.py).
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from resnest_bench.stats.intervals import MeanEstimate
from resnest_bench.stats.power import ALPHA
from resnest_bench.stats.summary import Array


@dataclass(frozen=True)
class Looks:
    """The interim analyses of one comparison: `taken` of those planned at `schedule` seeds.

    `estimates` are those of the looks that had a spread to test with, and `numbers` say which looks these
    are, from 0. `next_counts` says how many seeds each side has at the next look; it is empty after the last.

    >>> looks = Looks(schedule=(3, 5, 7, 9), taken=1, numbers=(), estimates=())
    >>> round(looks.confidence, 4), round(Looks((3, 5, 7, 9), 4, (), ()).confidence, 4)
    (0.9998, 0.9687)
    """

    schedule: tuple[int, ...]
    taken: int
    numbers: tuple[int, ...]
    estimates: tuple[MeanEstimate, ...]
    next_counts: tuple[int, ...] = ()

    @property
    def planned(self) -> int:
        return len(self.schedule)

    @property
    def confidence(self) -> float:
        """Confidence of the interval at the last look taken; the intervals of all looks hold together at 95 %.

        Such a repeated confidence interval holds whenever one stops (Jennison and Turnbull, Group
        Sequential Methods, 2000, ch. 9).
        """
        return 1 - nominal_levels(self.schedule)[max(self.taken, 1) - 1]

    @property
    def last_share(self) -> float:
        """The share of the level that the last look planned has, to plan the seeds of a comparison."""
        return nominal_levels(self.schedule, 2 * ALPHA)[-1] / (2 * ALPHA)


# An accident of three seeds must not send all new ones to one side: this many degrees of freedom of the
# spread that all sides share are added to each. benchmarks/adaptive_error.py compares other numbers.
SHARED_DF = 2


def allocate_seeds(
    variances: Array | Sequence[float], counts: Sequence[int], total: int, most: int
) -> tuple[int, ...]:
    """Give new seeds to the sides of a comparison, more of them to the side that varies more.

    One seed after the other goes where it lowers the sum of v_i / n_i, the variance of the difference, the
    most (Neyman's allocation in whole numbers). v_i is the side's variance with `SHARED_DF` degrees of
    freedom of the sides' pooled variance. The means play no part, so that a test at the new numbers of
    seeds stays valid, apart from what the choice itself owes to the spread.

    Args:
        variances: of each side over its seeds; NaN for a side without one, which counts as the pooled one.
        counts: the number of seeds of each side.
        total: the number of seeds of all sides together that are wanted.
        most: the largest number for any side.

    Returns:
        The new number of seeds of each side, never below `counts`.

    Raises:
        ValueError: if `total` is more than `most` for each side.

    >>> allocate_seeds([1.0, 1.0], (3, 3), 10, most=9), allocate_seeds([9.0, 1.0], (3, 3), 10, most=9)
    ((5, 5), (6, 4))
    >>> allocate_seeds([100.0, 0.01], (3, 3), 14, most=9)
    (9, 5)
    """
    if total > most * len(counts):
        raise ValueError(f"{total} seeds don't fit {len(counts)} sides of at most {most}")
    n = np.array(counts)
    given = np.asarray(variances, dtype=float)
    df = np.where(np.isnan(given), 0, n - 1)
    pooled = float(np.average(np.nan_to_num(given), weights=df)) if df.sum() else 1.0
    # Without any spread every side is alike.
    weights = (df * np.nan_to_num(given) + SHARED_DF * pooled) / (df + SHARED_DF) if pooled else 1.0
    for _ in range(total - int(n.sum())):
        n[np.argmax(np.where(n < most, weights / (n * (n + 1)), -1.0))] += 1
    return tuple(n.tolist())


@functools.lru_cache(maxsize=256)
def nominal_levels(schedule: tuple[int, ...], alpha: float = ALPHA) -> tuple[float, ...]:
    """The two-sided level of each look planned; their sum is `alpha`.

    Args:
        schedule: the numbers of seeds at which the looks are planned, rising.
        alpha: the level of all looks together.

    Returns:
        2 Phi(-c sqrt(n_K / n_k)) for look k, with c so that they add up to alpha.

    >>> [round(level, 4) for level in nominal_levels((3, 5, 7, 9))]
    [0.0002, 0.0039, 0.0146, 0.0313]
    """
    if len(schedule) == 1:
        return (alpha,)
    shares = np.array(schedule, dtype=float) / schedule[-1]
    # From far above the constant to the level of the last look alone.
    c = brentq(lambda value: _spent(value, shares) - alpha, -ndtri(alpha / 2), 40.0)
    return tuple((2 * ndtr(-c / np.sqrt(shares))).tolist())


def _spent(c: float, shares: np.ndarray) -> float:
    return float(2 * ndtr(-c / np.sqrt(shares)).sum())


def combine_looks(
    looks: Looks, p_values: Callable[[MeanEstimate], tuple[Array, Array]]
) -> tuple[float, float]:
    """Combine the one-sided p-values of all looks, for a claim and against it.

    Another look never makes a combined p-value larger, so that a verdict stays.

    Args:
        looks: the interim analyses, with an estimate for each.
        p_values: the test; it returns the p-value for the claim and the one against it.

    Returns:
        The combined p-values for and against, of `correct_for_looks`.

    >>> estimates = (MeanEstimate(1.0, 0.25, 0.0, 5), MeanEstimate(2.0, 0.25, 0.0, 10))
    >>> looks = Looks((5, 10), 2, (0, 1), estimates)
    >>> p_for, p_against = combine_looks(looks, lambda estimate: (0.02 / estimate.mean, 0.9))
    >>> round(p_for, 4), p_against
    (0.0105, 1.0)
    """
    p_by_look = np.array([p_values(estimate) for estimate in looks.estimates], dtype=float)
    corrected = np.asarray(correct_for_looks(p_by_look.T, looks.schedule, looks.numbers))
    return float(corrected[0]), float(corrected[1])


def correct_for_looks(
    p_L: Array | Sequence[float], schedule: tuple[int, ...], numbers: Sequence[int]
) -> Array:
    """Correct the one-sided p-values of one comparison for all of its planned looks.

    With z_k the normal equivalent of look k's p-value and t_k the share of the seeds that it has, the
    greatest z_k sqrt(t_k) = c is compared with what any of the planned looks would exceed by chance.

    Args:
        p_L: (..., looks), a p-value for each look that had a test.
        schedule: the numbers of seeds of the looks planned, rising.
        numbers: which of these had a test, from 0.

    Returns:
        The sum of Phi(-c / sqrt(t_j)) over the looks planned, at most 1, in shape (...).

    >>> round(float(correct_for_looks([0.3, 0.01], (5, 10), (0, 1))), 4)
    0.0105
    >>> float(correct_for_looks([0.01], (5,), (0,)))
    0.01
    """
    p_values = np.asarray(p_L, dtype=float)
    if len(schedule) == 1:
        return p_values[..., 0]
    shares = np.array(schedule, dtype=float) / schedule[-1]
    # A p-value of 1 has no finite z.
    z = -ndtri(np.clip(p_values, 1e-300, 1 - 1e-12))
    c = (z * np.sqrt(shares[list(numbers)])).max(axis=-1)
    p: Array = np.minimum(ndtr(-np.expand_dims(c, -1) / np.sqrt(shares)).sum(axis=-1), 1.0)
    return p
