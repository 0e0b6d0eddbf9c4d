"""Ranks over data sets: against scipy and published critical differences."""

import numpy as np
import pytest
from scipy import stats

from resnest_bench.stats.ranks import (
    critical_difference,
    friedman_p_value,
    performance_profile,
    rank_values,
)


@pytest.mark.parametrize(
    ("num_variants", "num_datasets", "expected"), [(4, 14, 1.25), (2, 6, 0.800), (10, 21, 2.956)]
)
def test_critical_differences_are_demsars(num_variants, num_datasets, expected):
    """Demsar 2006: 1.25 for his example, else from his table 5 (q = 1.960 and 3.164)."""
    assert critical_difference(num_variants, num_datasets) == pytest.approx(expected, abs=5e-3)


def test_without_ties_friedman_is_scipys_chi2_turned_into_f():
    values = np.random.default_rng(0).normal(size=(8, 4))
    chi2 = stats.friedmanchisquare(*values.T).statistic
    expected = stats.f.sf(7 * chi2 / (8 * 3 - chi2), 3, 21)
    assert friedman_p_value(rank_values(values)) == pytest.approx(expected)


def test_where_less_is_better_the_ranks_turn():
    values = np.array([[1.0, 2.0, 3.0]])
    assert rank_values(values).tolist() == [[3, 2, 1]]
    assert rank_values(values, higher_is_better=False).tolist() == [[1, 2, 3]]


def test_the_ends():
    assert np.isnan(friedman_p_value(np.array([[1.0, 2.0]])))
    assert friedman_p_value(np.array([[1.0, 2.0]] * 4)) == 0.0


def test_a_profile_is_a_share_of_runs():
    shares = performance_profile(
        np.array([[0.2, 0.4, np.nan], [np.nan] * 3]), np.array([0.1, 0.3, 0.5])
    )
    assert shares[0].tolist() == [1.0, 0.5, 0.0]
    assert np.isnan(shares[1]).all()
