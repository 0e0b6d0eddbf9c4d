"""Corrections of p-values for multiple testing."""

import functools
from collections.abc import Iterator, Sequence

import numpy as np

# Above this, the partitions are too many (115,975 of ten), and Shaffer's bound takes their place.
MAX_PARTITIONED = 9


def holm(p_values: np.ndarray) -> np.ndarray:
    """Correct the p-values of a family of tests by Holm's step-down method.

    With the p-values sorted, the i-th smallest of m becomes the maximum of (m - j + 1) p_j over
    j <= i, at most 1 (Holm, Scand. J. Stat. 6 (1979) 65). Rejecting where the corrected p-value is
    below 0.05 keeps the probability of any false rejection below 0.05, however the tests depend on
    each other.

    Args:
        p_values: (..., m), one family along the last axis. A NaN does not count as a test.

    Returns:
        Corrected p-values in the same shape and order; NaN stays NaN.

    >>> holm(np.array([0.01, 0.04, 0.03, 0.005])).round(3).tolist()
    [0.03, 0.06, 0.06, 0.02]
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, axis=-1)  # NaN last
    count = np.sum(~np.isnan(p), axis=-1, keepdims=True)
    factors = np.maximum(count - np.arange(p.shape[-1]), 1)
    stepped = np.minimum(np.take_along_axis(p, order, axis=-1) * factors, 1.0)
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, np.maximum.accumulate(stepped, axis=-1), axis=-1)
    return adjusted


def closed_pairs(p_values: np.ndarray, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    """Correct the p-values of comparisons of pairs by closed testing; never larger than Holm's.

    If A = B and B = C are true, so is A = C: not every set of comparisons can be the set of true ones.
    The sets that can be are the partitions of the variants into groups of equals. Each is tested by
    Bonferroni's inequality over the pairs within its groups, and a pair is rejected if all partitions
    that hold it together are (Marcus, Peritz and Gabriel, Biometrika 63 (1976) 655; for all pairs,
    Bergmann and Hommel, in Multiple Hypothesenpruefung, 1988). The probability of any false rejection
    stays below the level, however the tests depend on each other.

    Above MAX_PARTITIONED variants, if all pairs are tested: Shaffer's step-down with the largest number
    of pairs that can still be true (JASA 81 (1986) 826, procedure S1). Otherwise Holm's.

    Args:
        p_values: (..., m), one family along the last axis. A NaN does not count as a test.
        pairs: m pairs of variants, as numbers from 0.

    Returns:
        Corrected p-values in the same shape; NaN stays NaN.

    Raises:
        ValueError: unless there is one pair for each p-value.

    Of three variants, with the first comparison significant at 5 % / 3, only one of the others can be
    a true equality, so that it needs no correction:

    >>> closed_pairs(np.array([0.01, 0.04, 0.03]), [(0, 1), (0, 2), (1, 2)]).round(3).tolist()
    [0.03, 0.04, 0.03]
    """
    p = np.asarray(p_values, dtype=float)
    if p.shape[-1] != len(pairs):
        raise ValueError(f"{p.shape[-1]} p-values of {len(pairs)} pairs")
    names = sorted({name for pair in pairs for name in pair})
    numbered = tuple(tuple(sorted(names.index(name) for name in pair)) for pair in pairs)
    if len(names) <= MAX_PARTITIONED:
        return _close_partitions(p, _list_null_sets(numbered, len(names)))
    if len(set(numbered)) == len(names) * (len(names) - 1) // 2 and not np.isnan(p).any():
        return _shaffer(p, len(names))
    return holm(p)


@functools.lru_cache(maxsize=32)
def _list_null_sets(pairs: tuple[tuple[int, ...], ...], num_variants: int) -> np.ndarray:
    """(sets, m), booleans: each set of pairs that can be the set of all true equalities."""
    first, second = np.array(pairs).T
    groups = np.array(list(_list_partitions(num_variants)))
    together = groups[:, first] == groups[:, second]
    return np.unique(together[together.any(axis=1)], axis=0)


def _list_partitions(count: int) -> Iterator[list[int]]:
    """Every partition of `count` items, as the number of each item's group."""
    labels = [0] * count

    def fill(index: int, num_groups: int) -> Iterator[list[int]]:
        if index == count:
            yield labels.copy()
            return
        for label in range(num_groups + 1):
            labels[index] = label
            yield from fill(index + 1, max(num_groups, label + 1))

    yield from fill(0, 0)


def _close_partitions(p: np.ndarray, null_sets: np.ndarray) -> np.ndarray:
    tested = ~np.isnan(p)
    smallest = np.full((*p.shape[:-1], len(null_sets)), np.inf)
    count = np.zeros(smallest.shape)
    # Over pairs, not sets: few of the former, thousands of the latter.
    for pair in range(p.shape[-1]):
        holds = null_sets[:, pair] & tested[..., pair, None]
        value = np.where(holds, p[..., pair, None], np.inf)
        smallest, count = np.minimum(smallest, value), count + holds
    local = np.minimum(np.where(count > 0, smallest * np.maximum(count, 1), -np.inf), 1.0)
    adjusted = np.empty_like(p)
    for pair in range(p.shape[-1]):
        adjusted[..., pair] = local[..., null_sets[:, pair]].max(axis=-1)
    return np.where(tested, adjusted, np.nan)


@functools.lru_cache(maxsize=64)
def _possible_counts(num_variants: int) -> np.ndarray:
    """How many of all pairs can be equal at a time: sums of k (k - 1) / 2 over groups of size k, rising."""
    # Bit c of sums[n] says that c pairs of n variants can be.
    sums = [1]
    for count in range(1, num_variants + 1):
        bits = 0
        for size in range(1, count + 1):
            bits |= sums[count - size] << (size * (size - 1) // 2)
        sums.append(bits)
    digits = bin(sums[num_variants])[:1:-1]
    return np.flatnonzero(np.array(list(digits)) == "1")


def _shaffer(p: np.ndarray, num_variants: int) -> np.ndarray:
    """Shaffer's S1 of all pairs, none of them NaN."""
    count = p.shape[-1]
    possible = _possible_counts(num_variants)
    left = count - np.arange(count)
    factors = possible[np.searchsorted(possible, left, side="right") - 1]
    order = np.argsort(p, axis=-1)
    stepped = np.minimum(np.take_along_axis(p, order, axis=-1) * factors, 1.0)
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, np.maximum.accumulate(stepped, axis=-1), axis=-1)
    return adjusted
