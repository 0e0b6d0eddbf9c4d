import itertools
import random

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from resnest_bench.stats.intervals import estimate_mean
from resnest_bench.stats.pareto import (
    choose_num_draws,
    draw_means,
    estimate_pareto_front,
    front_probabilities,
    image_covariance,
    pareto_front,
)

MANY = 40_000


def rng(seed=0):
    return np.random.default_rng(seed)


def frame(rows, names="ABCDEF"):
    return pd.DataFrame(rows, index=list(names)[: len(rows)])


def test_draws_of_a_difference_are_the_paired_t():
    values = np.array([[60.0, 61.0, 62.5], [60.5, 60.9, 63.1]])
    drawn = draw_means(values, MANY, rng())
    difference = values[0] - values[1]
    t = stats.ttest_1samp(difference, 0).statistic
    assert (drawn[:, 0] > drawn[:, 1]).mean() == pytest.approx(stats.t.cdf(t, 2), abs=0.008)
    # And those of one mean are Student's: half lie within t(0.75, 2) = 0.816497 (tables) errors.
    error = values[0].std(ddof=1) / 3**0.5
    inside = np.abs(drawn[:, 0] - values[0].mean()) < 0.816497 * error
    assert inside.mean() == pytest.approx(0.5, abs=0.008)


def test_draws_with_images_have_their_covariance():
    values = np.tile([[0.6], [0.7]], (1, 30)) + rng().normal(0, 1e-6, (2, 30))
    covariance = np.array([[4.0, 3.0], [3.0, 9.0]])
    drawn = draw_means(values, MANY, rng(), covariance)
    np.testing.assert_allclose(np.cov(drawn.T), covariance, rtol=0.04)


def test_what_can_not_be_drawn():
    with pytest.raises(ValueError, match="two values"):
        draw_means(np.ones((2, 1)), 10, rng())
    with pytest.raises(ValueError, match="no gap"):
        draw_means(np.array([[1.0, np.nan]]), 10, rng())
    with pytest.raises(ValueError, match="two seeds"):
        image_covariance(np.ones((2, 1, 5), dtype=bool))


def test_the_covariance_of_images_holds_the_image_part_of_every_mean_and_difference():
    image = rng(1).normal(0, 1, 300)
    bits = image + rng(2).normal(0, 1, (2, 4, 300)) > 0
    seen = image_covariance(bits)
    assert seen[0, 0] == pytest.approx(estimate_mean(bits[0]).image_variance)
    assert seen[1, 1] == pytest.approx(estimate_mean(bits[1]).image_variance)
    # Of unclipped parts it is exact; a difference of alike networks has hardly any.
    bits[1] = image + 0.8 * rng(3).normal(0, 1, 300) + 0.3 * rng(4).normal(0, 1, (4, 300)) > 0
    seen = image_covariance(bits)
    apart = estimate_mean(bits[0].astype(np.int8) - bits[1].astype(np.int8)).image_variance
    assert seen[0, 0] + seen[1, 1] - 2 * seen[0, 1] == pytest.approx(apart)


@pytest.mark.parametrize("x_better", ["lower", "higher"])
@pytest.mark.parametrize("y_better", ["lower", "higher"])
def test_the_front_of_every_draw_is_the_one_of_pareto_front(x_better, y_better):
    # Few different values, so that ties occur.
    x, y = rng().integers(0, 4, (200, 5)), rng(1).integers(0, 4, (200, 5))
    expected = [
        pareto_front(
            pd.DataFrame(
                {"x": a if x_better == "lower" else -a, "y": b if y_better == "higher" else -b}
            ),
            "x",
            "y",
        ).to_numpy()
        for a, b in zip(x, y, strict=True)
    ]
    seen = front_probabilities(x, y, x_better, y_better)
    np.testing.assert_allclose(seen, np.mean(expected, axis=0))


def test_thousands_of_variants_get_fewer_draws_and_never_below_a_thousand():
    assert [choose_num_draws(n) for n in (1, 500, 1000, 2000, 100_000)] == [
        4000,
        4000,
        2000,
        1000,
        1000,
    ]


def test_blocks_of_draws_are_all_counted():
    # The first variant is the better one in the first 300 of 1,000 draws.
    x = np.tile([1.0, 1.0], (1000, 1))
    y = np.where(np.arange(1000)[:, None] < 300, [2.0, 1.0], [1.0, 2.0])
    assert front_probabilities(x, y).tolist() == [0.3, 0.7]


def test_certain_and_undecided_places_on_the_front():
    spread = rng().normal(0, 0.01, (3, 5))
    # A is fast, C is accurate; B is behind A in both; nothing is uncertain.
    accuracy = frame(np.array([[60.0], [58.0], [64.0]]) + spread)
    latency = frame(np.array([[1.0], [2.0], [3.0]]) + spread)
    seen = estimate_pareto_front(accuracy, latency)
    assert seen["probability"].tolist() == [1, 0, 1]
    assert seen["on_front"].tolist() == [True, False, True]
    assert (seen["n_seeds"] == 5).all()
    # Two variants with one latency and one mean accuracy: each is on the front half of the time,
    # or, with latencies that are as uncertain, in three cases of four.
    accuracy = frame([[60.0, 61.0, 62.0], [62.0, 60.0, 61.0]])
    latency = frame([[1.0, 1.1, 1.2], [1.2, 1.0, 1.1]])
    assert estimate_pareto_front(accuracy, latency)["probability"].tolist() == pytest.approx(
        [0.75, 0.75], abs=0.03
    )


def test_a_common_bad_round_or_seed_changes_no_place():
    accuracy = frame(
        np.array([60.0, 61.0])[:, None] + np.array([0.0, -3.0, 2.0]) + rng().normal(0, 0.01, (2, 3))
    )
    latency = frame(np.array([[1.0], [1.01]]) * [1.0, 1.3, 0.9] + rng().normal(0, 1e-4, (2, 3)))
    assert (estimate_pareto_front(accuracy, latency)["probability"] > 0.99).all()


def test_who_lacks_seeds_or_rounds_is_left_out_with_the_reason():
    gap = np.nan
    accuracy = frame([[60.0, 61.0, 62.0], [59.0, gap, gap], [62.0, 61.0, gap]])
    latency = frame([[1.0, 1.1], [2.0, 2.1], [0.9, 1.2]])
    seen = estimate_pareto_front(accuracy, latency)
    assert np.isnan(seen.loc["B", "probability"])
    # The counts of what it has; the others lack nothing.
    assert "seeds: 1, rounds: 2" in seen.loc["B", "reason"]
    assert seen.loc[["A", "C"], "reason"].eq("").all()
    assert (seen.loc[["A", "C"], "n_seeds"] == 2).all()
    assert seen.loc[["A", "C"], "probability"].between(0, 1).all()
    # Everyone has two, but no two in common.
    accuracy = frame([[60.0, 61.0, gap, gap], [gap, gap, 60.0, 61.0]])
    seen = estimate_pareto_front(accuracy, latency.iloc[:2])
    assert seen["probability"].isna().all()
    assert seen["reason"].str.contains("common to all").all()
    # A variant that was never timed.
    seen = estimate_pareto_front(accuracy.iloc[:1], latency.iloc[1:])
    assert "rounds: 0" in seen.loc["A", "reason"]


def test_new_images_make_places_less_certain():
    image = rng(1).normal(0, 1, 400)
    own = rng(2).normal(0, 1, (2, 1, 400))
    bits = (
        np.array([0.15, 0.0])[:, None, None] + image + own + rng(3).normal(0, 0.1, (2, 6, 400)) > 0
    )
    accuracy = frame(bits.mean(axis=2))
    latency = frame([[2.0, 2.01, 2.02], [2.1, 2.12, 2.13]])
    here = estimate_pareto_front(accuracy, latency).loc["B", "probability"]
    anywhere = estimate_pareto_front(accuracy, latency, bits).loc["B", "probability"]
    with pytest.raises(ValueError, match="mean of the bits"):
        estimate_pareto_front(100 * accuracy, latency, bits)
    assert here < 0.02
    assert anywhere > here + 0.02


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
