import itertools

import numpy as np
import pytest
from statsmodels.stats.power import TTestPower

from resnest_bench.stats.intervals import MeanEstimate
from resnest_bench.stats.p_values import two_way_p_value
from resnest_bench.stats.power import (
    RequiredSeeds,
    minimum_detectable_difference,
    plan_seeds,
    required_seeds,
    sd_interval,
    seed_power,
)


@pytest.mark.parametrize(
    ("difference", "n", "power"),
    [
        # Cohen, 1969, p. 48: d = 0.4, r = 0.55, so 0.4 / sqrt(0.9); G*Power's manual prints this.
        (0.4 / 0.9**0.5, 50, 0.832114),
        # Wuensch, G*Power: t tests: d = 1/3, 25 subjects.
        (1 / 3, 25, 0.360),
    ],
)
def test_power_as_gpower_prints_it(difference, n, power):
    assert seed_power(difference, 1.0, n) == pytest.approx(power, abs=5e-4)


@pytest.mark.parametrize(("n", "difference"), list(itertools.product((3, 5, 10), (0.2, 1.0, 2.0))))
def test_power_as_statsmodels_has_it(n, difference):
    expected = TTestPower().power(difference, n, 0.05)
    assert seed_power(difference * 0.7, 0.7, n) == pytest.approx(expected, abs=5e-4)


def test_power_with_test_images_is_what_simulated_studies_find():
    rng = np.random.default_rng(0)
    n, difference, image_error = 4, 1.5, 0.5
    seeds = rng.normal(difference, 1.0, (20_000, n))
    mean = seeds.mean(axis=1) + rng.normal(0, image_error, 20_000)
    image_variance = np.full(20_000, image_error**2)
    p = two_way_p_value(MeanEstimate(mean, seeds.var(axis=1, ddof=1) / n, image_variance, n))
    expected = seed_power(difference, 1.0, n, image_error)
    assert (p < 0.05).mean() == pytest.approx(expected, abs=0.011)  # three standard errors


def test_the_least_detectable_difference_has_the_wanted_power():
    for n, error in itertools.product((2, 3, 10), (0.0, 0.3)):
        found = minimum_detectable_difference(0.5, n, error)
        assert seed_power(found, 0.5, n, error) == pytest.approx(0.8, abs=1e-6)
    # TTestPower().solve_power(nobs=3, alpha=0.05, power=0.8)
    assert minimum_detectable_difference(1.0, 3) == pytest.approx(3.2635, abs=2e-3)


def test_images_make_small_differences_harder_to_see():
    for n in (2, 3, 5, 50):
        least = [minimum_detectable_difference(1.0, n, error) for error in (0, 0.1, 0.3, 1)]
        assert least == sorted(least)


@pytest.mark.parametrize(("effect", "n"), [(0.2, 199), (0.5, 34), (0.8, 15)])
def test_seeds_needed_for_cohens_effects(effect, n):
    # Known sizes for a paired t-test at 0.05 and 80 % (G*Power).
    assert required_seeds(effect, 1.0) == n


def test_no_number_of_seeds_makes_up_for_few_images():
    # In the end the error is that of the images: a difference of 2 errors has a power of 0.52.
    assert required_seeds(0.02, 0.01, image_error=0.01) is None
    assert required_seeds(0.04, 0.01, image_error=0.01) is not None
    # Two are not tested.
    assert required_seeds(100.0, 1.0) == 3


def test_how_far_a_spread_over_few_seeds_can_be_trusted():
    # Factors of the tables of chi-squared: n = 3, 5, 10.
    for n, low, high in ((3, 0.5207, 6.2847), (5, 0.5991, 2.8736), (10, 0.6878, 1.8256)):
        assert sd_interval(1.0, n) == pytest.approx((low, high), abs=2e-4)


def test_a_plan_says_how_uncertain_it_is():
    assert plan_seeds(0.5, 0.5, 10) == RequiredSeeds(10, required_seeds(0.5, 0.34392), 29)
    assert plan_seeds(0.02, 0.01, 3, image_error=0.01).seeds is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((1.0, 1.0, 1), "one seed"), ((1.0, 0.0, 3), "above 0"), ((1.0, 1.0, 3, -0.1), "image error")],
)
def test_what_has_no_power(arguments, message):
    with pytest.raises(ValueError, match=message):
        seed_power(*arguments)


def test_a_difference_of_nothing_is_never_found():
    with pytest.raises(ValueError, match="difference of 0"):
        required_seeds(0.0, 1.0)
