import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from resnest_bench.stats.intervals import (
    IMAGES,
    SEEDS,
    SEEDS_AND_IMAGES,
    MeanEstimate,
    estimate_mean,
    image_interval,
    seed_interval,
    two_way_interval,
    wilson_interval,
)
from resnest_bench.stats.p_values import probability_above, seed_p_value, two_way_p_value
from resnest_bench.stats.summary import FRACTION

# Extra sleep of ten patients by one drug over another: Student, Biometrika 6 (1908) 1.
SLEEP = np.array([1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4])
# Yield of vascular grafts, pressures x batches of resin: Montgomery, Design and Analysis of
# Experiments, example 4.1. Its mean squares: pressures 59.39, batches 38.45, error 7.33.
GRAFTS = np.array(
    [
        [90.3, 89.2, 98.2, 93.9, 87.4, 97.9],
        [92.5, 89.5, 90.6, 94.7, 87.0, 95.8],
        [85.5, 90.8, 89.6, 86.2, 88.0, 93.4],
        [82.5, 89.5, 85.6, 87.4, 78.9, 90.7],
    ]
)


def bits(*shape, seed=0, p=0.6):
    """Booleans whose images differ in difficulty."""
    rng = np.random.default_rng(seed)
    return rng.normal(0, 1, shape[-1:]) + rng.normal(0, 1, shape) < stats.norm.ppf(p) * 2**0.5


@pytest.mark.parametrize(
    ("correct", "images", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilsons_interval_as_newcombe_prints_it(correct, images, low, high):
    # Newcombe, Statistics in Medicine 17 (1998) 857, table I, method 3.
    seen = wilson_interval(correct, images)
    assert (seen.low, seen.high) == pytest.approx((low, high), abs=5e-5)
    assert seen.population == IMAGES
    assert "binomial" in seen.method


def test_wilsons_interval_of_no_error_at_all_ends_at_one():
    assert wilson_interval(20, 20).high == 1
    assert wilson_interval(0, 20).low == 0


@pytest.mark.parametrize(("correct", "images"), [(5, 4), (-1, 4), (0, 0)])
def test_a_count_is_no_larger_than_what_is_counted(correct, images):
    with pytest.raises(ValueError, match="images"):
        wilson_interval(correct, images)


def test_students_own_interval_and_p():
    # R's t.test(extra ~ group, data = sleep, paired = TRUE): t = 4.0621, df = 9, p = 0.002833,
    # 95 percent confidence interval 0.7001142 2.4598858.
    seen = seed_interval(SLEEP)
    assert (seen.low, seen.high) == pytest.approx((0.7001142, 2.4598858), abs=1e-7)
    assert seed_p_value(SLEEP) == pytest.approx(0.002833, abs=5e-7)
    assert seen.population == SEEDS


def test_many_studies_at_once_are_what_they_are_one_by_one():
    values = np.random.default_rng(0).normal(1, 1, (4, 3, 5))
    whole = seed_interval(values)
    assert whole.low.shape == (4, 3)
    assert whole.low[2, 1] == pytest.approx(seed_interval(values[2, 1]).low)
    assert seed_p_value(values)[2, 1] == pytest.approx(stats.ttest_1samp(values[2, 1], 0).pvalue)


def test_one_seed_has_no_spread_and_equal_seeds_show_none():
    assert np.isnan(seed_interval([0.6]).low)
    assert np.isnan(seed_interval([0.62, 0.62, 0.62]).low)
    assert np.isnan(seed_p_value([0.02, 0.02, 0.02]))
    assert seed_p_value([0.0, 0.0, 0.0]) == 1


def test_two_seeds_have_no_interval_and_no_test():
    assert np.isnan(seed_interval([0.6, 0.64]).low)
    assert np.isnan(seed_p_value([0.02, 0.04]))
    assert seed_p_value(np.zeros((4, 2))).shape == (4,)
    error = estimate_mean(bits(2, 200))
    assert np.isnan([two_way_interval(error).low, two_way_p_value(error)]).all()
    many = estimate_mean(bits(5, 2, 200))
    assert np.isnan(two_way_p_value(many)).tolist() == [True] * 5


def test_an_accuracys_intervals_stay_below_100_percent():
    correct = np.ones((3, 50), dtype=bool)
    correct[0, :2] = correct[1, 0] = False
    error = estimate_mean(correct)
    assert two_way_interval(error).high > 1
    for seen in (
        seed_interval(correct.mean(axis=-1), bounds=FRACTION),
        two_way_interval(error, bounds=FRACTION),
        image_interval(correct, bounds=FRACTION),
    ):
        assert 0 < seen.low < 0.98 < seen.high < 1


def test_networks_that_make_no_error_at_all_have_no_interval_here():
    assert np.isnan(image_interval(np.ones((3, 50))).low)


def test_the_parts_of_the_error_as_in_a_published_analysis_of_variance():
    seen = estimate_mean(GRAFTS)
    assert seen.mean == pytest.approx(89.796, abs=5e-4)
    assert seen.seed_variance == pytest.approx(59.39 / 24, abs=5e-4)
    assert seen.image_variance == pytest.approx((38.45 - 7.33) / 24, abs=1e-3)


def test_the_parts_of_the_error_of_bits_as_statsmodels_finds_them():
    correct = bits(3, 40)
    seed, image = np.indices(correct.shape)
    frame = pd.DataFrame(
        {"y": correct.ravel().astype(float), "seed": seed.ravel(), "image": image.ravel()}
    )
    table = anova_lm(ols("y ~ C(seed) + C(image)", frame).fit())
    squares = table["mean_sq"]
    seen = estimate_mean(correct)
    assert seen.seed_variance == pytest.approx(squares["C(seed)"] / 120)
    assert seen.image_variance == pytest.approx((squares["C(image)"] - squares["Residual"]) / 120)
    # Differences of bits, as small integers, and many studies at once.
    apart = bits(5, 3, 40).astype(np.int8) - bits(5, 3, 40, seed=1).astype(np.int8)
    assert estimate_mean(apart).seed_variance[4] == pytest.approx(
        estimate_mean(apart[4] * 1.0).seed_variance
    )
    assert estimate_mean(apart).image_variance[4] == pytest.approx(
        estimate_mean(apart[4] * 1.0).image_variance
    )


def test_one_seed_or_one_image_can_not_be_separated_from_the_rest():
    with pytest.raises(ValueError, match="two seeds"):
        estimate_mean(bits(1, 40))
    with pytest.raises(ValueError, match="two images"):
        estimate_mean(bits(3, 1))


def test_without_an_image_part_it_is_students_interval():
    error = MeanEstimate(SLEEP.mean(), SLEEP.var(ddof=1) / 10, 0.0, 10)
    seen, student = two_way_interval(error), seed_interval(SLEEP)
    assert (seen.low, seen.high) == pytest.approx((student.low, student.high))
    assert two_way_p_value(error) == pytest.approx(0.002833, abs=5e-7)
    assert seen.population == SEEDS_AND_IMAGES


def test_with_hardly_a_seed_part_it_is_the_normal_interval():
    seen = two_way_interval(MeanEstimate(0.1, 1e-12, 0.0016, 3))
    assert (seen.low, seen.high) == pytest.approx((0.1 - 1.959964 * 0.04, 0.1 + 1.959964 * 0.04))
    assert two_way_p_value(MeanEstimate(0.1, 1e-12, 0.0016, 3)) == pytest.approx(
        2 * stats.norm.sf(2.5), rel=1e-4
    )


def test_in_between_each_part_has_its_own_quantile():
    # t(0.975, 4) = 2.776445, z = 1.959964 (tables), parts 3 and 1: 2.572325 times an error of 2.
    seen = two_way_interval(MeanEstimate(0.0, 3.0, 1.0, 5))
    assert seen.high == pytest.approx(2 * (0.75 * 2.776445 + 0.25 * 1.959964), rel=1e-6)


def test_images_never_make_an_interval_shorter():
    alone = two_way_interval(MeanEstimate(0.0, 1.0, 0.0, 3)).high
    assert alone == pytest.approx(4.302653, abs=1e-6)
    for part in (0.01, 0.1, 0.5):
        assert two_way_interval(MeanEstimate(0.0, 1.0, part, 3)).high > alone * (1 - 1e-12)


@pytest.mark.parametrize("num_seeds", [3, 5, 10])
def test_the_interval_at_the_p_value_ends_at_zero(num_seeds):
    error = estimate_mean(
        bits(num_seeds, 200).astype(int) - bits(num_seeds, 200, seed=4, p=0.5).astype(int)
    )
    p = two_way_p_value(error)
    assert 0 < p < 1
    seen = two_way_interval(error, confidence=1 - p)
    assert min(abs(seen.low), abs(seen.high)) == pytest.approx(0, abs=1e-9)


def test_equal_seeds_give_no_interval_for_new_ones():
    alike = np.tile([True, False, True, False], (3, 1))
    assert np.isnan(two_way_interval(estimate_mean(alike)).low)
    assert np.isnan(two_way_p_value(estimate_mean(alike)))


def test_these_networks_on_new_images():
    # One network: the binomial error, but for n - 1.
    one = np.arange(100) < 62
    seen = image_interval(one[None])
    assert seen.high - 0.62 == pytest.approx(1.959964 * (0.62 * 0.38 / 99) ** 0.5, rel=1e-6)
    # Three copies of it say no more of images than one does.
    assert image_interval(np.tile(one, (3, 1))).high == pytest.approx(seen.high)


def test_the_probability_is_the_one_sided_p():
    assert probability_above(SLEEP.mean(), seed_p_value(SLEEP)) == pytest.approx(
        1 - stats.ttest_1samp(SLEEP, 0, alternative="greater").pvalue
    )
    assert probability_above(-1.0, 0.1) == pytest.approx(0.05)
    assert probability_above(0.0, 1.0) == pytest.approx(0.5)
