import math

import numpy as np
import pytest
from scipy import stats

from resnest_bench.comparisons.differences import (
    ABOVE,
    BELOW,
    MAX_EVERY,
    NETWORKS,
    UNDECIDED,
    UNTESTED,
    compute_differences,
    difference_jobs,
    find_trainings,
    list_pairs,
    main_trainings,
    median_detectable_difference,
)
from resnest_bench.comparisons.pairs import DEFAULT
from resnest_bench.report.differences import (
    count_significant,
    describe_power,
    differences_caption,
    differences_display,
    differences_notes,
)
from resnest_bench.specs.differences import DifferencesSpec
from resnest_bench.stats.multiplicity import closed_pairs
from support.claims_study import TRAIN, claims_study, make_outcomes, trained

NUM_IMAGES = 2000


def bits(accuracies, num_images=NUM_IMAGES, seed=0):
    """Booleans (seeds, images): each seed gets its accuracy right to an image, on images of its own."""
    rng = np.random.default_rng(seed)
    rows = np.zeros((len(accuracies), num_images), dtype=bool)
    for row, accuracy in zip(rows, accuracies, strict=True):
        row[rng.permutation(num_images)[: round(accuracy * num_images)]] = True
    return rows


def compared(by_variant, base=None, stale=(), spec=DEFAULT, **changes):
    study = claims_study(**changes)
    made = trained(study, by_variant)
    experiment = find_trainings(study, TRAIN)
    asked = set(difference_jobs(study, experiment))
    found = [o for o in make_outcomes(study, made, stale) if o.job in asked]
    return compute_differences(experiment, found, base, spec)


def pair(found, variant, base):
    rows = found.pairs
    return rows[(rows["variant"] == variant) & (rows["base"] == base)].iloc[0]


FAR = {
    "A": bits([0.50, 0.51, 0.49, 0.50, 0.50], seed=1),
    "B": bits([0.70, 0.705, 0.70, 0.695, 0.70], seed=2),
    "T": bits([0.50, 0.505, 0.495, 0.50, 0.51], seed=3),
}


def test_a_large_difference_is_significant_and_a_small_one_is_not():
    found = compared(FAR)
    assert pair(found, "B", "A")["verdict"] == ABOVE
    assert pair(found, "T", "B")["verdict"] == BELOW
    assert pair(found, "T", "A")["verdict"] == UNDECIDED
    assert pair(found, "B", "A")["difference_points"] == pytest.approx(20.0)
    assert count_significant(found.pairs) == "2 of 3 differences are significant"
    assert found.accuracies["variant"].tolist() == ["A", "B", "T"]


def test_the_correction_is_over_the_pairs_of_the_table():
    every, two = compared(FAR), compared(FAR, base="A")
    assert len(every.pairs) == 3
    assert len(two.pairs) == 2
    one, other = pair(every, "B", "A"), pair(two, "B", "A")
    assert one["all_p"] == other["all_p"]
    assert one["all_corrected_p"] == max(
        closed_pairs(every.pairs["all_p"].to_numpy(), [(0, 1), (0, 2), (1, 2)])[
            (every.pairs["variant"].eq("B") & every.pairs["base"].eq("A")).to_numpy()
        ]
    )
    paired = compared(FAR, spec=DifferencesSpec(method="paired_t", correction="holm"))
    assert pair(paired, "B", "A")["all_p"] > one["all_p"]


def test_each_is_compared_with_the_base_that_was_asked_for():
    found = compared(FAR, base="T")
    assert set(found.pairs["base"]) == {"T"}
    assert found.pairs["variant"].tolist() == ["A", "B"]
    missing = compared({"A": FAR["A"], "B": FAR["B"]}, base="T")
    assert not len(missing.pairs)
    assert any("T has no training" in note for note in missing.notes)


def test_many_variants_are_compared_with_the_first_alone():
    few, many = [f"v{i}" for i in range(MAX_EVERY)], [f"v{i}" for i in range(MAX_EVERY + 1)]
    assert len(list_pairs(few)) == MAX_EVERY * (MAX_EVERY - 1) / 2
    assert list_pairs(many) == [(name, "v0") for name in many[1:]]
    assert list_pairs(["a", "b"]) == [("b", "a")]


def test_one_seed_compares_two_networks_by_mcnemars_test():
    a, b = bits([0.50], seed=1), bits([0.70], seed=2)
    found = compared({"A": a, "B": b}, seeds=[0])
    row = pair(found, "B", "A")
    only_b, only_a = int((b & ~a).sum()), int((a & ~b).sum())
    expected = stats.binomtest(min(only_a, only_b), only_a + only_b, 0.5).pvalue
    assert row["networks_corrected_p"] == pytest.approx(expected)
    assert row["verdict"] == NETWORKS[ABOVE]
    assert np.isnan(row["all_p"])
    assert "two networks, not two variants" in row["status"]
    assert differences_display(found.pairs).iloc[0]["n"] == "1, these networks"
    # No count of pairs of variants: two seeds, which decide nothing, must not look less sure.
    assert "1 pair of trained networks" in count_significant(found.pairs)
    assert "significant" not in count_significant(found.pairs)
    assert describe_power(found.pairs) == ""


def test_the_least_detectable_difference_is_that_of_the_test():
    # Images that all networks have alike leave no error of their own, so that the seeds' is all.
    found = compared(FAR, spec=DifferencesSpec(method="paired_t"))
    row = pair(found, "T", "A")
    per_seed = 100 * (FAR["T"].mean(axis=1) - FAR["A"].mean(axis=1))
    sd, n = per_seed.std(ddof=1), 5
    # Power of the two-sided paired t-test at that difference, by the noncentral t.
    shift = row["least_detectable_points"] / (sd / math.sqrt(n))
    critical = stats.t.ppf(1 - 0.025 / 3, n - 1)
    power = stats.nct.sf(critical, n - 1, shift) + stats.nct.cdf(-critical, n - 1, shift)
    # The images' part makes it need a larger difference, never a smaller one.
    assert power >= 0.80 - 1e-3
    assert median_detectable_difference(found.pairs)[0] == 5
    assert "With 5 seeds" in describe_power(found.pairs)


def test_seeds_needed_are_few_for_a_large_difference_and_none_for_no_difference():
    found = compared(FAR)
    large, small = pair(found, "B", "A"), pair(found, "T", "A")
    assert large["seeds_needed"] <= 3
    # 2,000 images leave a standard error of a point or more: 0.2 points are below what they can tell.
    assert small.isna()["seeds_needed"]
    assert small["difference_points"] == pytest.approx(0.2)
    same = compared({"A": FAR["A"], "B": FAR["A"]})
    row = pair(same, "B", "A")
    assert row["verdict"] == UNDECIDED
    assert row["all_p"] == 1
    assert "not for new seeds" in row["status"]
    assert row[["all_low_points", "all_high_points"]].isna().all()
    assert row.isna()["seeds_needed"]
    assert row.isna()["least_detectable_points"]


def test_who_has_no_result_is_named_and_the_others_are_compared():
    study = claims_study()
    made = trained(study, {"A": FAR["A"], "B": FAR["B"]})
    experiment = find_trainings(study, TRAIN)
    found = compute_differences(experiment, make_outcomes(study, made))
    assert len(found.pairs) == 1
    left_out = set(experiment.variants) - {"A", "B"}
    assert left_out
    assert all(any(name in note for note in found.notes) for name in left_out)


def test_stale_records_count_only_without_others_and_are_marked():
    study = claims_study()
    made = trained(study, {"A": FAR["A"], "B": FAR["B"]})
    first = [job for job in made if job.variant == "A" and job.seed < 2]
    every = [job for job in made if job.variant == "B"]
    found = compute_differences(
        find_trainings(study, TRAIN), make_outcomes(study, made, [*first, *every])
    )
    row = found.pairs.iloc[0]
    assert row["n"] == 3
    assert row["stale"]
    assert found.accuracies.set_index("variant").loc["A", "n"] == 3
    assert any(note.startswith("(stale)") for note in differences_notes(found))


def test_data_that_differs_is_not_compared():
    study = claims_study()
    made = trained(study, {"A": FAR["A"]}) | trained(study, {"B": bits([0.5] * 5, 100)})
    found = compute_differences(find_trainings(study, TRAIN), make_outcomes(study, made))
    assert not len(found.pairs)
    assert any("nothing is compared" in note for note in found.notes)
    assert "nothing to compare" in str(differences_caption(found, study))


def test_a_pair_without_a_common_seed_is_not_tested():
    study = claims_study()
    made = trained(study, {"A": FAR["A"], "B": FAR["B"]})
    kept = {j: r for j, r in made.items() if (j.seed < 2) == (j.variant == "A")}
    spec = DifferencesSpec(method="paired_t")
    found = compute_differences(
        find_trainings(study, TRAIN), make_outcomes(study, kept), None, spec
    )
    row = found.pairs.iloc[0]
    assert (row["verdict"], row["n"], row["status"]) == (UNTESTED, 0, "no common seed")
    assert count_significant(found.pairs) == "None of 1 pair is tested"


def test_two_seeds_reach_no_verdict_and_both_differences_are_shown():
    # A difference of 30 points that t with one degree of freedom would call significant.
    found = compared({"A": bits([0.5, 0.51], seed=1), "B": bits([0.8, 0.805], seed=2)})
    row = found.pairs.iloc[0]
    assert (row["verdict"], row["n"]) == (UNTESTED, 2)
    assert row[["all_p", "all_low_points", "least_detectable_points"]].isna().all()
    assert row["seeds_needed"] == 3
    values = ", ".join(f"{value:+.2f}" for value in row["seed_differences_points"])
    shown = differences_display(found.pairs).iloc[0]
    assert shown["difference (points)"] == values
    assert (shown["P(better)"], shown["corrected p"]) == ("–", "–")
    assert "no test" in row["status"]
    assert "third seed" in describe_power(found.pairs)
    assert count_significant(found.pairs) == "None of 1 pair is tested"


def test_differences_without_a_spread_are_not_tested_and_say_so():
    found = compared({"A": bits([0.5] * 5, seed=1), "B": bits([0.6] * 5, seed=2)})
    row = found.pairs.iloc[0]
    assert row["verdict"] == UNTESTED
    assert "spread" in row["status"]


def test_the_main_experiment_is_the_ablations_and_else_a_fine_tuning(study):
    assert main_trainings(study).experiment.kind == "train"
    assert main_trainings(study).variants
    tuned = claims_study(
        train=[],
        claims=[],
        tables={},
        finetune=[
            {"dataset": "high", "recipes": ["tune"], "weights": {"A": {"file": "a.safetensors"}}}
        ],
    )
    chosen = main_trainings(tuned)
    assert chosen.experiment == ("finetune", "high", "tune")
    assert chosen.variants == ("A",)
