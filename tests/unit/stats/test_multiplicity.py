import itertools

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from resnest_bench.stats import multiplicity
from resnest_bench.stats.multiplicity import closed_pairs, holm


def test_holms_p_values_by_hand_and_as_statsmodels_has_them():
    # Four tests at 0.01, 0.04, 0.03, 0.005: times 3, 1, 2, 4, never below the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    p = np.random.default_rng(0).uniform(0, 0.3, (6, 9))
    expected = [multipletests(row, method="holm")[1] for row in p]
    assert holm(p) == pytest.approx(np.array(expected))


def test_what_has_no_p_value_is_no_part_of_the_family():
    seen = holm([0.01, np.nan, 0.04])
    assert seen[[0, 2]] == pytest.approx([0.02, 0.04])
    assert np.isnan(seen[1])
    assert np.isnan(holm([np.nan, np.nan])).all()


ALL_PAIRS = {count: list(itertools.combinations(range(count), 2)) for count in range(2, 12)}


def close_by_definition(p, pairs, count):
    """Every subset of the pairs, tested if a partition has exactly that one within its groups."""

    def groups(labels):
        return frozenset(k for k, (a, b) in enumerate(pairs) if labels[a] == labels[b])

    sets = {groups(labels) for labels in itertools.product(range(count), repeat=count)} - {
        frozenset()
    }
    return [
        max(min(1.0, len(s) * min(p[k] for k in s)) for s in sets if pair in s)
        for pair in range(len(pairs))
    ]


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_closed_testing_is_its_definition(count):
    pairs = ALL_PAIRS[count]
    for seed in range(5):
        p = np.random.default_rng(seed).uniform(size=len(pairs)) ** 3
        assert closed_pairs(p, pairs) == pytest.approx(close_by_definition(p, pairs, count))


@pytest.mark.parametrize("count", [4, 7, 9, 11])
def test_closed_testing_is_between_no_correction_and_holms(count):
    p = np.random.default_rng(count).uniform(size=(3, len(ALL_PAIRS[count]))) ** 4
    closed = closed_pairs(p, ALL_PAIRS[count])
    assert (closed <= holm(p) + 1e-12).all()
    assert (closed >= p).all()
    assert (closed < holm(p) - 1e-12).any()


def test_comparisons_with_one_variant_have_no_logical_relation():
    pairs = [(0, 1), (0, 2), (0, 3), (0, 4)]
    p = np.array([0.001, 0.02, 0.015, 0.9])
    assert closed_pairs(p, pairs) == pytest.approx(holm(p))


def test_a_pair_that_was_not_tested_does_not_count():
    p = np.array([0.01, np.nan, 0.03])
    closed = closed_pairs(p, ALL_PAIRS[3])
    assert np.isnan(closed[1])
    # A = C is not tested; A = B and B = C together are, as in Holm's.
    assert closed[[0, 2]] == pytest.approx([0.02, 0.03])


def test_shaffers_numbers_of_true_pairs():
    """Table 1 of Shaffer (1986)."""
    assert sorted(multiplicity._possible_counts(5)) == [0, 1, 2, 3, 4, 6, 10]
    assert sorted(multiplicity._possible_counts(6)) == [0, 1, 2, 3, 4, 6, 7, 10, 15]


def test_the_order_of_pairs_and_of_their_members_does_not_matter():
    p = np.array([0.01, 0.04, 0.03])
    turned = closed_pairs(p[::-1], [(2, 1), (2, 0), (1, 0)])[::-1]
    assert turned.tolist() == closed_pairs(p, ALL_PAIRS[3]).tolist()


def test_one_p_value_for_each_pair():
    with pytest.raises(ValueError, match="2 p-values of 3 pairs"):
        closed_pairs(np.array([0.1, 0.2]), ALL_PAIRS[3])
