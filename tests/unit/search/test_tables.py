"""Tables, report, charts and export of a search: before it begins, midway, and with its finalists."""

import json

import pytest

from resnest_bench.charts import make_figures
from resnest_bench.export import page_html
from resnest_bench.paths import StudyPaths
from resnest_bench.planning.searches import describe_search_plan, plan_search
from resnest_bench.report.search import SEARCH_TABLES, search_markdown, write_search
from resnest_bench.report.tables import summary_text, write_tables
from resnest_bench.results import open_study
from resnest_bench.search.columns import SEARCH_TABLE_COLUMNS
from resnest_bench.specs.rounds import read_rounds
from support.search_study import NSGA2, RATES, SimulatedSearch, score, search_study

pytest.importorskip("optuna")


def fails(study, job):
    return "memory ran out" if job.variant.endswith("t001") and job.kind == "train" else ""


@pytest.fixture
def paths(tmp_path):
    return StudyPaths(tmp_path / "synthetic")


@pytest.fixture
def done(paths):
    SimulatedSearch(search_study(), paths, fails=fails).run()
    return open_study(paths.root)


def test_every_column_is_explained(done):
    for table in SEARCH_TABLES:
        _, meanings = SEARCH_TABLE_COLUMNS[table.name]
        assert list(meanings) == list(table.read(done.search).columns)


def test_the_gap_is_that_of_the_finalists_own_records(done):
    row = done.search.finalists.iloc[0]
    extended = done.spec
    jobs = [job for job in extended.jobs() if job.variant == row["variant"] and job.kind == "train"]
    scores = [score(extended, job) for job in jobs]
    # Test accuracies are three points less, in whole images of 100.
    tested = [round(100 * (one - 0.03)) for one in scores]
    assert row["n"] == len(tested) == 3
    assert row["confirmed_percent"] == pytest.approx(sum(tested) / 3)
    assert row["new_validation_percent"] == pytest.approx(100 * sum(scores) / 3)
    assert row["gap_points"] == pytest.approx(row["selected_percent"] - row["confirmed_percent"])
    luck = row["selected_percent"] - row["new_validation_percent"]
    assert row["luck_points"] == pytest.approx(luck)
    best = done.search.trials.query("family == 'A'")["validation_accuracy_percent"].max()
    assert row["selected_percent"] == best


def test_failed_trials_are_counted_and_named(done):
    families = done.search.families
    assert families["num_failed"].tolist() == [1, 1]
    assert families["num_ok"].tolist() == [7, 7]
    assert families["used_trainings"].tolist() == [8, 8]
    assert "2 trials failed (A 1, B 1): memory ran out" in search_markdown(done)
    curve = done.search.curves.query("family == 'A'")
    # One of eight is worth nothing.
    accuracies = done.search.trials.query("family == 'A' and status == 'ok'")
    mean = accuracies["validation_accuracy_percent"].sum() / 8
    assert curve["expected_percent"].iloc[0] == pytest.approx(mean)


def test_the_best_so_far_never_falls(done):
    for _, rows in done.search.trials.groupby("family"):
        assert rows["best_percent"].dropna().is_monotonic_increasing


def test_files_and_pages_have_it(done, paths):
    written = {path.name for path in write_tables(done.spec, paths)}
    for name in ("search_trials", "search_families", "search_finalists", "search_curves"):
        assert {f"{name}.csv", f"{name}.md", f"{name}.tex"} <= written
    assert "A-tuned" in summary_text(done.spec, paths)
    html = page_html(done.spec, paths)
    assert 'id="search"' in html
    assert {"search_confirmed", "search_progress"} <= set(make_figures(done))


@pytest.mark.parametrize("rounds", [0, 1, 2])
def test_before_the_end_everything_says_how_far_it_is(paths, rounds):
    search = SimulatedSearch(search_study(), paths)
    for number in range(rounds):
        search.decide(number)
        search.make_records()
    results = open_study(paths.root)
    assert len(results.search.finalists) == 0
    assert 'id="search"' in page_html(results.spec, paths)
    assert len(write_search(results)) >= 6
    assert summary_text(results.spec, paths)
    for chart in make_figures(results).values():
        json.dumps(chart.to_dict())
    plan = plan_search(results.spec.as_configured, read_rounds(search.study, paths))
    # Eight trainings of each family, three of them in each of the rounds.
    assert plan.trainings == {"A": 8.0 - 3 * rounds, "B": 8.0 - 3 * rounds}
    assert plan.confirming == 2 * 3
    (text, *_) = describe_search_plan(search.study, plan)
    assert f"A {8 - 3 * rounds}" in text


def test_after_the_end_nothing_is_planned(done, paths):
    assert plan_search(done.spec, read_rounds(done.spec.as_configured, paths)) is None


def test_two_objectives_have_a_front_before_and_after(paths):
    space = {"recipe.learning_rate": RATES, "variant.radix": [0, 1, 2]}
    SimulatedSearch(search_study({**NSGA2, "space": space}), paths).run()
    results = open_study(paths.root)
    trials = results.search.trials
    assert trials["on_front"].fillna(False).any()
    finalists = results.search.finalists
    assert finalists[["on_front_before", "on_front_after"]].notna().all(axis=None)
    assert finalists["latency_ms"].notna().all()
    assert "Pareto-optimal, confirmed" in search_markdown(results)


def test_a_study_without_a_search_has_empty_tables_and_no_section(tmp_path):
    from support.records_factory import make_study, write_study

    paths = StudyPaths(tmp_path / "synthetic")
    write_study(make_study(), paths)
    results = open_study(paths.root)
    assert all(len(one.read(results.search)) == 0 for one in SEARCH_TABLES)
    assert write_search(results) == []
    assert 'id="search"' not in page_html(results.spec, paths)
