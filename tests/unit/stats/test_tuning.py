"""The best of n trials: against a hand formula, a simulation, and the exact coverage of the interval."""

import numpy as np
import pytest

from resnest_bench.stats.tuning import expected_best, tuning_curve


def test_the_expectation_is_that_of_draws_with_replacement():
    # Two draws from 0, 1, 3: the largest is 0 with 1/9, 1 with 3/9, 3 with 5/9.
    assert expected_best(np.array([3.0, 0.0, 1.0])).tolist() == pytest.approx(
        [4 / 3, 18 / 9, (1 * 7 + 3 * 19) / 27]
    )


def test_one_trial_says_nothing_of_the_median():
    curve = tuning_curve(np.array([0.5]))
    assert curve.expected.tolist() == [0.5]
    assert np.isnan([curve.low[0], curve.high[0]]).all()


@pytest.mark.parametrize("n", [1, 4, 20])
def test_the_interval_covers_the_median_best_of_n(n):
    rng, count, repeats = np.random.default_rng(5), 20, 400
    # Uniform values: the median of the largest of n is 0.5^(1/n).
    truth = 0.5 ** (1 / n)
    curves = [tuning_curve(rng.random(count)) for _ in range(repeats)]
    missed = sum(c.low[n - 1] > truth or c.high[n - 1] < truth for c in curves)
    # 5 % of 400 is 20; four standard deviations more is 37.
    assert missed <= 37


def test_there_is_an_upper_limit_only_for_few_of_the_trials():
    # q^20 is at most 0.025 for 0.5^(20 / n), so for n up to 20 / 5.32 = 3.8.
    assert np.isfinite(tuning_curve(np.arange(20.0)).high).sum() == 3
