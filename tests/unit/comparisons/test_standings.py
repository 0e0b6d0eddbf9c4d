"""Where networks stand: the best, those that may be the best, ranks and groups."""

import numpy as np
import pytest

from resnest_bench.comparisons.standings import (
    BEST,
    MAY_BE_BEST,
    NOT_BEST,
    UNTESTED,
    Comparison,
    list_best,
)
from resnest_bench.specs.differences import DifferencesSpec
from resnest_bench.stats.seed_model import fit_seed_model

NOISE = np.array([0.3, -0.2, 0.1, -0.4, 0.2])
MEANS = {"low": 60.0, "high": 70.0, "near": 69.9, "middle": 65.0}


def compare(values_VS, higher_is_better=True, **spec):
    names = tuple(MEANS)[: len(values_VS)]
    model = fit_seed_model(np.asarray(values_VS, dtype=float))
    zeros = np.zeros((len(names), len(names)))
    return Comparison(names, model, zeros, DifferencesSpec(**spec), "m", higher_is_better)


@pytest.fixture
def values():
    # Each in an order of its own: seeds have nothing in common.
    return [mean + np.roll(NOISE, k) for k, mean in enumerate(MEANS.values())]


def test_the_best_and_those_that_may_be(values):
    table = compare(values).standings().set_index("variant")
    assert table.index.tolist() == ["high", "near", "middle", "low"]
    assert table["standing"].tolist() == [BEST, MAY_BE_BEST, NOT_BEST, NOT_BEST]
    assert table["rank_low"].tolist() == [1, 1, 3, 4]
    assert table["rank_high"].tolist() == [2, 2, 3, 4]
    assert table["groups"].tolist() == ["a", "a", "b", "c"]
    assert list_best(table.reset_index()) == ["near"]
    assert not table["widely_spread"].any()


def test_where_less_is_better_the_order_turns(values):
    table = compare(values, higher_is_better=False).standings()
    assert table["variant"].tolist() == ["low", "middle", "near", "high"]
    assert table["standing"].tolist() == [BEST, NOT_BEST, NOT_BEST, NOT_BEST]
    assert table["mean"].iloc[0] == pytest.approx(60.0)


def test_among_some_the_others_do_not_count(values):
    table = compare(values).standings(["low", "middle"])
    assert table["variant"].tolist() == ["middle", "low"]
    assert table["standing"].tolist() == [BEST, NOT_BEST]
    assert compare(values).standings(["low"])["standing"].tolist() == [BEST]
    assert len(compare(values).standings([])) == 0


def test_a_wide_spread_keeps_a_low_mean_in_and_says_so(values):
    values[0] = 64.0 + 60 * NOISE
    table = compare(values).standings().set_index("variant")
    assert table.loc["low", "standing"] == MAY_BE_BEST
    assert table.loc["middle", "standing"] == NOT_BEST
    assert table.index[table["widely_spread"]].tolist() == ["low"]


def test_without_three_seeds_nothing_is_tested(values):
    table = compare([row[:2] for row in values]).standings()
    assert table["standing"].tolist() == [BEST, UNTESTED, UNTESTED, UNTESTED]
    assert table[["rank_low", "rank_high"]].isna().all(axis=None)


def test_a_false_discovery_rate_gives_no_simultaneous_ranks(values):
    ranks = compare(values, correction="fdr").standings()
    assert ranks.equals(compare(values, correction="holm").standings())


def test_the_truly_best_is_seldom_left_out():
    rng = np.random.default_rng(0)
    left_out = 0
    for _ in range(300):
        drawn = rng.normal(0, 1, (4, 4)) * np.array([1, 1, 1, 3])[:, None]
        table = compare(drawn).standings().set_index("variant")
        # All are equally good: the first stands for the best.
        left_out += table.loc["low", "standing"] == NOT_BEST
    # 5 % and three Monte Carlo standard errors.
    assert left_out / 300 <= 0.088
