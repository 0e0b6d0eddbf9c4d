"""Two one-sided tests, against a worked example; and both paths on real images."""

import numpy as np
import pytest


@pytest.fixture
def equivalence(benchmark_module):
    return benchmark_module("equivalence")


def test_two_one_sided_tests_by_hand(equivalence):
    """Differences 1, 2, 3: mean 2, sd 1, standard error 1/sqrt(3); t(0.95, 2) = 2.919986."""
    seen = equivalence.equivalence(np.zeros(3), np.array([1.0, 2.0, 3.0]), 10.0)
    assert seen["mean"] == 2.0
    assert seen["high"] - seen["mean"] == pytest.approx(2.919986 / 3**0.5, rel=1e-6)
    assert seen["equivalent"]
    # t = (2 - 10) sqrt(3) = -13.86 with 2 degrees of freedom: p = 1/2 (1 - t / sqrt(2 + t^2)).
    t = 8 * 3**0.5
    assert seen["p"] == pytest.approx((1 - t / (2 + t * t) ** 0.5) / 2, rel=1e-6)
    assert not equivalence.equivalence(np.zeros(3), np.array([1.0, 2.0, 3.0]), 3.0)["equivalent"]


def test_the_same_twice_is_equivalent(equivalence):
    assert equivalence.equivalence(np.ones(4), np.ones(4), 0.01)["equivalent"]


@pytest.mark.slow
def test_both_paths_learn_digits(equivalence):
    seen = equivalence.run(None, 2, 1, None)
    assert 0.1 < seen["plain"][0] <= 1
    assert 0.1 < seen["fast"][0] <= 1
