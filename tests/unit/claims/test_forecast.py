"""The probability that the next look decides, against what happens when the seeds are drawn."""

import math

import numpy as np
import pytest

from resnest_bench.claims.forecast import decision_probability
from resnest_bench.claims.hypotheses import Hypothesis, HypothesisTest
from resnest_bench.comparisons.measurement import Measurement
from resnest_bench.stats.intervals import MeanEstimate, two_way_interval
from resnest_bench.stats.power import ALPHA
from resnest_bench.stats.sequential import Looks, nominal_levels

SCHEDULE = (5, 8, 12)


def estimate(values):
    n = len(values)
    return MeanEstimate(values.mean(), values.var(ddof=1) / n, 0.0, n)


def probability(values, low=0.0, high=math.inf, taken=1, schedule=SCHEDULE):
    measurement = Measurement(estimate(values), (), ())
    test = HypothesisTest(Hypothesis("B > A", ("B", "A"), low, high), measurement, 0.5, 0.5)
    return decision_probability(test, Looks(schedule, taken, (), ()), 1, 1)


def test_it_is_how_often_the_next_look_decides():
    rng = np.random.default_rng(0)
    level = nominal_levels(SCHEDULE, 2 * ALPHA)[1] / 2
    predicted, decided = [], []
    for truth in rng.normal(0, 3, 1500):
        values = rng.normal(truth, 1.0, 8)
        predicted.append(probability(values[:5]))
        later = estimate(values)
        interval = two_way_interval(later, 1 - 2 * level)
        decided.append(interval.low > 0 or interval.high < 0)
    assert np.mean(predicted) == pytest.approx(np.mean(decided), abs=0.04)
    likely = np.array(predicted) > 0.9
    assert np.mean(np.array(decided)[likely]) > 0.9


def test_a_clear_difference_is_nearly_sure_and_none_is_not():
    noise = np.array([0.2, -0.1, 0.0, 0.1, -0.2])
    assert probability(5 + noise) > 0.99
    assert probability(noise) < 0.2
    assert probability(noise, -3.0, 3.0) > 0.99
    assert probability(noise, taken=3) is None
    assert probability(np.zeros(5)) is None
