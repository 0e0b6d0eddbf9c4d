"""Other measures than accuracy: their values from records with predictions, compared over seeds."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from resnest_bench import records
from resnest_bench.comparisons.differences import (
    ABOVE,
    BELOW,
    UNDECIDED,
    UNTESTED,
    find_trainings,
)
from resnest_bench.comparisons.scores import (
    ScoreValues,
    collect_scores,
    score_pairs,
    scores_table,
)
from resnest_bench.errors import UserError
from resnest_bench.paths import Experiment, Job
from resnest_bench.report.differences import count_significant, differences_display
from resnest_bench.results import StudyResults
from resnest_bench.specs.differences import DifferencesSpec
from support.claims_study import claim
from support.predicted_study import LABELS, predicted_study, write_predicted
from support.records_factory import make_record, write_study

PAIRED = DifferencesSpec(method="paired_t", correction="holm")
TRAIN = Experiment("train", "low", "quick")
VALUES = {
    "A": [60.0, 62.0, 61.0, 60.5],
    "B": [70.0, 71.0, 70.5, 71.5],
    "T": [60.2, 61.7, 61.1, 60.6],
}
CLAIMS = [
    claim("greater", metric="balanced_accuracy", name="better", a=["T"], b=["A"]),
    claim("greater", metric="brier_score", name="worse", a=["A"], b=["T"]),
    claim("within", metric="macro_f1", name="level", a="T", value=75, margin=25),
    claim("within", metric="cohen_kappa", name="kappa", a="T", value=0.5, margin=0.45),
    claim("equivalent", metric="roc_auc", name="alike", a="A", b="T", margin=60),
    claim("greater", metric="top5_accuracy", name="three-classes", a=["T"], b=["A"]),
]


def make_values(metric="macro_f1", stale=(), **by_variant):
    values = {name: dict(enumerate(row)) for name, row in (by_variant or VALUES).items()}
    return ScoreValues(metric, values, frozenset(stale), 100, "Some data", ())


def test_a_mean_over_seeds_with_students_interval_within_its_bounds():
    table = scores_table(make_values()).set_index("variant")
    row = table.loc["A"]
    assert (row["n"], row["unit"], row["better"]) == (4, "%", "higher")
    mean = np.mean(VALUES["A"]) / 100
    step = stats.sem(np.array(VALUES["A"]) / 100) * stats.t.ppf(0.975, 3) / (mean * (1 - mean))
    logit = np.log(mean / (1 - mean))
    limits = [100 / (1 + np.exp(-(logit + sign * step))) for sign in (-1, 1)]
    assert (row["low"], row["high"]) == pytest.approx(tuple(limits))
    sure = scores_table(make_values("cohen_kappa", A=[0.99, 0.999, 0.97])).iloc[0]
    assert sure["high"] < 1
    assert (sure["unit"], sure["low"] > -1) == ("kappa", True)


def test_pairs_are_the_paired_t_with_holm_where_the_study_asks_for_it():
    pairs = [("B", "A"), ("T", "A"), ("T", "B")]
    table = score_pairs(make_values(stale=["T"]), pairs, PAIRED)
    p = [stats.ttest_rel(VALUES[ours], VALUES[base]).pvalue for ours, base in pairs]
    assert table["p"].tolist() == pytest.approx(p)
    order = np.sort(p) * [3, 2, 1]
    assert np.sort(table["corrected_p"]).tolist() == pytest.approx(
        np.minimum(np.maximum.accumulate(order), 1)
    )
    assert table["verdict"].tolist() == [ABOVE, UNDECIDED, BELOW]
    assert table["stale"].tolist() == [False, True, True]
    gaps = np.subtract(VALUES["B"], VALUES["A"])
    low, high = stats.t.interval(0.95, 3, gaps.mean(), stats.sem(gaps))
    assert (table.loc[0, "low"], table.loc[0, "high"]) == pytest.approx((low, high))
    assert table.loc[0, "seeds_needed"] >= 3
    assert table.loc[0, "unit"] == "points"


def test_pairs_are_welchs_t_by_default():
    """Of three variants, too few to moderate: scipy's test of independent samples, seeds shared or not."""
    values = make_values()
    values.by_variant["B"] = {seed + 10: value for seed, value in values.by_variant["B"].items()}
    row = score_pairs(values, [("B", "A")]).iloc[0]
    expected = stats.ttest_ind(VALUES["B"], VALUES["A"], equal_var=False)
    assert row["p"] == row["corrected_p"] == pytest.approx(expected.pvalue)
    assert (row["low"], row["high"]) == pytest.approx(tuple(expected.confidence_interval()))
    assert (row["n"], row["num_shared_seeds"]) == (4, 0)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_below_three_common_seeds_nothing_is_tested(n):
    found = make_values(A=[1.0, 2.0, 3.0][:n] or [1.0], B=[2.0, 2.5, 4.0])
    if n == 0:
        found.by_variant["A"] = {9: 1.0}
    (row,) = score_pairs(found, [("B", "A")], PAIRED).to_dict("records")
    assert (row["n"], row["verdict"]) == (n, UNTESTED)
    assert row["status"] != "ok"
    assert pd.isna(row["low"])


def test_seeds_that_all_differ_alike_have_no_spread():
    values = make_values(A=[1, 2, 3], B=[2, 3, 4])
    (row,) = score_pairs(values, [("B", "A")], PAIRED).to_dict("records")
    assert row["verdict"] == UNTESTED
    assert "spread" in row["status"]


@pytest.fixture(scope="module")
def predicted(tmp_path_factory):
    """Results of a study whose headline is the balanced accuracy."""
    study = predicted_study(*CLAIMS, headline_metric="balanced_accuracy")
    paths = study.paths(tmp_path_factory.mktemp("results"))
    write_predicted(study, paths)
    return StudyResults(study, paths)


def test_values_come_from_the_records(predicted):
    found = collect_scores(find_trainings(predicted.spec, TRAIN), predicted.runs, "macro_f1")
    rows = predicted.runs.set_index(["kind", "recipe", "variant", "seed"])
    assert found.by_variant["A"][2] == 100 * rows.loc[("train", "quick", "A", 2), "macro_f1"]
    assert (found.num_images, found.notes) == (len(LABELS), ())


def test_every_measure_is_in_the_table_of_scores(predicted):
    scores = predicted.scores()
    assert set(scores["metric"]) == {
        "accuracy",
        "balanced_accuracy",
        "macro_f1",
        "roc_auc",
        "calibration_error",
        "cohen_kappa",
        "nll",
        "brier_score",
    }, "three classes have no top-5"
    pairs = predicted.score_differences()
    assert set(pairs["metric"]) == set(scores["metric"])
    assert predicted.score_differences(base="A")["base"].eq("A").all()


def test_differences_follow_the_headline_metric(predicted):
    row = predicted.differences(base="A").set_index("variant").loc["B"]
    mean = predicted.runs.query("kind == 'train'").groupby("variant")["balanced_accuracy"].mean()
    assert row["metric"] == "balanced_accuracy"
    assert row["difference_points"] == pytest.approx(100 * (mean["B"] - mean["A"]))
    assert pd.isna(row["all_p"])
    assert row["verdict"] == (ABOVE if row["seeds_corrected_p"] <= 0.05 else UNDECIDED)
    text = differences_display(predicted.differences()).iloc[0]
    assert "[" in text["difference (points)"], "the interval over seeds is shown"
    assert count_significant(predicted.differences())
    assert predicted.accuracies()["metric"].eq("balanced_accuracy").all()


def test_claims_about_other_measures_are_judged_over_seeds(predicted):
    table = predicted.claims().set_index("name")
    assert table["verdict"].to_dict() == {
        "better": "undecided",
        "worse": "supported",
        "level": "supported",
        "kappa": "supported",
        "alike": "supported",
        "three-classes": "untested",
    }
    units = {"better": "points", "worse": "Brier", "level": "%", "kappa": "kappa"}
    assert table.loc[list(units), "unit"].to_dict() == units
    assert table.loc["better", "n"] == 4
    assert table.loc["better", "num_test"] == len(LABELS)
    assert "new images" in table.loc["better", "explanation"]


def test_records_of_before_have_accuracy_and_nll_and_say_that_the_rest_is_not_kept(tmp_path):
    study = predicted_study(*CLAIMS, headline_metric="macro_f1")
    paths = study.paths(tmp_path)
    write_study(study, paths)
    results = StudyResults(study, paths)
    assert set(results.scores()["metric"]) == {"accuracy", "nll"}
    differences = results.main_differences
    assert len(differences.pairs) == 0
    assert any("not kept" in note for note in differences.notes)
    assert set(results.claims()["verdict"]) == {"untested"}
    assert results.claims()["explanation"].str.contains("not kept").all()


def test_a_base_without_a_value_is_named(tmp_path):
    study = predicted_study(headline_metric="macro_f1", tables={})
    paths = study.paths(tmp_path)
    write_predicted(study, paths, [Job(*TRAIN, name, seed) for name in "AB" for seed in range(4)])
    job = Job(*TRAIN, "T", 0)
    records.write(paths.record(job), make_record(study, job))
    results = StudyResults(study, paths)
    found = results.compare(find_trainings(study, TRAIN), "T")
    assert len(found.pairs) == 0
    assert any(note.startswith("T has no macro_f1") for note in found.notes)
    with pytest.raises(UserError):
        results.differences(base="Z")
