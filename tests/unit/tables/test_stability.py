"""Failed seeds, two groups and the best epoch's optimism, from records whose accuracies are chosen."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from resnest_bench import records
from resnest_bench.formats import row_dicts
from resnest_bench.report.stability import failure_warning, spread_notes, stability_display
from resnest_bench.results import StudyResults
from support.records_factory import make_failed_record, make_record, make_study, with_counts

NAMES = ["A", "B", "T", "C", "D"]
GOOD = [60.0, 61.0, 60.5, 59.8, 60.2, 60.7]
ACCURACIES = {
    "A": GOOD,
    "B": [60.0, 61.0, 31.0, 59.8, 60.2, 60.7],
    "T": [61.0, 40.1, 60.8, 40.5, 61.2, 60.9],
    "C": GOOD,
    "D": GOOD,
}
VARIANTS = [
    {"name": name, "family": "resnest", "layers": [1], "radix": 0, "width": 16, "stem": "small"}
    for name in NAMES
]


def make(seeds=range(6)):
    return make_study(
        seeds=list(seeds), variants=VARIANTS, latency=[], finetune=[], tables={"ablation": {}}
    )


def write(study, folder, accuracies=ACCURACIES, **fields):
    paths = study.paths(folder)
    for job in study.jobs():
        accuracy = accuracies[job.variant][job.seed] / 100
        record = make_record(study, job, accuracy=accuracy, num_test=1000, **fields)
        records.write(paths.record(job), record)
    return paths


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    study = make()
    return StudyResults(study, write(study, tmp_path_factory.mktemp("stability")))


def test_a_failed_seed_is_named_and_figures_are_given_with_and_without_it(results):
    row = results.stability.set_index("variant").loc["B"]
    values = np.array(ACCURACIES["B"])
    rest = np.delete(values, 2)
    assert row["failed_seeds"] == [2]
    assert (row["n"], row["n_without_failed"]) == (6, 5)
    assert row["accuracy_mean_percent"] == pytest.approx(values.mean())
    assert row["accuracy_median_percent"] == pytest.approx(np.median(values))
    assert row["accuracy_iqm_percent"] == pytest.approx(stats.trim_mean(values, 0.25))
    assert row["without_failed_mean_percent"] == pytest.approx(rest.mean())
    assert row["without_failed_std_points"] == pytest.approx(rest.std(ddof=1))
    assert "seed 2" in row["status"]


def test_two_groups_are_named_with_their_distance(results):
    row = results.stability.set_index("variant").loc["T"]
    assert row["failed_seeds"] == []
    assert row["lower_group_seeds"] == [1, 3]
    assert row["group_gap_points"] == pytest.approx(60.975 - 40.3)
    assert row["groups_p"] < 0.01


def test_seeds_that_agree_have_no_flag(results):
    row = results.stability.set_index("variant").loc["A"]
    assert (row["failed_seeds"], row["lower_group_seeds"], row["status"]) == ([], [], "ok")
    assert row["best_epoch_optimism_points"] == 0


def test_tables_and_comparisons_name_failed_seeds_and_include_them(results):
    status = results.ablation.set_index("variant")["status"]
    assert "seed 2" in status["B"]
    assert status["A"] == "ok"
    mean = results.ablation.set_index("variant")["accuracy_mean_percent"]
    assert mean["B"] == pytest.approx(np.mean(ACCURACIES["B"]))
    assert any("B" in note and "seed 2" in note for note in results.main_differences.notes)


def test_readers_see_the_flags_and_a_warning(results):
    display = stability_display(results.stability).set_index("variant")
    assert display.loc["B", "failed seeds"] == "2"
    assert display.loc["B", "without: mean %"] == "60.34"
    assert len(spread_notes(results.stability)) == 2
    warning = failure_warning(results.stability)
    assert "B (quick)" in warning
    assert "A (quick)" not in warning
    assert failure_warning(results.stability.query("variant == 'A'")) == ""


def test_a_few_seeds_flag_nothing_but_chance(tmp_path):
    study = make(range(3))
    paths = write(study, tmp_path, {name: [60.0, 61.0, 40.0] for name in NAMES})
    job = study.jobs()[2]
    record = make_record(study, job, accuracy=0.4, num_test=1000)
    records.write(paths.record(job), with_counts(record, [400, 300, 300], [1000, 0, 0]))
    table = StudyResults(study, paths).stability.set_index("variant")
    assert table.loc["A", "failed_seeds"] == [2]
    assert table.loc["A", "without_failed_mean_percent"] == pytest.approx(60.5)
    assert table.loc["B", "failed_seeds"] == []


def test_diverged_seeds_are_counted(tmp_path):
    study = make(range(2))
    paths = write(study, tmp_path)
    job = study.jobs()[1]
    records.write(
        paths.record(job), make_failed_record(job, study.job_spec(job), "the loss is not finite")
    )
    row = row_dicts(StudyResults(study, paths).stability)[0]
    assert (row["n"], row["num_diverged"]) == (1, 1)
    assert "seed 1" in row["status"]


def test_the_best_epoch_is_compared_with_the_last(tmp_path):
    study = make(range(1))
    paths = study.paths(tmp_path)
    job = study.jobs()[0]
    record = make_record(study, job, accuracy=0.5, num_test=100)
    best = record.train.epochs[0].model_copy(update={"test_accuracy": 0.53})
    epochs = [best, record.train.epochs[1]]
    train = record.train.model_copy(update={"epochs": epochs})
    records.write(paths.record(job), record.model_copy(update={"train": train}))
    row = row_dicts(StudyResults(study, paths).stability)[0]
    assert row["best_epoch_optimism_points"] == pytest.approx(3)


def test_a_study_without_results_has_rows_with_a_reason(tmp_path):
    study = make(range(2))
    table = StudyResults(study, study.paths(tmp_path)).stability
    assert table["n"].tolist() == [0] * 5
    assert not (table["status"] == "ok").any()
    assert pd.isna(table["accuracy_mean_percent"]).all()
