"""Failed trainings, two groups and the interquartile mean, against scipy and published examples."""

import numpy as np
import pytest
from scipy import stats

from resnest_bench.stats.failures import (
    ALPHA,
    MIN_SEEDS,
    find_failed,
    find_two_groups,
    grubbs_p,
    interquartile_mean,
    modified_z_scores,
    typical_spread,
)

# Tietjen and Moore 1972, in the NIST/SEMATECH e-Handbook, 1.3.5.17.1; mirrored, since it has a high outlier.
MASSES = -np.array([199.31, 199.53, 200.19, 200.82, 201.92, 201.95, 202.18, 245.57])


def samples(num, n, seed=0):
    return np.random.default_rng(seed).standard_normal((num, n))


def test_scores_are_those_of_scipys_mad():
    values = samples(20, 7)
    scale = stats.median_abs_deviation(values, axis=1, scale="normal")[:, None]
    expected = (values - np.median(values, axis=1, keepdims=True)) / scale
    assert modified_z_scores(values) == pytest.approx(expected, rel=1e-4)


def test_without_a_mad_the_mean_deviation_is_used():
    scores = modified_z_scores(np.array([5.0, 5.0, 5.0, 5.0, 0.0]))
    assert scores[-1] == pytest.approx(-5 / 1.253314)
    assert modified_z_scores(np.full(5, 3.0)).tolist() == [0.0] * 5


# One-sided critical values at 5 %: Grubbs and Beck, Technometrics 14 (1972) 847, table I.
@pytest.mark.parametrize(("n", "critical"), [(5, 1.672), (8, 2.032), (10, 2.176), (20, 2.557)])
def test_p_is_5_percent_at_the_published_critical_value(n, critical):
    # n - 1 values around 0 with a chosen spread, and one that makes G the critical value.
    others = np.resize([-1.0, 1.0], n - 1) - np.resize([-1.0, 1.0], n - 1).mean()

    def g(low):
        values = np.append(others, low)
        return (values.mean() - low) / values.std(ddof=1)

    near, far = -1.0, -1e6
    for _ in range(200):
        middle = (near + far) / 2
        near, far = (near, middle) if g(middle) > critical else (middle, far)
    assert grubbs_p(np.append(others, near)) == pytest.approx(0.05, abs=5e-4)


def test_the_handbooks_example_is_an_outlier():
    g = (MASSES.mean() - MASSES.min()) / MASSES.std(ddof=1)
    assert g == pytest.approx(2.4687, abs=1e-4)
    assert grubbs_p(MASSES) < 1e-6
    assert find_failed(MASSES).tolist() == [False] * 7 + [True]


def test_normal_samples_are_rarely_flagged():
    for n in (5, 10):
        flagged = find_failed(samples(4000, n)).any(axis=1).mean()
        assert flagged <= ALPHA + 0.01


def test_rows_are_tested_separately_and_missing_seeds_are_allowed():
    good = [60.0, 61.0, 60.5, 59.8, 60.2, 60.7]
    bad = [60.0, 61.0, 30.0, 59.8, 60.2, 60.7]
    found = find_failed(np.array([good, bad, [np.nan, *bad[1:]]]))
    assert found.any(axis=1).tolist() == [False, True, True]
    assert found[1:, 2].all()
    assert not find_failed(np.array([[60.0, 61.0, 30.0, 59.8]])).any()


def test_high_results_are_no_failures():
    assert not find_failed(np.array([60.0, 61.0, 90.0, 59.8, 60.2])).any()


def test_two_failures_that_hide_each_other_are_a_group():
    values = np.array([60.0, 61.0, 30.0, 59.8, 60.2, 30.5, 60.7, 60.3])
    groups = find_two_groups(values)
    assert groups.p < 0.01
    assert groups.num_low == 2
    assert groups.gap == pytest.approx(values[[0, 1, 3, 4, 6, 7]].mean() - 30.25)


def test_p_values_of_normal_samples_are_uniform():
    p = find_two_groups(samples(2000, 8, seed=5)).p
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert (find_two_groups(samples(10, MIN_SEEDS - 1)).p == 1).all()
    assert find_two_groups(np.full(6, 2.0)).p == 1


@pytest.mark.parametrize("n", range(1, 12))
def test_the_interquartile_mean_is_scipys(n):
    values = samples(5, n)
    assert interquartile_mean(values) == pytest.approx(stats.trim_mean(values, 0.25, axis=1))


def test_the_typical_spread_of_other_networks_is_the_scale():
    """Others that happen to agree make no failure, and a failure may hide behind a noisy MAD."""
    rng = np.random.default_rng(3)
    values = 60 + 2 * rng.standard_normal((7, 5))
    values[0] = [60.0, 60.1, 60.2, 59.9, 57.0]
    values[1] = [40.0, 57.0, 57.5, 61.0, 62.0]
    scale = typical_spread(values)
    assert 1 < scale < 3
    assert find_failed(values[0]).any()
    assert not find_failed(values[1]).any()
    assert find_failed(values, np.full(7, scale))[:2, [4, 0]].diagonal().tolist() == [False, True]


def test_few_networks_or_seeds_have_no_typical_spread():
    assert np.isnan(typical_spread(np.ones((3, 5))))
    assert np.isnan(typical_spread(np.ones((9, 4))))
    values = np.random.default_rng(0).standard_normal((6, 8))
    expected = np.median(values.std(axis=1, ddof=1))
    assert typical_spread(np.c_[values, np.full(6, np.nan)]) == pytest.approx(expected)
