"""The recipes of one network are compared like networks."""

import pandas as pd
import pytest

from resnest_bench.comparisons.recipes import compare_recipes, list_recipe_comparisons, recipe_jobs
from resnest_bench.errors import UserError
from resnest_bench.results import StudyResults
from resnest_bench.specs.differences import DifferencesSpec
from support.records_factory import make_study, write_study


@pytest.fixture
def results(tmp_path):
    study = make_study()
    paths = study.paths(tmp_path)
    write_study(study, paths)
    return StudyResults(study, paths)


def test_each_pair_of_recipes_of_a_network_is_a_row(results):
    (comparison,) = list_recipe_comparisons(results.spec)
    recipes = [experiment.recipe for experiment in comparison.experiments]
    assert len(recipes) > 1
    jobs = recipe_jobs(results.spec, comparison)
    assert {job.recipe for job in jobs} == set(recipes)
    found = compare_recipes(comparison, results.read_outcomes(jobs), DifferencesSpec())
    for row in found.pairs.itertuples():
        variant, recipe = row.variant.rsplit(", ", 1)
        base_variant, base_recipe = row.base.rsplit(", ", 1)
        assert variant == base_variant
        assert recipe != base_recipe
        assert {recipe, base_recipe} <= set(recipes)
    assert len(found.standings) == len(comparison.rows)


def test_the_table_is_of_each_dataset_or_of_one(results):
    table = results.recipe_differences()
    assert len(table)
    dataset = table["dataset"].iloc[0]
    pd.testing.assert_frame_equal(results.recipe_differences(dataset), table)
    assert len(results.recipe_differences("low")) == (table["dataset"] == "low").sum()
    with pytest.raises(UserError, match="dataset"):
        results.recipe_differences("gone")


def test_a_study_of_one_recipe_has_none(tmp_path):
    study = make_study(finetune=[])
    assert list_recipe_comparisons(study) == []
