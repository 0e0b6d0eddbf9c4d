"""The gain of a teacher, from records whose accuracies are chosen."""

import pandas as pd
import pytest

from resnest_bench import records
from resnest_bench.results import StudyResults
from support.records_factory import CONFIG, make_record, make_study

QUICK = CONFIG["recipes"]["quick"]
RECIPES = {
    **CONFIG["recipes"],
    "taught": {**QUICK, "teacher": {"train": "low/quick", "variant": "T"}},
    "longer": {**QUICK, "epochs": 3, "teacher": {"train": "low/quick", "variant": "T"}},
}
ACCURACIES = {
    "quick": {"A": 0.60, "B": 0.70, "T": 0.80},
    "taught": {"A": 0.66},
    "longer": {"B": 0.5},
}


@pytest.fixture
def study():
    train = [
        {"dataset": "low", "recipe": "quick"},
        {"dataset": "low", "recipe": "taught", "variants": ["A"]},
        {"dataset": "low", "recipe": "longer", "variants": ["B"]},
    ]
    return make_study(recipes=RECIPES, train=train, latency=[], finetune=[], tables={})


@pytest.fixture
def results(study, tmp_path):
    paths = study.paths(tmp_path)
    for job in study.jobs():
        accuracy = ACCURACIES[job.recipe][job.variant] + 0.01 * job.seed
        if job.recipe == "taught" and job.seed == 2:
            continue
        records.write(paths.record(job), make_record(study, job, accuracy=accuracy))
    return StudyResults(study, paths)


def test_the_gain_is_over_the_same_recipe_without_a_teacher(results):
    table = results.distillation.set_index("variant")
    taught = table.loc["A"]
    assert (taught["recipe"], taught["teacher"], taught["base_recipe"]) == ("taught", "T", "quick")
    assert taught["gain_n"] == 2
    assert taught["gain_mean_points"] == pytest.approx(6)
    assert taught["teacher_accuracy_mean_percent"] == pytest.approx(81)
    assert "seed 2 missing" in taught["status"]


def test_without_such_a_recipe_there_is_no_gain_and_the_reason(results):
    row = results.distillation.set_index("variant").loc["B"]
    assert pd.isna(row["gain_mean_points"])
    assert pd.isna(row["base_recipe"])
    assert "the same recipe without a teacher" in row["status"]


def test_a_study_without_teachers_has_no_table(tmp_path):
    plain = make_study()
    results = StudyResults(plain, plain.paths(tmp_path))
    assert len(results.distillation) == 0
    assert "distillation" not in results.tables
