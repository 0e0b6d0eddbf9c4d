"""Spread over seeds by source, and more seeds or test images, from records whose answers are chosen."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from resnest_bench import records
from resnest_bench.comparisons.variance import describe_half
from resnest_bench.report.stability import (
    COMPONENTS,
    SEEDS_OR_IMAGES,
    components_display,
    seeds_or_images_display,
    write_spread,
)
from resnest_bench.results import StudyResults
from resnest_bench.stats.variance import CorrectnessVariance, decompose_correctness
from support.records_factory import CONFIG, make_record, make_study

QUICK = CONFIG["recipes"]["quick"]
RECIPES = {
    **CONFIG["recipes"],
    "init_only": {**QUICK, "vary": ["init"]},
    "order_only": {**QUICK, "vary": ["order"]},
    "everything": {**QUICK, "vary": ["init", "order", "augmentation", "data"]},
    "longer": {**QUICK, "epochs": 3, "vary": ["init"]},
}
SPREAD = {"quick": 0.03, "init_only": 0.02, "order_only": 0.01, "everything": 0.04, "longer": 0.05}
NUM_TEST = 200


def answer(recipe, seed):
    """Booleans with a seed's effect on all images, and noise of single answers."""
    rng = np.random.default_rng([seed, sorted(SPREAD).index(recipe)])
    p = np.linspace(0.4, 0.8, NUM_TEST) + SPREAD[recipe] * (seed - 1)
    return rng.random(NUM_TEST) < p


def make(recipes=SPREAD, **changes):
    train = [{"dataset": "low", "recipe": name, "variants": ["A"]} for name in recipes]
    return make_study(recipes=RECIPES, train=train, latency=[], finetune=[], tables={}, **changes)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    study = make()
    paths = study.paths(tmp_path_factory.mktemp("variance"))
    for job in study.jobs():
        correct = answer(job.recipe, job.seed)
        record = make_record(study, job, accuracy=correct.mean(), num_test=NUM_TEST)
        train = record.train.model_copy(update={"test_correct": records.pack_bits(correct)})
        records.write(paths.record(job), record.model_copy(update={"train": train}))
    return StudyResults(study, paths)


def accuracies(recipe):
    return np.array([100 * answer(recipe, seed).mean() for seed in range(3)])


def test_recipes_that_differ_in_vary_are_compared(results):
    table = results.variance_components
    assert table["recipe"].tolist() == ["everything", "quick", "init_only", "order_only"]
    assert table["num_sources"].tolist() == [4, 3, 1, 1]
    whole = accuracies("everything").var(ddof=1)
    for recipe, row in table.set_index("recipe").iterrows():
        variance = accuracies(recipe).var(ddof=1)
        assert row["std_points"] == pytest.approx(variance**0.5)
        assert row["share_percent"] == pytest.approx(100 * variance / whole)
        low = (2 * variance / stats.chi2.ppf(0.975, 2)) ** 0.5
        assert row["std_low_points"] == pytest.approx(low)
    assert table.set_index("recipe").loc["init_only", "varies"] == "initial weights"


def test_the_test_sets_share_is_that_of_the_answers(results):
    table = results.seeds_or_images.set_index("recipe")
    assert set(table.index) == set(SPREAD)
    for recipe, row in table.iterrows():
        bits = np.stack([answer(recipe, seed) for seed in range(3)])
        parts = decompose_correctness(bits)
        assert row["std_points"] == pytest.approx(accuracies(recipe).std(ddof=1))
        expected = min(100 * parts.rest_variance / NUM_TEST / parts.observed_variance, 100)
        assert row["test_set_share_percent"] == pytest.approx(expected)
        assert (row["n"], row["num_images"]) == (3, NUM_TEST)


def test_the_advice_names_what_halves_the_interval():
    def advise(seed, image, rest, seeds=5, images=1000):
        parts = CorrectnessVariance(seed, image, rest, 1.0, seeds, images)
        half = parts.mean_variance(seeds, images) / 4
        by_seeds = (seed + rest / images) / (half - image / images)
        by_images = (image + rest / seeds) / (half - seed / seeds)
        needed = [x if x > 0 else math.inf for x in (by_seeds, by_images)]
        return describe_half(parts, *needed)

    assert advise(1e-3, 0.01, 0.1).startswith("more seeds: 24 seeds instead of 5")
    assert "no number of seeds" in advise(1e-6, 0.1, 0.1)
    assert "both" in advise(4e-4, 0.1, 0.1)
    assert "or 5,600 test images" in advise(1e-5, 1e-3, 0.1)
    assert describe_half(CorrectnessVariance(0.0, 0.0, 0.0, 0.0, 2, 9), 2, 9) != ""


def test_one_seed_and_no_record_have_a_reason(tmp_path):
    study = make(["quick", "init_only"], seeds=[0])
    paths = study.paths(tmp_path)
    job = study.jobs()[0]
    records.write(paths.record(job), make_record(study, job))
    results = StudyResults(study, paths)
    assert results.variance_components["status"].str.contains("two seeds").all()
    assert results.seeds_or_images["status"].str.contains("two seeds").all()
    assert pd.isna(results.seeds_or_images["std_points"]).all()


def test_a_study_without_vary_has_no_components(tmp_path):
    study = make(["quick", "longer"])
    assert len(StudyResults(study, study.paths(tmp_path)).variance_components) == 0


def test_files_have_captions_and_every_row(results):
    names = {path.name for path in write_spread(results)}
    assert {
        f"{one.name}.{end}" for one in (COMPONENTS, SEEDS_OR_IMAGES) for end in ("csv", "md", "tex")
    } < names
    folder = results.paths.tables
    assert len(pd.read_csv(folder / "variance_components.csv")) == 4
    assert "order_only" in (folder / "variance_components.md").read_text()
    assert len(components_display(results.variance_components)) == 4
    display = seeds_or_images_display(results.seeds_or_images)
    assert display["what halves the interval"].str.len().gt(0).all()
