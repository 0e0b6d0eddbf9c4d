"""Networks over the data sets of one study."""

import numpy as np
import pytest

from resnest_bench import records
from resnest_bench.charts import profile_chart, ranks_chart
from resnest_bench.comparisons.datasets import (
    LEADS,
    WORSE,
    choose_experiments,
    compare_datasets,
    list_groups,
)
from resnest_bench.paths import Job
from resnest_bench.report.datasets import describe_ranks, ranks_display, write_dataset_ranks
from resnest_bench.results import StudyResults
from support.records_factory import CONFIG, make_record, make_study, write_study

NAMES = [f"d{i}" for i in range(6)]
BASE = {"A": 0.60, "B": 0.70, "T": 0.80}


def many_study(count=6):
    low = CONFIG["datasets"]["low"]
    return make_study(
        datasets={**CONFIG["datasets"], **dict.fromkeys(NAMES, low)},
        train=[{"dataset": name, "recipe": "quick"} for name in NAMES[:count]],
        latency=[],
        finetune=[],
        tables={},
        claims=[],
    )


@pytest.fixture
def results(tmp_path):
    study = many_study()
    paths = study.paths(tmp_path)
    write_study(study, paths)
    rng = np.random.default_rng(0)
    for job in study.jobs():
        accuracy = BASE.get(job.variant, 0.5) + rng.integers(-2, 3) / 100
        records.write(paths.record(job), make_record(study, job, accuracy=accuracy))
    return StudyResults(study, paths)


def test_networks_are_ranked_within_each_dataset(results):
    found = results.dataset_comparison
    ranks = results.dataset_ranks()
    assert ranks["variant"].tolist()[:3] == ["T", "B", "A"]
    assert ranks["standing"].iloc[0] == LEADS
    assert ranks["standing"].iloc[-1] == WORSE
    assert all(len(row) == 6 for row in ranks["ranks"])
    assert found.p < 0.05
    assert not found.notes
    assert "significantly worse" in describe_ranks(found)
    assert {f"rank on {name}" for name in NAMES} <= set(ranks_display(ranks).columns)
    groups = list_groups(ranks)
    difference = ranks["critical_difference"].iloc[0]
    assert all(0 < high - low <= difference for low, high in groups)


def test_a_profile_counts_every_seed_of_every_dataset(results):
    found = results.dataset_comparison
    profile = found.profile
    assert profile["runs"].eq(6 * len(results.spec.seeds)).all()
    assert profile.groupby("variant")["share"].first().eq(1.0).all()
    assert profile.groupby("variant")["share"].is_monotonic_decreasing.all()
    for chart in (ranks_chart(found.ranks), profile_chart(profile, "accuracy")):
        assert "no data" not in chart.to_json()


def test_files_and_few_data_sets(results, tmp_path):
    files = write_dataset_ranks(results)
    assert {file.name for file in files} == {"dataset_ranks.csv", "dataset_ranks.md"}
    study = many_study(2)
    paths = study.paths(tmp_path / "few")
    write_study(study, paths)
    few = StudyResults(study, paths).dataset_comparison
    assert any("too few" in note for note in few.notes)


def test_a_network_without_a_result_on_each_dataset_is_left_out(results):
    for seed in results.spec.seeds:
        results.paths.record(Job("train", "d0", "quick", "T", seed)).unlink()
    found = compare_datasets(results.spec, StudyResults(results.spec, results.paths).runs)
    assert "T" not in set(found.ranks["variant"])
    assert any("T" in note for note in found.notes)


def test_one_dataset_has_no_ranks(tmp_path):
    study = many_study(1)
    assert len(choose_experiments(study)) == 1
    assert compare_datasets(study, StudyResults(study, study.paths(tmp_path)).runs) is None


def test_trainings_and_fine_tunings_are_not_ranked_together(study):
    kinds = {experiment.kind for experiment in choose_experiments(study)}
    assert len(kinds) == 1
    assert {job.kind for job in study.jobs()} > kinds
