import numpy as np
import pytest
from scipy import stats

from resnest_bench.comparisons.pairs import MARGIN_COLUMNS, pairs_table
from resnest_bench.frames.correctness import Correctness
from resnest_bench.specs.differences import DifferencesSpec
from resnest_bench.stats.multiplicity import closed_pairs, holm
from resnest_bench.stats.paired import count_discordant

PAIRED = DifferencesSpec(method="paired_t")


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
        ("A", "B"),
        ("A", "C"),
        ("B", "C"),
    ]
    assert (table["difference_points"] > 0).all()
    assert (table["n"] == 3).all()
    # Images on top of seeds: never shorter. Corrected: never smaller.
    assert (table["all_low_points"] <= table["seeds_low_points"]).all()
    assert (table["all_corrected_p"] >= table["all_p"]).all()
    assert table["networks_p"].isna().all()


def test_a_pairs_figures_are_students_on_the_seeds_that_both_have():
    correct = some_correct(4, gaps=[(1, 0)])
    row = pairs_table(correct, [("C", "B")], PAIRED).iloc[0]
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
    counts = count_discordant(correct.bits_VSN[2, 0], correct.bits_VSN[0, 0])
    assert row["networks_p"] == pytest.approx(stats.binomtest(counts[0], sum(counts)).pvalue)
    assert row["networks_low_points"] < row["difference_points"] < row["networks_high_points"]
    gaps = ["seeds_p", "all_p", "seeds_low_points", "all_high_points", "pair_better", "std_points"]
    assert row[gaps].isna().all()


def test_no_common_seed_is_a_row_of_gaps():
    row = pairs_table(some_correct(2, names="AB", gaps=[(0, 0), (1, 1)]), None, PAIRED).iloc[0]
    assert row["n"] == 0
    assert np.isnan(row["difference_points"])


def test_two_seeds_show_both_differences_and_test_nothing():
    correct = some_correct(2)
    table = pairs_table(correct)
    accuracies = 100 * correct.bits_VSN.mean(axis=2)
    expected = (accuracies[1] - accuracies[0]).tolist()
    assert table["seed_differences_points"][0] == pytest.approx(expected)
    gaps = [
        "seeds_p",
        "all_p",
        "all_corrected_p",
        "seeds_low_points",
        "all_high_points",
        "mean_better_all",
        "mean_better_seeds",
        "pair_better",
        "pair_better_low",
    ]
    assert table[gaps].isna().all(axis=None)
    assert table["difference_points"].notna().all()


def test_two_names_of_one_network_are_equal_on_these_images_and_no_interval_is_for_new_seeds():
    correct = some_correct(3, names=("A", "B"))
    correct.bits_VSN[1] = correct.bits_VSN[0]
    row = pairs_table(correct).iloc[0]
    assert row["all_corrected_p"] == 1
    gaps = ["all_low_points", "all_high_points", "seeds_low_points", "seeds_high_points"]
    assert row[gaps].isna().all()
    # Bonett and Price of no discordant image: 1.96 sqrt(2 / 502) / sqrt(502).
    assert row["networks_high_points"] == pytest.approx(100 * 1.959964 * 2**0.5 / 502)
    assert row["mean_better_seeds"] == 0.5


def test_welchs_test_takes_all_seeds_of_each_and_is_scipys_for_few_variants():
    correct = some_correct(6, names="AB", gaps=[(1, 0), (0, 5)])
    row = pairs_table(correct).iloc[0]
    accuracies = 100 * correct.bits_VSN.mean(axis=2)
    test = stats.ttest_ind(accuracies[1, 1:], accuracies[0, :5], equal_var=False)
    assert (row["variant_n"], row["base_n"], row["num_shared_seeds"]) == (5, 5, 4)
    # Seeds that rise and fall together can only make it more precise.
    assert row["seeds_p"] <= test.pvalue * (1 + 1e-9)
    assert row["difference_points"] == pytest.approx(
        accuracies[1, 1:].mean() - accuracies[0, :5].mean()
    )


def test_a_margin_gives_probabilities_of_worse_alike_and_better():
    without = pairs_table(some_correct())
    assert without[list(MARGIN_COLUMNS)].isna().all(axis=None)
    table = pairs_table(some_correct(), None, DifferencesSpec(margin=2.0))
    assert table[list(MARGIN_COLUMNS)].sum(axis=1).tolist() == pytest.approx([1, 1, 1])
    assert (table["probability_better"] <= table["mean_better_all"]).all()


@pytest.mark.parametrize("correction", ["closed", "holm", "fdr"])
def test_the_correction_is_the_one_that_the_study_names(correction):
    table = pairs_table(some_correct(), None, DifferencesSpec(correction=correction))
    p = table["all_p"].to_numpy()
    expected = {
        "closed": closed_pairs(p, [(1, 0), (2, 0), (2, 1)]),
        "holm": holm(p),
        "fdr": stats.false_discovery_control(p),
    }[correction]
    assert table["all_corrected_p"].tolist() == pytest.approx(expected.tolist())
