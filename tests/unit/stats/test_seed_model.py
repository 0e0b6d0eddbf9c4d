"""How variants vary over seeds: against scipy, and against the two-way analysis of paired seeds."""

import numpy as np
import pytest
from scipy import stats

from resnest_bench.stats.intervals import estimate_mean
from resnest_bench.stats.p_values import two_way_p_value
from resnest_bench.stats.seed_model import (
    MODERATED_WELCH,
    PAIRED_T,
    WELCH,
    fit_seed_model,
    image_variances,
)


@pytest.fixture
def rng():
    return np.random.default_rng(4)


def test_welch_is_scipys(rng):
    values = rng.normal(60, 1, (3, 6))
    values[0, :2] = values[2, 5] = np.nan
    found = fit_seed_model(values, WELCH).difference([0, 1], [2, 2])
    for index, ours in enumerate((0, 1)):
        expected = stats.ttest_ind(values[ours], values[2], equal_var=False, nan_policy="omit")
        assert two_way_p_value(found)[index] == pytest.approx(float(expected.pvalue))
        assert found.seed_df[index] == pytest.approx(float(expected.df))
    assert found.num_seeds.tolist() == [4, 5]


def test_the_paired_t_is_scipys_over_the_shared_seeds(rng):
    values = rng.normal(60, 1, (2, 6))
    values[0, 1] = np.nan
    found = fit_seed_model(values, PAIRED_T).difference(0, 1)
    kept = [0, 2, 3, 4, 5]
    expected = stats.ttest_rel(values[0, kept], values[1, kept])
    assert two_way_p_value(found) == pytest.approx(expected.pvalue)
    assert found.num_seeds == 5


def test_moderated_variances_have_more_degrees_of_freedom(rng):
    values = rng.normal(60, 1, (6, 5))
    plain, moderated = (
        fit_seed_model(values, m).difference(0, 1) for m in (WELCH, MODERATED_WELCH)
    )
    assert moderated.mean == plain.mean
    assert moderated.seed_df > plain.seed_df
    few = [fit_seed_model(values[:3], m).difference(0, 1) for m in (WELCH, MODERATED_WELCH)]
    assert few[1].seed_df >= few[0].seed_df * (1 - 1e-9)


def test_common_seeds_make_a_difference_more_precise(rng):
    shared = rng.normal(0, 3, 8)
    values = 60 + shared + rng.normal(0, 0.3, (5, 8))
    model = fit_seed_model(values)
    assert model.correlation > 0.8
    assert (
        model.difference(0, 1).seed_variance
        < fit_seed_model(values, WELCH).difference(0, 1).seed_variance
    )
    # Not if the seeds are others.
    apart = np.full((2, 16), np.nan)
    apart[0, :8], apart[1, 8:] = values[0], values[1]
    assert fit_seed_model(apart).correlation == 0


def test_values_that_are_all_alike_have_no_spread():
    values = np.full((4, 5), 60.0)
    values[1] += 1
    found = fit_seed_model(values).difference(1, 0)
    assert found.seed_variance == 0
    assert np.isnan(two_way_p_value(found))


def test_the_image_part_is_that_of_the_two_way_analysis(rng):
    image = rng.normal(0, 1, 4000)
    own = rng.normal(0, 0.5, (2, 1, 4000))
    bits = image + own + rng.normal(0, 1, (2, 6, 4000)) > 0
    found = image_variances(bits, np.ones((2, 6), dtype=bool))[1, 0]
    paired = estimate_mean(bits[1].astype(int) - bits[0].astype(int)).image_variance
    assert found == pytest.approx(float(paired), rel=0.03)
    same = image_variances(np.stack([bits[0], bits[0]]), np.ones((2, 6), dtype=bool))
    assert same[0, 1] == 0


def test_a_variant_without_a_training_has_no_image_part():
    bits = np.zeros((2, 2, 10), dtype=bool)
    found = image_variances(bits, np.array([[True, True], [False, False]]))
    assert np.isnan(found[0, 1])


def test_a_contrast_of_two_is_their_difference(rng):
    values = rng.normal(60, 1, (5, 6))
    values[1, 4:] = np.nan
    model = fit_seed_model(values)
    contrast = model.contrast(np.array([[-1.0, 1.0, 0, 0, 0]]))
    difference = model.difference(1, 0)
    assert contrast.mean[0] == pytest.approx(float(difference.mean))
    assert contrast.seed_variance[0] == pytest.approx(float(difference.seed_variance))
    assert contrast.seed_df[0] == pytest.approx(float(difference.seed_df))
    assert contrast.num_seeds[0] == 4


def test_a_contrast_covers_at_its_level_with_unequal_spreads():
    rng = np.random.default_rng(0)
    weights = np.array([[0.5, 0.5, -1.0, 0.0]])
    covered = 0
    for _ in range(400):
        values = rng.normal(0, 1, (4, 5)) * np.array([1, 1, 3, 1])[:, None]
        estimate = fit_seed_model(values, WELCH).contrast(weights)
        half = stats.t.ppf(0.975, estimate.seed_df) * estimate.standard_error
        covered += bool((np.abs(estimate.mean) <= half).all())
    assert covered / 400 >= 0.95 - 3 * (0.05 * 0.95 / 400) ** 0.5


def test_unknown_methods_are_refused():
    with pytest.raises(ValueError, match="method"):
        fit_seed_model(np.zeros((2, 3)), "anova")
