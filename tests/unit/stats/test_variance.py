"""Variance components of correctness, against simulated data, an independent formula and scipy."""

import numpy as np
import pytest
from scipy import stats

from resnest_bench.stats.variance import (
    CorrectnessVariance,
    decompose_correctness,
    plan_half_width,
    std_interval,
)


def simulate(num_studies, num_seeds, num_images, seed_std, image_std=0.25, seed=0):
    """Answers whose probability is 0.6 + seed's effect + image's effect, and the true components."""
    rng = np.random.default_rng(seed)
    uniform = 3**0.5 * rng.uniform(-1, 1, (num_studies, num_seeds, 1)) * seed_std
    images = 3**0.5 * rng.uniform(-1, 1, (num_studies, 1, num_images)) * image_std
    p = 0.5 + uniform + images
    assert p.min() > 0
    assert p.max() < 1
    rest = 0.25 - seed_std**2 - image_std**2
    return rng.random(p.shape) < p, (seed_std**2, image_std**2, rest)


def test_the_components_are_unbiased():
    answers, true = simulate(3000, 4, 100, seed_std=0.02)
    parts = decompose_correctness(answers)
    for estimate, expected in zip(
        (parts.seed_variance, parts.image_variance, parts.rest_variance), true, strict=True
    ):
        error = estimate.std() / len(estimate) ** 0.5
        assert abs(estimate.mean() - expected) < 4 * error


def test_the_spread_of_alike_networks_is_the_test_sets():
    answers, _ = simulate(2000, 5, 200, seed_std=0.0)
    parts = decompose_correctness(answers)
    assert parts.rest_variance.mean() / 200 == pytest.approx(
        parts.observed_variance.mean(), rel=0.05
    )


def test_the_seeds_component_is_jordans_estimate():
    answers, _ = simulate(5, 6, 50, seed_std=0.03)
    n = 50
    observed = answers.mean(axis=-1).var(axis=-1, ddof=1)
    of_images = answers.var(axis=-2, ddof=1).mean(axis=-1)
    expected = n / (n - 1) * (observed - of_images / n)
    assert decompose_correctness(answers).seed_variance == pytest.approx(expected)


def test_the_mean_squares_are_those_of_a_two_way_layout():
    answers = simulate(1, 3, 7, seed_std=0.03)[0][0].astype(float)
    rows, columns = answers.mean(axis=1, keepdims=True), answers.mean(axis=0, keepdims=True)
    residual = answers - rows - columns + answers.mean()
    assert decompose_correctness(answers).rest_variance == pytest.approx(
        (residual**2).sum() / (2 * 6)
    )


def test_the_predicted_variance_of_a_mean_is_that_of_new_studies():
    answers, true = simulate(4000, 6, 80, seed_std=0.03)
    parts = CorrectnessVariance(*true, observed_variance=0.0, num_seeds=6, num_images=80)
    expected = answers.mean(axis=(1, 2)).var(ddof=1)
    assert parts.mean_variance(6, 80) == pytest.approx(expected, rel=0.08)


def test_the_plan_halves_the_error_or_says_that_it_cannot():
    parts = CorrectnessVariance(4e-4, 0.01, 0.1, 5e-4, num_seeds=5, num_images=2000)
    needed = plan_half_width(parts)
    target = parts.mean_variance(5, 2000) / 4
    assert parts.mean_variance(needed.seeds, 2000) == pytest.approx(target)
    assert np.isinf(needed.images)
    steady = CorrectnessVariance(1e-6, 0.2, 0.04, 3e-6, num_seeds=5, num_images=100)
    needed = plan_half_width(steady)
    assert np.isinf(needed.seeds)
    assert steady.mean_variance(5, needed.images) == pytest.approx(steady.mean_variance(5, 100) / 4)


def test_seeds_that_are_all_alike_have_no_share():
    parts = decompose_correctness(np.array([[1, 0, 1], [1, 0, 1]], dtype=bool))
    assert np.isnan(parts.test_set_share)
    assert parts.rest_variance == 0
    with pytest.raises(ValueError, match="two seeds"):
        decompose_correctness(np.ones((1, 5), dtype=bool))


def test_the_interval_of_a_spread_is_the_chi_square_one():
    low, high = std_interval(2.0, 5)
    quantiles = stats.chi2.ppf([0.975, 0.025], 4)
    assert [low, high] == pytest.approx(list(2.0 * np.sqrt(4 / quantiles)))
