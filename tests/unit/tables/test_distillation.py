"""The gain of a teacher, from records whose accuracies are chosen."""

import pandas as pd
import pytest

from resnest_bench.results import StudyResults
from support.records_factory import make_study
from support.taught_study import taught_study, write_taught


@pytest.fixture
def results(tmp_path):
    return write_taught(taught_study(), tmp_path)


def test_the_gain_is_over_the_same_recipe_without_a_teacher(results):
    table = results.distillation.set_index("variant")
    taught = table.loc["A"]
    assert (taught["recipe"], taught["teacher"], taught["base_recipe"]) == ("taught", "T", "quick")
    assert taught["gain_n"] == 2
    assert taught["gain_mean_points"] == pytest.approx(6.5)
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
