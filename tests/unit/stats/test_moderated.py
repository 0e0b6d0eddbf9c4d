"""Moderated variances and Welch's test against scipy, simulations of the model, and by hand."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import polygamma

from resnest_bench.stats.moderated import (
    fit_prior,
    inverse_trigamma,
    moderate_variances,
    seed_correlation,
    welch_difference,
)
from resnest_bench.stats.p_values import two_way_p_value


def rng():
    return np.random.default_rng(5)


@pytest.mark.parametrize("y", [0.01, 0.5, 3.0, 1e3, 1e6])
def test_the_inverse_of_trigamma(y):
    assert inverse_trigamma(polygamma(1, y)) == pytest.approx(y, rel=1e-6)


@pytest.mark.parametrize(("d0", "scale"), [(4.0, 2.0), (15.0, 0.3)])
def test_the_prior_is_found_again_from_many_variances(d0, scale):
    """s^2 = s0^2 F(d, d0): Smyth's model."""
    drawn = scale * stats.f.rvs(6, d0, size=20_000, random_state=rng())
    found_d0, found_scale = fit_prior(drawn, np.full(drawn.shape, 6))
    assert found_d0 == pytest.approx(d0, rel=0.1)
    assert found_scale == pytest.approx(scale, rel=0.03)


def test_variances_that_differ_by_chance_alone_have_an_infinite_prior():
    drawn = 2.0 * stats.chi2.rvs(9, size=(200, 30), random_state=rng()) / 9
    d0, scale = fit_prior(drawn, np.array([9] * 30))
    # Half of the time the excess over chance is below 0.
    assert 0.3 < np.mean(np.isinf(d0)) < 0.7
    assert np.median(scale) == pytest.approx(2.0, rel=0.05)


def test_a_noisy_variant_keeps_its_own_variance():
    variances, df = moderate_variances(np.array([1.0, 1.1, 0.9, 1.2, 500.0]), np.full(5, 4))
    assert variances[-1] == pytest.approx(500, rel=1e-3)
    assert df[-1] == pytest.approx(4, abs=0.01)
    assert (df[:-1] > 4).all()


def test_variances_that_are_alike_double_their_degrees_of_freedom():
    variances, df = moderate_variances(np.full(6, 3.0), np.full(6, 4))
    # Their scale is above 3: the logarithm of s^2 is below that of sigma^2 on average.
    assert df.tolist() == [8.0] * 6
    assert ((variances > 3) & (variances < 3.9)).all()


def test_three_variants_are_left_as_they_are():
    variances, df = moderate_variances(np.array([1.0, 2.0, 9.0]), np.array([4, 2, 4]))
    assert variances.tolist() == [1, 2, 9]
    assert df.tolist() == [4, 2, 4]


def test_variances_of_zero_give_no_nan():
    variances, df = moderate_variances(
        np.array([[0.0, 0, 0, 0, 0], [0, 1, 1, 2, 1]]), np.full(5, 4)
    )
    assert np.isfinite(variances).all()
    assert np.isfinite(df).all()
    assert variances[0].max() < 1e-100


def test_studies_are_moderated_side_by_side_as_one_by_one():
    many = stats.chi2.rvs(4, size=(7, 6), random_state=rng())
    together = moderate_variances(many, np.full(6, 4))
    for index, one in enumerate(many):
        for whole, single in zip(together, moderate_variances(one, np.full(6, 4)), strict=True):
            assert whole[index] == pytest.approx(single)


def test_welch_is_scipys():
    first, second = rng().normal(0.6, 0.02, 5), rng().normal(0.63, 0.01, 8)
    estimate = welch_difference(
        first.mean() - second.mean(),
        (first.var(ddof=1), second.var(ddof=1)),
        (4, 7),
        (5, 8),
    )
    wanted = stats.ttest_ind(first, second, equal_var=False)
    assert estimate.seed_df == pytest.approx(wanted.df)
    assert two_way_p_value(estimate) == pytest.approx(wanted.pvalue, rel=1e-9)


def test_a_common_part_of_the_seeds_shortens_the_error():
    """With the true correlation it is the standard error of the paired differences."""
    common = rng().normal(size=(4000, 6))
    first, second = (common + rng().normal(size=common.shape) * s for s in (0.5, 1.0))
    second = common + np.random.default_rng(6).normal(size=common.shape)
    correlation = 1 / np.sqrt((1 + 0.25) * (1 + 1.0))
    estimate = welch_difference(0.0, (1.25, 2.0), (5, 5), (6, 6), 6, correlation)
    seen = (first - second).mean(axis=1).std()
    assert estimate.standard_error == pytest.approx(seen, rel=0.03)
    assert estimate.seed_df > 5


def test_the_correlation_is_the_intraclass_correlation_of_scaled_deviations():
    values = rng().normal(size=(3, 6)) + rng().normal(size=6)
    scaled = values - values.mean(axis=1, keepdims=True)
    scaled /= np.linalg.norm(scaled, axis=1, keepdims=True)
    r = (scaled @ scaled.T)[np.triu_indices(3, 1)].mean()
    ratio = (1 + 2 * r) / (1 - r)
    low = ratio / stats.f.ppf(0.9, 5, 10)
    assert seed_correlation(values) == pytest.approx(max((low - 1) / (low + 2), 0))


def test_independent_seeds_have_a_correlation_above_0_in_a_tenth():
    values = rng().normal(size=(4000, 7, 5)) * np.arange(1, 8)[:, None]
    assert np.mean(seed_correlation(values) > 0) == pytest.approx(0.1, abs=0.03)


@pytest.mark.parametrize("shape", [(1, 5), (4, 2)])
def test_too_few_values_show_no_correlation(shape):
    assert seed_correlation(rng().normal(size=shape)) == 0


def test_a_variant_that_does_not_vary_shows_no_correlation():
    assert seed_correlation(np.stack([np.ones(5), np.arange(5.0), np.arange(5.0)])) == 0
