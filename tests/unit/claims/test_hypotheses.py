"""p-values of one comparison against Student's and the normal test, and what comparisons say."""

import math

import numpy as np
import pytest
from scipy import stats

from resnest_bench.claims.hypotheses import band_p_values
from resnest_bench.errors import UserError
from resnest_bench.stats.intervals import MeanEstimate
from support.claims_study import claim, claims_study, make_results

VALUES = np.array([1.2, 0.4, 2.2, 1.0, -0.3])
STUDENT = MeanEstimate(VALUES.mean(), VALUES.var(ddof=1) / 5, 0.0, 5)


@pytest.mark.parametrize("limit", [-1.0, 0.0, 0.9, 3.0])
def test_a_lower_end_is_students_one_sided_test_where_images_add_nothing(limit):
    expected = stats.ttest_1samp(VALUES, limit, alternative="greater").pvalue
    assert band_p_values(STUDENT, limit, math.inf)[0] == pytest.approx(expected)


def test_a_band_without_an_upper_end_is_a_one_sided_test():
    p_for, p_against = band_p_values(STUDENT, 0.0, math.inf)
    assert p_for == pytest.approx(stats.ttest_1samp(VALUES, 0, alternative="greater").pvalue)
    assert p_against == pytest.approx(1 - p_for)


def test_a_band_is_two_one_sided_tests():
    p_for, p_against = band_p_values(STUDENT, -2.0, 2.0)
    above = stats.ttest_1samp(VALUES, -2, alternative="greater").pvalue
    below = stats.ttest_1samp(VALUES, 2, alternative="less").pvalue
    assert p_for == pytest.approx(max(above, below))
    # Twice the p of being above 2, which is the nearer end.
    outside = stats.ttest_1samp(VALUES, 2, alternative="greater").pvalue
    assert p_against == pytest.approx(min(1, 2 * outside))
    p_for, p_against = band_p_values(STUDENT, -0.1, 0.1)
    outside = stats.ttest_1samp(VALUES, 0.1, alternative="greater").pvalue
    assert p_for > 0.5
    assert p_against == pytest.approx(2 * outside)


def test_two_seeds_decide_nothing_however_clear_they_look():
    error = MeanEstimate(100.0, 1e-6, 0.0, 2)
    assert band_p_values(error, 0.0, math.inf) == (1, 1)
    many = MeanEstimate(np.array([100.0, -100.0]), np.array([1e-6, 1e-6]), np.zeros(2), 2)
    assert np.asarray(band_p_values(many, 0.0, math.inf)).tolist() == [[1, 1], [1, 1]]


def test_arrays_are_studies():
    error = MeanEstimate(np.array([1.0, -1.0]), np.array([0.04, 0.04]), np.array([0.02, 0.02]), 5)
    p_for, p_against = band_p_values(error, 0.0, math.inf)
    assert p_for[0] == pytest.approx(p_against[1])
    assert p_for.shape == p_against.shape == (2,)


@pytest.mark.parametrize(
    ("made", "text", "low", "high"),
    [
        (claim("greater", a=["B"], b=["A"]), "B > A", 0, math.inf),
        (claim("equivalent", a="A", b="B", margin=1), "A = B ± 1 points", -1, 1),
        (
            claim("equivalent", metric="latency", a="A", b="B", margin=0.25),
            "A = B ± 25 %",
            -math.log(1.25),
            math.log(1.25),
        ),
        (claim("within", a="A", value=95, margin=2), "A at 95 % ± 2 points", 93, 97),
        (
            claim("within", metric="latency", a="A", value=2.5, margin=0.1),
            "A at 2.5 ms ± 10 %",
            math.log(2.5 / 1.1),
            math.log(2.5 * 1.1),
        ),
        (
            claim("within", metric="params", a="A", value=8583178, margin=0.01),
            "A at 8,583,000 parameters ± 1 %",
            math.log(8583178 / 1.01),
            math.log(8583178 * 1.01),
        ),
    ],
)
def test_what_is_asked(made, text, low, high):
    (result,) = make_results(claims_study(made), {})
    (comparison,) = result.tests
    assert comparison.hypothesis.text == text
    assert (comparison.hypothesis.low, comparison.hypothesis.high) == pytest.approx((low, high))


def test_savings_are_a_loss_below_and_a_ratio_above_a_limit():
    made = claim("saves", a="A", b="B", at_most=0.5, times=1.5)
    (result,) = make_results(claims_study(made), {})
    loss, faster = (one.hypothesis for one in result.tests)
    assert (loss.text, loss.low, loss.high) == ("A > B − 0.5 points", -0.5, math.inf)
    assert faster.text == "A at least 1.5 times as fast as B"
    # A's latency divided by B's is below 1/1.5, as a logarithm.
    assert (faster.low, faster.high) == (-math.inf, pytest.approx(-math.log(1.5)))
    assert (loss.metric, faster.metric) == ("accuracy", "latency")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"b": "A"}, "must differ"),
        ({"metric": "nll"}, "more is better"),
        ({"a": {"variant": "A"}}, "give recipe or mode"),
        ({"a": {"variant": "A", "mode": "int4"}}, "mode"),
        ({"times": 0}, "times"),
    ],
)
def test_savings_that_make_no_sense(change, message):
    with pytest.raises(UserError, match=message):
        claims_study(claim("saves", **{"a": "A", "b": "B", "at_most": 1, "times": 2, **change}))
