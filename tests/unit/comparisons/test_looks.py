"""The seeds of each look at a comparison follow from the records alone."""

import numpy as np
import pytest

from resnest_bench.comparisons.looks import plan_looks
from support.claims_study import claim, claims_study

GREATER = claim("greater", a=["B"], b=["A"])
EVERY = frozenset(range(20))


def adaptive(**block):
    """Five seeds of its own, then 7, 9 and 10 on average."""
    changes = {"differences": block.pop("differences")} if "differences" in block else {}
    return claims_study(GREATER, adaptive={"max_seeds": 10, **block}, **changes)


@pytest.fixture
def values():
    """B varies ten times as much as A."""
    rng = np.random.default_rng(0)
    return [dict(enumerate(60 + sd * rng.standard_normal(20))) for sd in (5.0, 0.5)]


def counts(by_look):
    return [tuple(map(len, seeds)) for seeds in by_look]


def test_equal_steps_take_the_same_seeds_for_both_sides(values):
    study = adaptive(allocation="equal")
    by_look, following = plan_looks(study, [EVERY, EVERY], values)
    assert counts(by_look) == [(5, 5), (7, 7), (9, 9), (10, 10)]
    assert following == ()
    assert all(one == other for one, other in by_look)


def test_the_paired_test_needs_equal_steps(values):
    study = adaptive(differences={"method": "paired_t"})
    assert counts(plan_looks(study, [EVERY, EVERY], values)[0])[1] == (7, 7)


def test_a_step_under_way_is_no_look(values):
    study = adaptive(allocation="equal")
    for under_way in ({6}, set(range(5, 20))):
        by_look, following = plan_looks(study, [EVERY - under_way, EVERY], values)
        assert (counts(by_look), following) == ([(5, 5)], (7, 7))
    # Of the steps after one that is not whole nothing is taken.
    by_look, following = plan_looks(study, [EVERY, EVERY - {7}], values)
    assert (counts(by_look), following) == ([(5, 5), (7, 7)], (9, 9))


def test_the_noisier_side_gets_its_seeds_first(values):
    by_look, following = plan_looks(adaptive(), [EVERY, EVERY], values)
    assert counts(by_look) == [(5, 5), (9, 5), (10, 8), (10, 10)]
    assert following == ()
    other_way = plan_looks(adaptive(), [EVERY, EVERY], values[::-1])[0]
    assert counts(other_way)[1] == (5, 9)


def test_the_quiet_side_is_not_waited_for(values):
    """A has its own seeds only, and the look with nine seeds of B is taken."""
    by_look, following = plan_looks(adaptive(), [frozenset(range(9)), frozenset(range(5))], values)
    assert (counts(by_look), following) == ([(5, 5), (9, 5)], (10, 8))


def test_no_later_record_changes_an_earlier_look(values):
    """Other claims may have asked for more seeds of either side, with any values."""
    first = plan_looks(adaptive(), [frozenset(range(9)), frozenset(range(5))], values)[0]
    later = [{**known, **dict.fromkeys(range(9, 20), 1000000.0)} for known in values]
    assert plan_looks(adaptive(), [EVERY, EVERY], later)[0][:2] == first


def test_a_side_alone_gets_whole_steps(values):
    by_look, following = plan_looks(adaptive(), [frozenset(range(7))], values[:1])
    assert (counts(by_look), following) == ([(5,), (7,)], (9,))


def test_failed_trainings_end_a_step(values):
    """They have ended, but have no value: the spread is that of the others."""
    known = [{seed: value for seed, value in values[0].items() if seed != 3}, values[1]]
    assert counts(plan_looks(adaptive(), [EVERY, EVERY], known)[0])[1] == (9, 5)
