import itertools
import math
import random

import numpy as np
import pandas as pd
import pytest

from resnest_bench.tables.intervals import seed_interval
from resnest_bench.tables.statistics import (
    Summary,
    binomial_standard_error,
    half_widths,
    paired_difference,
    pareto_front,
    summarise,
)


def test_no_value_has_no_mean_and_one_value_no_spread():
    assert summarise([]) == Summary(0, None, None, None)
    assert summarise([62.0]) == Summary(1, 62.0, None, None)


def test_three_values_by_hand():
    # 60, 61, 65: mean 62, squares 4 + 1 + 9 = 14, std sqrt(14 / 2). t(0.975, 2) = 4.302653 (tables).
    seen = summarise([60, 61, 65])
    assert seen.mean == 62
    assert seen.std == pytest.approx(math.sqrt(7))
    assert seen.half_width == pytest.approx(4.302653 * math.sqrt(7 / 3), rel=1e-6)


def test_five_values_take_the_t_of_four_degrees():
    # 1..5: std sqrt(2.5); t(0.975, 4) = 2.776445 (tables).
    assert summarise([1, 2, 3, 4, 5]).half_width == pytest.approx(
        2.776445 * math.sqrt(0.5), rel=1e-6
    )


@pytest.mark.parametrize("values", [[0.62, 0.62, 0.62], [0.9 - 0.8, 0.7 - 0.6], [0, 0]])
def test_values_that_are_alike_have_no_interval(values):
    seen = summarise(values)
    assert (seen.std, seen.half_width) == (0, None)
    assert np.isnan(seed_interval(np.array(values)).low)
    many = half_widths(
        pd.Series([seen.mean, 62.0]), pd.Series([np.std(values, ddof=1), math.sqrt(7)]),
        pd.Series([len(values), 3]),
    )  # fmt: skip
    assert many.isna().tolist() == [True, False]
    assert many[1] == pytest.approx(4.302653 * math.sqrt(7 / 3), rel=1e-6)


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


def dominated(point, others):
    return any(
        o[0] <= point[0] and o[1] >= point[1] and (o[0] < point[0] or o[1] > point[1])
        for o in others
    )


def test_pareto_against_brute_force():
    rng = random.Random(0)
    for _ in range(50):
        # Few distinct values, so that ties of every kind occur.
        points = [(rng.randrange(5), rng.randrange(5)) for _ in range(rng.randrange(1, 12))]
        frame = pd.DataFrame(points, columns=["x", "y"], index=rng.sample(range(99), len(points)))
        expected = [not dominated(p, points) for p in points]
        seen = pareto_front(frame, "x", "y")
        assert seen.tolist() == expected
        assert seen.index.equals(frame.index)


def test_equal_points_share_the_front_and_gaps_are_off_it():
    frame = pd.DataFrame({"x": [1, 1, None, 0, 2], "y": [3, 3, 9, None, 3]}, dtype="Float64")
    assert pareto_front(frame, "x", "y").tolist() == [True, True, False, False, False]
    assert pareto_front(frame[:0], "x", "y").tolist() == []


def test_the_order_of_rows_does_not_matter():
    points = [(1, 1), (2, 3), (3, 2)]
    for order in itertools.permutations(points):
        frame = pd.DataFrame(order, columns=["x", "y"])
        front = set(frame[pareto_front(frame, "x", "y")].itertuples(index=False, name=None))
        assert front == {(1, 1), (2, 3)}
