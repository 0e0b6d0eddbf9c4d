import math

import numpy as np
import pytest

from resnest_bench.stats.intervals import seed_interval
from resnest_bench.stats.summary import (
    FRACTION,
    PERCENT,
    POSITIVE,
    UNBOUNDED,
    Summary,
    binomial_standard_error,
    bounded_limits,
    confidence_limits,
    paired_difference,
    summarise,
)


def test_no_value_has_no_mean_and_one_value_no_spread():
    assert summarise([]) == Summary(0, None, None, None, None, ())
    assert summarise([62.0]) == Summary(1, 62.0, None, None, None, (62.0,))


def test_two_values_have_a_spread_but_no_interval():
    seen = summarise([43.0, 45.0])
    assert (seen.mean, seen.std) == (44, pytest.approx(math.sqrt(2)))
    assert (seen.low, seen.high, seen.observed) == (None, None, (43.0, 45.0))
    assert np.isnan(confidence_limits(44.0, math.sqrt(2), 2)).all()


def test_three_values_by_hand():
    # 60, 61, 65: mean 62, squares 4 + 1 + 9 = 14, std sqrt(14 / 2). t(0.975, 2) = 4.302653 (tables).
    seen = summarise([60, 61, 65])
    half = 4.302653 * math.sqrt(7 / 3)
    assert (seen.mean, seen.std) == (62, pytest.approx(math.sqrt(7)))
    assert (seen.low, seen.high) == pytest.approx((62 - half, 62 + half), rel=1e-6)


def test_five_values_take_the_t_of_four_degrees():
    # 1..5: std sqrt(2.5); t(0.975, 4) = 2.776445 (tables).
    assert summarise([1, 2, 3, 4, 5]).high == pytest.approx(3 + 2.776445 * math.sqrt(0.5), rel=1e-6)


def test_a_positive_quantity_by_hand():
    # h = t(0.975, 2) sqrt(7 / 3) as above, of a mean of 62: 62 exp(-+ h / 62).
    seen = summarise([60, 61, 65], POSITIVE)
    factor = math.exp(4.302653 * math.sqrt(7 / 3) / 62)
    assert (seen.low, seen.high) == pytest.approx((62 / factor, 62 * factor), rel=1e-6)


def test_an_accuracy_by_hand():
    # p = 0.62, odds 0.62 / 0.38, and h / (p (1 - p)) on their logarithm.
    seen = summarise([60, 61, 65], PERCENT)
    step = 0.04302653 * math.sqrt(7 / 3) / (0.62 * 0.38)
    odds = [0.62 / 0.38 * math.exp(sign * step) for sign in (-1, 1)]
    assert (seen.low, seen.high) == pytest.approx([100 * o / (1 + o) for o in odds], rel=1e-6)


@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize(
    ("bounds", "low", "high"), [(PERCENT, 0, 100), (FRACTION, 0, 1), (POSITIVE, 0, math.inf)]
)
def test_no_interval_leaves_its_bounds_and_each_holds_its_mean(n, bounds, low, high):
    rng = np.random.default_rng(n)
    top = min(high, 100)
    # Up to the bounds themselves, where Student's interval leaves them in most draws.
    drawn = np.clip(top * rng.beta(0.3, 0.3, (200, n)), 0, top)
    drawn[:5, 0], drawn[:5, 1:] = top, 0.999 * top
    mean, std = drawn.mean(axis=1), drawn.std(axis=1, ddof=1)
    ends = confidence_limits(mean, std, np.full(200, n), bounds)
    plain = confidence_limits(mean, std, np.full(200, n))
    assert (low <= ends[0]).all()
    assert (ends[1] <= high).all()
    assert ((ends[0] < mean) & (mean < ends[1])).all()
    assert (plain[0] < low).any()


@pytest.mark.parametrize("bounds", [UNBOUNDED, PERCENT, POSITIVE])
def test_a_small_interval_is_students_whatever_the_bounds(bounds):
    values = [61.99, 62.0, 62.02]
    plain, bounded = summarise(values), summarise(values, bounds)
    assert (bounded.low, bounded.high) == pytest.approx((plain.low, plain.high), abs=1e-4)


@pytest.mark.parametrize("mean", [0.0, 100.0, -1.0])
def test_a_mean_at_a_bound_or_beyond_has_no_interval(mean):
    assert np.isnan(bounded_limits(mean, 1.0, PERCENT)).all()


@pytest.mark.parametrize("values", [[0.62, 0.62, 0.62], [0.9 - 0.8, 0.7 - 0.6, 0.1], [0, 0, 0]])
def test_values_that_are_alike_have_no_interval(values):
    seen = summarise(values)
    assert (seen.std, seen.low, seen.high) == (0, None, None)
    assert np.isnan(seed_interval(np.array(values)).low)
    stds = np.array([np.std(values, ddof=1), math.sqrt(7)])
    low, _ = confidence_limits(np.array([seen.mean, 62.0]), stds, np.array([len(values), 3]))
    assert np.isnan(low).tolist() == [True, False]
    assert low[1] == pytest.approx(62 - 4.302653 * math.sqrt(7 / 3), rel=1e-6)


def test_pairs_are_the_seeds_that_both_have():
    seen = paired_difference({0: 5.0, 1: 7.0, 2: 9.0}, {1: 4.0, 2: 8.0, 3: 100.0})
    assert (seen.n, seen.mean) == (2, 2.0)
    assert seen.std == pytest.approx(math.sqrt(2))


def test_the_papers_binomial_error():
    # 0.49 points at 62 % on 10,000 images.
    assert binomial_standard_error(0.62, 10_000) == pytest.approx(math.sqrt(0.2356) / 100)


@pytest.mark.parametrize(("p", "n"), [(1.1, 5), (-0.1, 5), (0.5, 0), (62, 10_000)])
def test_a_percentage_is_no_fraction(p, n):
    with pytest.raises(ValueError, match="fraction"):
        binomial_standard_error(p, n)
