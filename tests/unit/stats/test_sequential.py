"""Several looks at a comparison: levels, p-values and intervals that allow for all of them."""

import numpy as np
import pytest
from scipy import stats

from resnest_bench.specs.looks import planned_looks
from resnest_bench.stats.intervals import MeanEstimate, two_way_interval
from resnest_bench.stats.sequential import (
    SHARED_DF,
    Looks,
    allocate_seeds,
    combine_looks,
    correct_for_looks,
    nominal_levels,
)
from support.claims_study import claim, claims_study

GREATER = claim("greater", a=["B"], b=["A"])


def adaptive(**block):
    return claims_study(GREATER, adaptive=block)


def test_looks_planned_are_one_more_than_steps():
    assert planned_looks(claims_study(GREATER)) == 1
    # Five seeds of its own: 5, 7, 9 and 10.
    assert planned_looks(adaptive(max_seeds=10)) == 4


def test_new_seeds_go_where_they_lower_the_error_most():
    """By trying all ways to share them out."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        variances, counts = rng.exponential(size=2), rng.integers(2, 6, size=2)
        most, more = 9, int(rng.integers(1, 6))
        df = counts - 1
        pooled = (variances * df).sum() / df.sum()
        weights = (variances * df + SHARED_DF * pooled) / (df + SHARED_DF)
        ways = [(counts[0] + k, counts[1] + more - k) for k in range(more + 1)]
        errors = [(weights / way).sum() for way in ways if max(way) <= most]
        new = allocate_seeds(variances, counts, int(counts.sum()) + more, most)
        assert sum(new) == counts.sum() + more
        assert (weights / new).sum() == pytest.approx(min(errors))


def test_sides_without_a_spread_get_the_same():
    assert allocate_seeds([np.nan, np.nan], (1, 1), 6, most=5) == (3, 3)
    assert allocate_seeds([0.0, 0.0], (3, 3), 10, most=9) == (5, 5)
    # The one that can't be told counts as the other.
    assert allocate_seeds([4.0, np.nan], (3, 3), 10, most=9) == (5, 5)
    with pytest.raises(ValueError, match="don't fit"):
        allocate_seeds([1.0, 1.0], (3, 3), 19, most=9)


def test_the_levels_of_the_looks_add_up_and_rise():
    levels = nominal_levels((3, 5, 7, 9))
    assert sum(levels) == pytest.approx(0.05)
    assert list(levels) == sorted(levels)
    # O'Brien and Fleming: z sqrt(t) is one constant.
    z = stats.norm.isf(np.array(levels) / 2) * np.sqrt(np.array([3, 5, 7, 9]) / 9)
    np.testing.assert_allclose(z, z[0])
    assert nominal_levels((5,)) == (0.05,)


def test_p_is_what_any_look_would_exceed_by_chance():
    """By hand: of looks at 5, 10 and 20 seeds, two taken, at 0.3 and 0.001."""
    shares = np.array([5, 10, 20]) / 20
    c = stats.norm.isf(0.001) * np.sqrt(0.5)
    expected = stats.norm.sf(c / np.sqrt(shares)).sum()
    assert correct_for_looks([0.3, 0.001], (5, 10, 20), (0, 1)) == pytest.approx(expected)
    # The same p at an earlier look says less.
    assert correct_for_looks([0.001, 0.3], (5, 10, 20), (0, 1)) > expected
    assert correct_for_looks([0.6, 0.9], (5, 10, 20), (0, 1)) == 1.0
    many = correct_for_looks(np.array([[0.3, 0.001], [0.2, 0.9]]), (5, 10, 20), (0, 1))
    assert many[0] == pytest.approx(expected)


def test_a_p_at_its_nominal_level_is_corrected_to_the_level():
    schedule = (3, 5, 7, 9)
    for number, level in enumerate(nominal_levels(schedule, 0.1)):
        assert correct_for_looks([level / 2], schedule, (number,)) == pytest.approx(0.05)


def test_another_look_never_takes_a_verdict_back():
    clear = MeanEstimate(3.0, 0.25, 0.0, 5)
    unclear = MeanEstimate(0.1, 1.0, 0.0, 9)

    def t_test(error):
        p = stats.t.sf(error.mean / error.seed_variance**0.5, error.num_seeds - 1)
        return p, 1 - p

    schedule = (5, 9, 13, 17)
    first = combine_looks(Looks(schedule, 1, (0,), (clear,)), t_test)
    second = combine_looks(Looks(schedule, 2, (0, 1), (clear, unclear)), t_test)
    assert first[0] == second[0]
    assert second[1] <= first[1]


def test_a_repeated_interval_is_at_the_nominal_level():
    schedule = (5, 9, 13, 17)
    looks = Looks(schedule, 2, (), ())
    level = nominal_levels(schedule)[1]
    assert looks.confidence == pytest.approx(1 - level)
    found = two_way_interval(MeanEstimate(1.0, 0.25, 0.0, 9), looks.confidence)
    assert found.high - 1.0 == pytest.approx(0.5 * stats.t.isf(level / 2, 8))
