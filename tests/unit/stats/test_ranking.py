"""Best, ranks and groups by hand."""

import numpy as np
import pytest

from resnest_bench.stats.ranking import (
    best_p_values,
    group_letters,
    margin_probabilities,
    rank_intervals,
)


def symmetric(size, significant):
    p = np.full((size, size), 0.9)
    for i, j in significant:
        p[i, j] = p[j, i] = 0.001
    return p


def test_the_best_is_tested_against_each_of_the_others():
    p_above = np.array([[np.nan, 0.01, 0.3], [0.99, np.nan, 0.5], [0.7, 0.5, np.nan]])
    # Each has two others: the smallest p, doubled.
    assert best_p_values(p_above).tolist() == pytest.approx([0.02, 1.0, 1.0])
    assert np.isnan(best_p_values(np.full((2, 2), np.nan))).all()
    assert len(best_p_values(np.empty((0, 0)))) == 0


def test_a_rank_is_between_those_surely_above_and_those_surely_below():
    low, high = rank_intervals(
        np.array([4.0, 3.0, 2.0, 1.0]), symmetric(4, [(0, 2), (0, 3), (1, 3)])
    )
    assert low.tolist() == [1, 1, 2, 3]
    assert high.tolist() == [2, 3, 4, 4]


def test_letters_follow_the_means_and_join_what_does_not_differ():
    # By hand: all differ but the first two, and the second and third.
    p = symmetric(4, [(0, 2), (0, 3), (1, 3), (2, 3)])
    assert group_letters(np.array([4.0, 3.0, 2.0, 1.0]), p) == ["a", "ab", "b", "c"]
    assert group_letters(np.array([1.0, 2.0]), symmetric(2, [])) == ["a", "a"]
    every = [(i, j) for i in range(30) for j in range(i)]
    letters = group_letters(-np.arange(30.0), symmetric(30, every))
    assert letters[:2] == ["a", "b"]
    assert letters[25:28] == ["z", "aa", "ab"]
    assert group_letters(np.empty(0), np.empty((0, 0))) == []


@pytest.mark.parametrize("seed", range(5))
def test_two_share_a_letter_exactly_if_they_do_not_differ(seed):
    rng = np.random.default_rng(seed)
    pairs = [(i, j) for i in range(7) for j in range(i) if rng.random() < 0.5]
    letters = group_letters(rng.normal(size=7), symmetric(7, pairs))
    for i in range(7):
        for j in range(i):
            assert bool(set(letters[i]) & set(letters[j])) == ((i, j) not in pairs)


def test_worse_alike_and_better_add_up():
    worse, alike, better = margin_probabilities(np.array([0.1, 0.9]), np.array([0.99, 0.6]))
    assert (worse + alike + better).tolist() == pytest.approx([1, 1])
    assert better.tolist() == pytest.approx([0.9, 0.1])
