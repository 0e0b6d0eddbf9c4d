"""Several looks at a comparison: levels, p-values and intervals that allow for all of them."""

import numpy as np
import pytest
from scipy import stats

from resnest_bench.specs.looks import planned_looks, seeds_by_look
from resnest_bench.stats.intervals import MeanEstimate, two_way_interval
from resnest_bench.stats.sequential import Looks, combine_looks, correct_for_looks
from support.claims_study import claim, claims_study

GREATER = claim("greater", a=["B"], b=["A"])


def adaptive(**block):
    return claims_study(GREATER, adaptive=block)


def test_looks_planned_are_one_more_than_steps():
    assert planned_looks(claims_study(GREATER)) == 1
    # Five seeds of its own: 5, 7, 9 and 10.
    assert planned_looks(adaptive(max_seeds=10)) == 4


def test_a_step_under_way_is_no_look():
    study = adaptive(max_seeds=10)
    own = {0, 1, 2, 3, 4}
    assert seeds_by_look(study, lambda seed: seed < 5) == [own]
    assert seeds_by_look(study, lambda seed: seed != 6) == [own]
    assert seeds_by_look(study, lambda seed: seed < 8) == [own, own | {5, 6}]
    # Of the steps after one that is not whole nothing is taken.
    assert seeds_by_look(study, lambda seed: seed in {7, 8}) == [own]
    assert [len(s) for s in seeds_by_look(study, lambda seed: True)] == [5, 7, 9, 10]


def test_p_is_the_smallest_one_times_the_looks_planned():
    """Bonferroni by hand: of three looks planned, two taken at 0.01 and 0.3."""
    assert correct_for_looks([0.3, 0.01], 3) == pytest.approx(0.03)
    assert correct_for_looks([0.01, 0.3], 3) == pytest.approx(0.03)
    assert correct_for_looks([0.6, 0.5], 3) == 1.0
    np.testing.assert_allclose(
        correct_for_looks(np.array([[0.3, 0.01], [0.02, 0.9]]), 2), [0.02, 0.04]
    )


def test_another_look_never_takes_a_verdict_back():
    clear = MeanEstimate(3.0, 0.25, 0.0, 5)
    unclear = MeanEstimate(0.1, 1.0, 0.0, 9)

    def t_test(error):
        p = stats.t.sf(error.mean / error.seed_variance**0.5, error.num_seeds - 1)
        return p, 1 - p

    first = combine_looks(Looks(4, 1, (clear,)), t_test)
    second = combine_looks(Looks(4, 2, (clear, unclear)), t_test)
    assert first[0] == second[0] == pytest.approx(4 * stats.t.sf(6, 4))
    assert second[1] <= first[1]


def test_a_repeated_interval_is_at_the_nominal_level():
    """Four looks: 1 - 0.05 / 4, so t at 0.99375 on each side."""
    looks = Looks(4, 1, ())
    assert looks.confidence == pytest.approx(0.9875)
    found = two_way_interval(MeanEstimate(1.0, 0.25, 0.0, 5), looks.confidence)
    assert found.high - 1.0 == pytest.approx(0.5 * stats.t.ppf(0.99375, 4))
