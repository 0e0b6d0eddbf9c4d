"""Do two devices put the same networks in the same order? Kendall's tau, ranks and fronts over draws.

Arrays end in _V (variants), _KV (draws, variants) or _VR (variants, rounds). The draws are those of
`pareto.draw_means`: what the true latencies may be, given the rounds.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import kendalltau

BLOCK = 100  # draws: pairs of variants are compared in each


@dataclass(frozen=True)
class Agreement:
    """What two devices agree on; every array is by variant.

    `tau` is Kendall's tau-b of the means, with an interval over rounds. `without_one` is the least and the
    greatest tau if one variant is left out. `rank_change` is the rank on the second device minus that on
    the first, 1 being the fastest, with its interval. `reversed_pairs` counts the pairs whose order is
    reversed in a share `confidence` of the draws. Intervals are NaN without draws.
    """

    tau: float
    tau_interval: tuple[float, float]
    without_one: tuple[float, float]
    rank_change: np.ndarray
    rank_change_low: np.ndarray
    rank_change_high: np.ndarray
    reversed_pairs: int | None


def kendall_tau(x_V: np.ndarray, y_V: np.ndarray) -> float:
    """Kendall's tau-b (Kendall, Biometrika 33 (1945) 239) by scipy; NaN below two variants.

    Args:
        x_V: (V,), values on one device.
        y_V: (V,), on the other.

    Returns:
        1 for the same order, -1 for the reversed one, about 0 for orders that have nothing in common.

    >>> round(kendall_tau(np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0])), 3)
    0.333
    """
    return float(kendalltau(x_V, y_V).statistic) if len(x_V) > 1 else float("nan")


def tau_without_one(x_V: np.ndarray, y_V: np.ndarray) -> tuple[float, float]:
    """The least and the greatest tau if one variant is left out: how much it rests on a single one.

    Args:
        x_V: (V,), values on one device.
        y_V: (V,), on the other.

    Returns:
        Two numbers; NaN below three variants.

    >>> low, high = tau_without_one(np.array([1.0, 2.0, 3.0, 4.0]), np.array([4.0, 2.0, 2.5, 5.0]))
    >>> round(low, 3), round(high, 3)
    (-0.333, 1.0)
    """
    count = len(x_V)
    if count < 3:
        return float("nan"), float("nan")
    taus = [kendall_tau(np.delete(x_V, i), np.delete(y_V, i)) for i in range(count)]
    return min(taus), max(taus)


def rank(values_KV: np.ndarray) -> np.ndarray:
    """Ranks along the last axis, 1 for the smallest; draws have no ties.

    Args:
        values_KV: (..., V).

    Returns:
        Integers in the same shape.

    >>> rank(np.array([[3.0, 1.0, 2.0]])).tolist()
    [[3, 1, 2]]
    """
    ranks: np.ndarray = np.argsort(np.argsort(values_KV, axis=-1), axis=-1) + 1
    return ranks


def compare_orders(
    x_V: np.ndarray,
    y_V: np.ndarray,
    x_KV: np.ndarray | None,
    y_KV: np.ndarray | None,
    confidence: float = 0.95,
) -> Agreement:
    """Compare the order of the same variants on two devices.

    The interval of tau has the middle `confidence` of its values over the draws. Those of the rank changes
    have Bonferroni's level for all variants together: with that confidence none of them leaves out the true
    change.

    Args:
        x_V: (V,), mean latencies on the first device.
        y_V: (V,), on the second.
        x_KV: (K, V), draws of the first device; None where it has too few rounds.
        y_KV: (K, V), of the second.
        confidence: of the intervals, as a fraction.

    Returns:
        The `Agreement`.

    >>> x, y = np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0])
    >>> same = np.ones((50, 1))
    >>> found = compare_orders(x, y, same * x, same * y)
    >>> found.rank_change.tolist(), found.reversed_pairs
    ([0, 1, -1], 1)
    """
    change = rank(y_V) - rank(x_V)
    tau, without = kendall_tau(x_V, y_V), tau_without_one(x_V, y_V)
    unknown = np.full(len(x_V), np.nan)
    if x_KV is None or y_KV is None or len(x_V) < 2:
        nothing = float("nan"), float("nan")
        return Agreement(tau, nothing, without, change, unknown, unknown, None)
    tail = (1 - confidence) / 2
    taus_K, reversed_VV = _tau_draws(x_KV, y_KV)
    low, high = (float(np.quantile(taus_K, q)) for q in (tail, 1 - tail))
    changes_KV = rank(y_KV) - rank(x_KV)
    each = tail / len(x_V)
    lows = np.quantile(changes_KV, each, axis=0, method="lower")
    highs = np.quantile(changes_KV, 1 - each, axis=0, method="higher")
    pairs = int((np.triu(reversed_VV, 1) >= 1 - tail).sum())
    return Agreement(tau, (low, high), without, change, lows, highs, pairs)


def _tau_draws(x_KV: np.ndarray, y_KV: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tau of each draw (K,), and the share of draws (V, V) in which a pair is reversed. Without ties."""
    num_draws, count = x_KV.shape
    taus = np.empty(num_draws)
    reversed_VV = np.zeros((count, count))
    for start in range(0, num_draws, BLOCK):
        x, y = x_KV[start : start + BLOCK], y_KV[start : start + BLOCK]
        signs = np.sign(x[:, :, None] - x[:, None, :]) * np.sign(y[:, :, None] - y[:, None, :])
        taus[start : start + BLOCK] = signs.sum(axis=(1, 2)) / (count * (count - 1))
        reversed_VV += (signs < 0).sum(axis=0)
    return taus, reversed_VV / num_draws


def find_fronts(accuracy_V: np.ndarray, latency_KV: np.ndarray) -> np.ndarray:
    """Which variants are Pareto-optimal in each draw: no other is as accurate and faster, or the like.

    Args:
        accuracy_V: (V,), the higher the better.
        latency_KV: (K, V), the lower the better.

    Returns:
        Booleans (K, V).

    >>> find_fronts(np.array([0.9, 0.8, 0.7]), np.array([[3.0, 1.0, 2.0]])).tolist()
    [[True, True, False]]
    """
    better = accuracy_V[None, :] > accuracy_V[:, None]
    no_worse = accuracy_V[None, :] >= accuracy_V[:, None]
    fronts = np.empty(latency_KV.shape, dtype=bool)
    for start in range(0, len(latency_KV), BLOCK):
        x = latency_KV[start : start + BLOCK]
        faster = x[:, None, :] < x[:, :, None]
        as_fast = x[:, None, :] <= x[:, :, None]
        dominated = (no_worse & faster) | (better & as_fast)
        fronts[start : start + BLOCK] = ~dominated.any(axis=2)
    return fronts


def same_front_probability(accuracy_V: np.ndarray, x_KV: np.ndarray, y_KV: np.ndarray) -> float:
    """Share of draws in which both devices have the same Pareto-optimal variants.

    Args:
        accuracy_V: (V,), taken as known.
        x_KV: (K, V), draws of the latencies on the first device.
        y_KV: (K, V), on the second.

    Returns:
        A probability that is about the latencies alone.

    >>> x = np.array([[1.0, 2.0], [1.0, 2.0]])
    >>> same_front_probability(np.array([0.8, 0.9]), x, np.array([[1.0, 2.0], [2.0, 1.0]]))
    0.5
    """
    same = find_fronts(accuracy_V, x_KV) == find_fronts(accuracy_V, y_KV)
    return float(same.all(axis=1).mean())
