import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from resnest_bench.tables.correctness import Correctness
from resnest_bench.tables.intervals import IMAGES, ROUNDS
from resnest_bench.tables.pairs import (
    bonett_price_interval,
    crossed_bootstrap,
    discordant,
    holm,
    mcnemar_p_value,
    pair_probability,
    pairs_table,
    probability_of_improvement,
    ratio_interval,
)

# Airway hyper-responsiveness of 21 children before and after stem cell transplantation (Bentur et
# al.): 1 only before, 7 only after. Fagerland, Lydersen and Laake, BMC Med. Res. Methodol. 13 (2013) 91.
ONLY_BEFORE, ONLY_AFTER, CHILDREN = 1, 7, 21


def test_mcnemars_exact_p_of_a_published_example():
    # 2 (1 + 8) / 2^8.
    assert mcnemar_p_value(ONLY_BEFORE, ONLY_AFTER) == pytest.approx(18 / 256)
    assert mcnemar_p_value(ONLY_AFTER, ONLY_BEFORE) == pytest.approx(18 / 256)


@pytest.mark.parametrize("counts", [(0, 0), (3, 3), (40, 62), (0, 9), (512, 700)])
def test_mcnemars_exact_p_as_statsmodels_has_it(counts):
    table = [[5, counts[0]], [counts[1], 5]]
    assert mcnemar_p_value(*counts) == pytest.approx(mcnemar(table, exact=True).pvalue)


def test_discordant_images_are_counted_on_both_sides():
    ours, base = [True, True, False, True, False], [True, False, False, False, True]
    assert discordant(ours, base) == (2, 1)
    with pytest.raises(ValueError, match="same images"):
        discordant([True], [True, False])


def test_bonett_and_prices_interval_by_hand():
    # (2 - 8) / 23 = -0.260870; error sqrt((10 / 23 - 0.068053) / 23) = 0.126273.
    seen = bonett_price_interval(ONLY_BEFORE, ONLY_AFTER, CHILDREN)
    assert seen.estimate == pytest.approx(-6 / 21)
    assert (seen.low, seen.high) == pytest.approx(
        (-0.260870 - 1.959964 * 0.126273, -0.260870 + 1.959964 * 0.126273), abs=5e-6
    )
    assert seen.about == IMAGES
    with pytest.raises(ValueError, match="discordant"):
        bonett_price_interval(3, 4, 5)


def test_the_next_pair_by_its_predictive_t_and_an_exact_interval():
    differences = np.array([1.0, 2.0, 4.0, 1.0])
    better, low, high = pair_probability(differences)
    # Mean 2, sd sqrt(2), four pairs: t = 2 / (sqrt(2) sqrt(5 / 4)).
    assert better == pytest.approx(stats.t.cdf(2 / (2 * 1.25) ** 0.5, 3))
    # The interval's ends are where the t that was seen, 2 sqrt(2), has a tail of 2.5 %.
    seen = 2 * 2**0.5
    for end, tail in ((low, 0.975), (high, 0.025)):
        shift = 2 * stats.norm.ppf(end)
        assert stats.nct.cdf(seen, 3, shift) == pytest.approx(tail, abs=1e-5)
    assert low < better < high


def test_the_next_pair_turns_with_the_sides_and_has_gaps():
    differences = np.array([[0.01, 0.03, -0.01], [-0.01, -0.03, 0.01], [0.0, 0.0, 0.0]])
    better, low, high = pair_probability(differences)
    assert better[0] == pytest.approx(1 - better[1])
    assert low[0] == pytest.approx(1 - high[1], abs=1e-6)
    assert np.isnan([better[2], low[2], high[2]]).all()
    assert all(np.isnan(value) for value in pair_probability([0.3]))


def test_the_probability_of_improvement_is_mann_and_whitneys_share():
    rng = np.random.default_rng(0)
    ours, base = rng.integers(0, 9, 7), rng.integers(0, 9, 5)  # with ties
    u = stats.mannwhitneyu(ours, base).statistic
    assert probability_of_improvement(ours, base) == pytest.approx(u / 35)
    with pytest.raises(ValueError, match="run on each side"):
        probability_of_improvement([], [1])


def test_what_slows_down_a_whole_round_cancels():
    base = np.array([1.0, 1.3, 0.9])
    seen = ratio_interval(2 * base, base)
    assert np.isnan(seen.low)
    assert seen.estimate == pytest.approx(2)
    seen = ratio_interval(base * [2.0, 2.1, 1.9], base)
    logs = np.log([2.0, 2.1, 1.9])
    t = stats.ttest_1samp(logs, 0).confidence_interval()
    assert (seen.low, seen.high) == pytest.approx((np.exp(t.low), np.exp(t.high)))
    assert seen.about == ROUNDS
    with pytest.raises(ValueError, match="above 0"):
        ratio_interval([0.0], [1.0])


def test_holms_p_values_by_hand_and_as_statsmodels_has_them():
    # Four tests at 0.01, 0.04, 0.03, 0.005: times 3, 1, 2, 4, never below the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    p = np.random.default_rng(0).uniform(0, 0.3, (6, 9))
    expected = [multipletests(row, method="holm")[1] for row in p]
    assert holm(p) == pytest.approx(np.array(expected))


def test_what_has_no_p_value_is_no_part_of_the_family():
    seen = holm([0.01, np.nan, 0.04])
    assert seen[[0, 2]] == pytest.approx([0.02, 0.04])
    assert np.isnan(seen[1])
    assert np.isnan(holm([np.nan, np.nan])).all()


def some_correct(num_seeds=3, num_images=500, names=("A", "B", "C"), gaps=()):
    rng = np.random.default_rng(3)
    image = rng.normal(0, 1, num_images)
    quality = np.arange(len(names))[:, None, None] * 0.3
    noise = rng.normal(0, 1, (len(names), num_seeds, num_images))
    known = np.ones((len(names), num_seeds), dtype=bool)
    for variant, seed in gaps:
        known[variant, seed] = False
    bits = (quality + image + noise > 0) & known[..., None]
    return Correctness(tuple(names), tuple(range(num_seeds)), bits, known, "f" * 64)


def test_a_row_for_each_pair_with_the_later_variant_as_ours():
    table = pairs_table(some_correct())
    assert list(zip(table["base"], table["variant"], strict=True)) == [
        ("A", "B"), ("A", "C"), ("B", "C"),
    ]  # fmt: skip
    assert (table["difference_points"] > 0).all()
    assert (table["n"] == 3).all()
    # Images on top of seeds: never shorter. Corrected: never smaller.
    assert (table["all_low_points"] <= table["seeds_low_points"]).all()
    assert (table["all_holm_p"] >= table["all_p"]).all()
    assert table["networks_p"].isna().all()


def test_a_pairs_figures_are_students_on_the_seeds_that_both_have():
    correct = some_correct(4, gaps=[(1, 0)])
    row = pairs_table(correct, [("C", "B")]).iloc[0]
    accuracies = 100 * correct.bits_VSN.mean(axis=2)[:, 1:]
    test = stats.ttest_rel(accuracies[2], accuracies[1])
    assert row["n"] == 3
    assert row["seeds_p"] == pytest.approx(test.pvalue)
    ends = test.confidence_interval()
    assert (row["seeds_low_points"], row["seeds_high_points"]) == pytest.approx(tuple(ends))
    assert row["mean_better_seeds"] == pytest.approx(stats.t.cdf(test.statistic, 2))


def test_one_seed_has_mcnemars_p_and_the_interval_of_the_test_images_alone():
    correct = some_correct(1, 200)
    row = pairs_table(correct, [("C", "A")]).iloc[0]
    counts = discordant(correct.bits_VSN[2, 0], correct.bits_VSN[0, 0])
    assert row["networks_p"] == pytest.approx(stats.binomtest(counts[0], sum(counts)).pvalue)
    assert row["networks_low_points"] < row["difference_points"] < row["networks_high_points"]
    gaps = ["seeds_p", "all_p", "seeds_low_points", "all_high_points", "pair_better", "std_points"]
    assert row[gaps].isna().all()


def test_no_common_seed_is_a_row_of_gaps():
    row = pairs_table(some_correct(2, names="AB", gaps=[(0, 0), (1, 1)])).iloc[0]
    assert row["n"] == 0
    assert np.isnan(row["difference_points"])


def test_two_names_of_one_network_are_equal_for_sure():
    correct = some_correct(3, names=("A", "B"))
    correct.bits_VSN[1] = correct.bits_VSN[0]
    row = pairs_table(correct).iloc[0]
    assert (row["all_low_points"], row["all_high_points"], row["all_holm_p"]) == (0, 0, 1)
    assert row["mean_better_seeds"] == 0.5


def test_the_bootstrap_draws_whole_images():
    # One seed: nothing but images. The binomial error of 0.62 on 400 images is 0.02427.
    bits = (np.arange(400) < 248)[None]
    seen = crossed_bootstrap(bits, 4000, np.random.default_rng(0))
    assert (seen.high - seen.low) / 2 == pytest.approx(1.96 * 0.02427, rel=0.06)
    # Two seeds and images that are all alike: the means of two seeds drawn from two.
    bits = np.array([[1] * 50, [0] * 50])
    seen = crossed_bootstrap(bits, 1000, np.random.default_rng(0))
    assert (seen.low, seen.estimate, seen.high) == (0, 0.5, 1)
