"""The answer in sentences: the best within a budget, the tied ones, and what would separate them."""

import numpy as np
import pytest

from resnest_bench.comparisons.standings import BEST, MAY_BE_BEST, NOT_BEST, UNTESTED, Comparison
from resnest_bench.report.answer import (
    MAX_CANDIDATES,
    MAX_LIMITS,
    answer_budgets,
    format_interval,
    format_limit,
    format_value,
    list_candidates,
    list_limits,
)
from resnest_bench.specs.differences import DifferencesSpec
from resnest_bench.stats.intervals import IMAGES, SEEDS
from resnest_bench.stats.seed_model import fit_seed_model
from resnest_bench.tables.axes import metric_axis
from support.points_factory import points

LATENCY, ACCURACY = metric_axis("latency_p50_ms"), metric_axis("test_accuracy")
NOISE = np.array([0.3, -0.2, 0.1, -0.4, 0.2])
MEANS = {"fast": 60.0, "near": 69.9, "best": 70.0, "huge": 80.0}
TIMES = {"fast": 1.0, "near": 2.0, "best": 3.0, "huge": 9.0}


@pytest.fixture
def comparison():
    values = [mean + np.roll(NOISE, k) for k, mean in enumerate(MEANS.values())]
    zeros = np.zeros((len(MEANS), len(MEANS)))
    return Comparison(tuple(MEANS), fit_seed_model(np.array(values)), zeros, DifferencesSpec())


@pytest.fixture
def rows():
    more = {"y_n": 5, "y_about": SEEDS}
    return points(
        *(
            (name, TIMES[name], MEANS[name], {**more, "y_low": MEANS[name] - 1, "y_high": 99.0})
            for name in MEANS
        )
    )


def answer(rows, comparison, limit):
    (found,) = answer_budgets(rows, LATENCY, ACCURACY, comparison, [limit])
    return found


def test_the_best_the_tied_and_the_worse_within_a_budget(rows, comparison):
    found = answer(rows, comparison, 4.0)
    assert dict(found.standings) == {"best": BEST, "near": MAY_BE_BEST, "fast": NOT_BEST}
    assert (found.best, found.tied) == ("best", ["near"])
    first, second, third = found.lines
    assert "best" in first
    assert "within 4 ms" in first
    assert "70.0 % [69.0, 99.0]" in first
    assert "near" in second
    assert "2.00 ms against 3.00 ms" in second
    assert "more seed" in third


def test_without_a_budget_every_network_is_in_it(rows, comparison):
    found = answer(rows, comparison, None)
    assert found.best == "huge"
    assert found.tied == []
    assert "within" not in found.lines[0]


def test_one_network_within_the_budget_and_none(rows, comparison):
    alone = answer(rows, comparison, 1.0)
    assert dict(alone.standings) == {"fast": BEST}
    assert len(alone.lines) == 1
    none = answer(rows, comparison, 0.5)
    assert none.best is None
    assert "fast" in none.lines[0]
    assert "1.00 ms" in none.lines[0]


def test_without_a_test_nothing_is_tied(rows):
    few = rows.assign(y_n=1, y_about=IMAGES)
    found = answer(few, None, None)
    assert dict(found.standings) == {
        "huge": BEST,
        "best": UNTESTED,
        "near": UNTESTED,
        "fast": UNTESTED,
    }
    assert "one seed" in found.lines[0]
    assert "1 seed," in found.lines[1]


def test_without_a_budget_axis_the_sentence_has_no_unit_of_it(rows, comparison):
    (found,) = answer_budgets(rows, None, ACCURACY, comparison, [None])
    assert found.best == "huge"
    assert "ms" not in " ".join(found.lines)


def test_networks_without_a_value_are_in_no_answer(rows, comparison):
    gaps = rows.assign(x=rows["x"].mask(rows["variant"].eq("huge")))
    assert answer(gaps, comparison, None).best == "best"
    assert not answer(rows.assign(y=float("nan")), comparison, None).standings


def test_one_answer_for_each_budget_as_if_it_were_asked_alone(rows, comparison):
    limits = list_limits(rows["x"], 2.5)
    found = answer_budgets(rows, LATENCY, ACCURACY, comparison, limits)
    assert [one.limit for one in found] == limits
    for one in found[::7]:
        alone = comparison.standings(list(one.standings))
        assert dict(one.standings) == dict(zip(alone["variant"], alone["standing"], strict=True))


def test_budgets_are_round_and_from_the_smallest_value_to_none(rows):
    limits = list_limits(rows["x"], 2.5)
    *known, last = limits
    assert last is None
    assert 2.5 in known
    assert known == sorted(known)
    assert len(limits) <= MAX_LIMITS + 2
    assert 1.0 <= known[0] < 1.1
    assert known[-1] < 9.0
    assert all(len(f"{limit:g}") <= 5 for limit in known)
    assert list_limits(rows["x"].iloc[:1]) == [None]
    assert list_limits(rows["x"] * float("nan")) == [None]
    # Less than one of its digits apart.
    assert len(list_limits(rows["x"] * 0 + [1.0, 1.0001, 1.0002, 1.0003])) > 10


def test_of_many_the_most_accurate_of_each_budget_are_compared():
    many = points(*((f"n{k}", float(k), k / 10, {}) for k in range(1, 500)))
    limits = [10.0, 100.0, None]
    names = list_candidates(many, ACCURACY, limits)
    assert len(names) == MAX_CANDIDATES
    assert {"n499", "n100", "n10", "n480"} <= set(names)
    assert list_candidates(many.head(5), ACCURACY, limits) == ["n5", "n4", "n3", "n2", "n1"]


def test_required_seeds_are_at_the_level_of_the_comparison(comparison):
    # Welch's test of two with the same spread at a one-sided 5 % / 2, by the normal approximation:
    # n = 2 sd^2 (z_0.975 + z_0.8)^2 / d^2, and the t-distribution requires a few more.
    seeds = comparison.required_seeds("best", "near", 3)
    variance = comparison.model.variances_V[[1, 2]].mean()
    about = 2 * variance * (1.960 + 0.842) ** 2 / 0.1**2
    assert about <= seeds <= 1.1 * about + 3
    assert comparison.required_seeds("best", "near", 9) > seeds
    assert comparison.required_seeds("best", "near", 3, on_new_images=False) == seeds


@pytest.mark.parametrize(
    ("value", "axis", "text"),
    [
        (2.544, LATENCY, "2.54 ms"),
        (25.44, LATENCY, "25.4 ms"),
        (1234.5, LATENCY, "1,234 ms"),
        (8.055, metric_axis("num_params"), "8.05 million parameters"),
    ],
)
def test_values_have_three_digits_and_a_unit(value, axis, text):
    assert format_value(value, axis) in (text, text.replace("8.05", "8.06"))


def test_limits_have_the_digits_that_they_have():
    assert format_limit(7.0, LATENCY) == "7 ms"
    assert format_limit(2.25, LATENCY) == "2.25 ms"


def test_an_interval_over_images_is_not_shown_as_one_over_seeds():
    row = {"y": 50.0, "y_low": 40.0, "y_high": 60.0, "y_about": IMAGES, "y_n": 1}
    assert format_interval(row, "y", ACCURACY) == "50.0 % (one seed)"
    assert (
        format_interval({**row, "y_about": SEEDS, "y_n": 3}, "y", ACCURACY) == "50.0 % [40.0, 60.0]"
    )
