"""Which variants may be the best, which ranks they may have, and which don't differ significantly."""

import itertools
from collections.abc import Sequence

import numpy as np

from resnest_bench.stats.power import ALPHA
from resnest_bench.stats.summary import Array

# More letters than this help nobody.
MAX_GROUPS = 100


def best_p_values(p_above_VV: np.ndarray) -> np.ndarray:
    """Test of each variant that it is the best: a small p says that another one is better.

    The truly best variant b has no other above it. It is wrongly left out only if one of the V - 1 tests
    that another is above b rejects, so Bonferroni's inequality over these is enough, whichever variant b
    is. That is the multiple comparison with the best (Hsu, Ann. Stat. 9 (1981) 1026) without his
    assumption of equal variances.

    Args:
        p_above_VV: (V, V), one-sided p-values: [i, j] is small where j is above i. NaN where there is no
            test.

    Returns:
        (V,): V - 1 times the smallest p-value of a variant, at most 1; NaN without a test.

    >>> p_above = np.array([[np.nan, 0.001, 0.2], [0.999, np.nan, 0.9], [0.8, 0.1, np.nan]])
    >>> best_p_values(p_above).round(3).tolist()
    [0.002, 1.0, 0.2]
    """
    p = np.asarray(p_above_VV, dtype=float)
    tested = ~np.isnan(p)
    smallest = np.where(tested, p, np.inf).min(axis=-1, initial=np.inf)
    smallest = np.where(tested.any(axis=-1), smallest, np.nan)
    corrected: np.ndarray = np.minimum(tested.sum(axis=-1) * smallest, 1.0)
    return corrected


def rank_intervals(
    means_V: np.ndarray, corrected_p_VV: np.ndarray, alpha: float = ALPHA
) -> tuple[np.ndarray, np.ndarray]:
    """The ranks that each variant may have, 1 for the greatest mean.

    A variant is below those that are significantly above it and above those that are significantly below
    it. If the corrected p-values keep the familywise error at alpha, all intervals hold together with
    probability 1 - alpha (Al Mohamad, Goeman and van Zwet, Biom. J. 64 (2022) 1292).

    Args:
        means_V: (V,), the means.
        corrected_p_VV: (V, V), symmetric, two-sided and corrected p-values; NaN counts as not significant.
        alpha: the level.

    Returns:
        The lowest and the highest rank, integers in shape (V,).

    >>> p = np.array([[np.nan, 0.01, 0.01], [0.01, np.nan, 0.4], [0.01, 0.4, np.nan]])
    >>> low, high = rank_intervals(np.array([0.9, 0.7, 0.6]), p)
    >>> low.tolist(), high.tolist()
    ([1, 2, 2], [1, 3, 3])
    """
    means = np.asarray(means_V, dtype=float)
    significant = np.asarray(corrected_p_VV) <= alpha
    above = (significant & (means[None, :] > means[:, None])).sum(axis=-1)
    below = (significant & (means[None, :] < means[:, None])).sum(axis=-1)
    return above + 1, len(means) - below


def group_letters(
    means_V: np.ndarray, corrected_p_VV: np.ndarray, alpha: float = ALPHA
) -> list[str]:
    """Letters of a compact letter display: two variants differ significantly if they share no letter.

    The groups are the maximal cliques of the graph in which an edge joins two variants without a
    significant difference (Piepho, J. Comput. Graph. Stat. 13 (2004) 456), with 'a' for the one that has
    the greatest mean.

    Args:
        means_V: (V,), the means.
        corrected_p_VV: (V, V), symmetric, two-sided and corrected p-values; NaN counts as not significant.
        alpha: the level.

    Returns:
        The letters of each variant, in the order of the alphabet; after 'z' come 'aa', 'ab' and so on. Empty
        above MAX_GROUPS groups: many variants that hardly differ have millions of them.

    >>> p = np.array([[np.nan, 0.3, 0.01], [0.3, np.nan, 0.2], [0.01, 0.2, np.nan]])
    >>> group_letters(np.array([0.9, 0.8, 0.7]), p)
    ['a', 'ab', 'b']
    """
    # It takes a third of a second to import.
    import networkx as nx

    order = np.argsort(-np.asarray(means_V, dtype=float), kind="stable").tolist()
    graph = nx.Graph()
    graph.add_nodes_from(range(len(order)))
    alike = ~(np.asarray(corrected_p_VV)[np.ix_(order, order)] <= alpha)
    graph.add_edges_from((i, j) for i, j in np.argwhere(np.triu(alike, 1)).tolist())
    letters: list[list[str]] = [[] for _ in order]
    groups = list(itertools.islice(nx.find_cliques(graph), MAX_GROUPS + 1))
    if len(groups) > MAX_GROUPS:
        return [""] * len(order)
    for number, clique in enumerate(sorted(sorted(clique) for clique in groups)):
        for place in clique:
            letters[order[place]].append(_letter(number))
    return [_join(sorted(each, key=lambda one: (len(one), one))) for each in letters]


def _letter(number: int) -> str:
    text = ""
    while number >= 0:
        text = chr(ord("a") + number % 26) + text
        number = number // 26 - 1
    return text


def _join(letters: Sequence[str]) -> str:
    return ("" if all(len(letter) == 1 for letter in letters) else " ").join(letters)


def margin_probabilities(
    p_above_margin: Array, p_below_margin: Array
) -> tuple[Array, Array, Array]:
    """Probabilities of worse, alike and better by a margin, under a flat prior.

    Args:
        p_above_margin: one-sided p-value of the test that the difference is above the margin: the
            probability, under the flat prior, that it is not.
        p_below_margin: one-sided p-value of the test that it is below minus the margin.

    Returns:
        Three arrays in the shape of the arguments, with sum 1: below minus the margin, between, above.
        This is the region of practical equivalence (Kruschke, Adv. Methods Pract. Psychol. Sci. 1
        (2018) 270) with the prior of `probability_above`.

    >>> worse, alike, better = margin_probabilities(0.2, 0.9)
    >>> round(float(worse), 2), round(float(alike), 2), round(float(better), 2)
    (0.1, 0.1, 0.8)
    """
    better, worse = 1 - np.asarray(p_above_margin), 1 - np.asarray(p_below_margin)
    return worse, np.maximum(1 - better - worse, 0.0), better
