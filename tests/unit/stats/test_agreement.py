"""Orders of two devices: by hand, against scipy, and over draws of known distributions."""

import numpy as np
import pytest
from scipy.stats import kendalltau

from resnest_bench.stats.agreement import (
    compare_orders,
    find_fronts,
    kendall_tau,
    same_front_probability,
    tau_without_one,
)
from resnest_bench.stats.pareto import pareto_front


def test_tau_over_draws_is_scipys_in_each_draw():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 130, 6))
    found = compare_orders(x.mean(axis=0), y.mean(axis=0), x, y)
    taus = [kendalltau(a, b).statistic for a, b in zip(x, y, strict=True)]
    assert found.tau_interval == pytest.approx(tuple(np.quantile(taus, (0.025, 0.975))))
    assert found.tau == pytest.approx(kendalltau(x.mean(axis=0), y.mean(axis=0)).statistic)


def test_a_clear_reversal_is_beyond_noise_and_a_tie_is_not():
    rng = np.random.default_rng(2)
    # Networks 2 and 3 change places on the second device; 0 and 1 are too close to be distinguished.
    x_V, y_V = np.array([1.0, 1.001, 2.0, 4.0]), np.array([1.001, 1.0, 4.0, 2.0])
    x, y = (v + 0.05 * rng.normal(size=(2000, 4)) for v in (x_V, y_V))
    found = compare_orders(x_V, y_V, x, y)
    assert found.rank_change.tolist() == [1, -1, 1, -1]
    beyond = (found.rank_change_low > 0) | (found.rank_change_high < 0)
    assert beyond.tolist() == [False, False, True, True]
    assert found.reversed_pairs == 1
    # 6 pairs, of which the one of 2 and 3 is always reversed and that of 0 and 1 half of the time.
    assert found.tau_interval == pytest.approx((1 / 3, 2 / 3))


def test_without_draws_there_is_no_interval():
    found = compare_orders(np.arange(3.0), np.arange(3.0), None, None)
    assert found.tau == 1
    assert np.isnan(found.tau_interval).all()
    assert found.reversed_pairs is None
    assert np.isnan(kendall_tau(np.ones(1), np.ones(1)))
    assert np.isnan(tau_without_one(np.ones(2), np.ones(2))).all()


def test_the_fronts_are_those_of_the_frame():
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(3)
    # Rounded, so that some are equal.
    accuracy, latency = rng.normal(size=12).round(1), rng.normal(size=(20, 12)).round(1)
    for row, front in zip(latency, find_fronts(accuracy, latency), strict=True):
        frame = pd.DataFrame({"x": row, "y": accuracy})
        assert front.tolist() == pareto_front(frame, "x", "y").tolist()
    assert same_front_probability(accuracy, latency, latency) == 1
