"""The headline metric next to the accuracy: tables, charts, the trade-off, and what suggests it."""

import pytest

from resnest_bench.charts import ablation_chart, make_figures, transfer_chart
from resnest_bench.comparisons.standings import list_best
from resnest_bench.frames.data_notes import data_notes
from resnest_bench.paths import Job
from resnest_bench.report.tables import table_markdown, write_tables
from resnest_bench.results import StudyResults
from resnest_bench.specs import load_study
from resnest_bench.tables.axes import default_axes, list_axes
from resnest_bench.tables.headline import show_headline
from resnest_bench.tables.points import choose_best, headline_points
from resnest_bench.tables.selection import Experiments, main_experiments
from support.predicted_study import predicted_study, write_predicted
from support.records_factory import write_study

HEADLINE = "balanced_accuracy"


def make_results(tmp_path, write=write_predicted, **changes):
    study = predicted_study(**changes)
    paths = study.paths(tmp_path)
    write(study, paths)
    return StudyResults(study, paths)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return make_results(tmp_path_factory.mktemp("results"), headline_metric=HEADLINE)


def test_a_table_has_both(results):
    row = results.ablation.set_index("variant").loc["A"]
    runs = results.runs.query("kind == 'train' and variant == 'A'")
    assert row["headline_metric"] == HEADLINE
    assert row["headline_mean_percent"] == pytest.approx(100 * runs[HEADLINE].mean())
    assert row["accuracy_mean_percent"] == pytest.approx(100 * runs["test_accuracy"].mean())
    assert (row["headline_n"], row["headline_seeds"]) == (4, [0, 1, 2, 3])
    assert row["headline_low_percent"] < row["headline_mean_percent"] < row["headline_high_percent"]
    text = table_markdown("ablation", results.ablation, results.spec)
    assert text.index("| balanced accuracy %") < text.index("| accuracy %")


def test_charts_draw_it(results):
    for table, chart in ((results.ablation, ablation_chart), (results.transfer, transfer_chart)):
        assert "Balanced accuracy (%)" in chart(table).to_json()
    figures = make_figures(results, ["accuracy_latency", "confusion"])
    assert "Synthetic low" in figures["confusion"].to_json()


def test_the_trade_off_begins_with_it(results):
    axes = list_axes(results.runs, results.cells)
    assert default_axes(axes, HEADLINE)[1] == HEADLINE
    points, x, y = headline_points(results.spec, results.runs, results.cells)
    assert y.key == HEADLINE
    best = choose_best(points.assign(x=1.0), x, y, None, None)
    assert best.row["variant"] == "T"


def test_of_a_measure_where_less_is_better_the_best_is_the_lowest(results):
    axes = list_axes(results.runs, results.cells)
    x, y = axes["num_params"], axes["brier_score"]
    points, _, _ = headline_points(results.spec, results.runs, results.cells)
    trained = Experiments(main_experiments(results.spec).training, None).runs(results.runs)
    means = trained.groupby("variant")["brier_score"].mean()
    points = points.assign(x=1.0, y=points["variant"].map(means))
    best = choose_best(points, x, y, None, None)
    assert best.row["variant"] == means.idxmin() == "T"
    training = main_experiments(results.spec).training
    standings = results.rank_candidates(training, "brier_score", best.candidates)
    assert standings["variant"].iloc[0] == "T"
    assert "A" not in list_best(standings), "far worse in every seed"


def test_the_accuracy_has_no_columns_of_a_headline(tmp_path):
    results = make_results(tmp_path)
    assert not [name for name in results.ablation if name.startswith("headline")]
    assert show_headline(results.ablation)[1] == "test accuracy"


def test_records_of_before_keep_their_accuracy(tmp_path):
    results = make_results(tmp_path, write_study, headline_metric=HEADLINE)
    assert "not kept" in table_markdown("ablation", results.ablation, results.spec)
    assert show_headline(results.ablation)[1] == "test accuracy"
    assert "Test accuracy (%)" in ablation_chart(results.ablation).to_json()
    assert write_tables(results.spec, results.paths)


def test_seeds_with_predictions_and_without_are_counted_apart(tmp_path):
    study = predicted_study(headline_metric=HEADLINE)
    paths = study.paths(tmp_path)
    write_study(study, paths)
    write_predicted(study, paths, [Job("train", "low", "quick", "A", seed) for seed in (0, 2, 3)])
    table = StudyResults(study, paths).ablation
    row = table.set_index("variant").loc["A"]
    assert (row["n"], row["headline_n"], row["headline_seeds"]) == (4, 3, [0, 2, 3])
    assert ablation_chart(table).to_json()


def test_notes_suggest_it_until_the_study_has_another_headline(tmp_path, results):
    plain = make_results(tmp_path)
    assert "balanced_accuracy" in data_notes(plain.spec, plain.runs)["low"]
    assert data_notes(results.spec, results.runs) == {}


def test_a_headline_of_which_less_is_better_is_refused(tmp_path):
    file = tmp_path / "study.json"
    text = predicted_study().model_dump_json()
    file.write_text(text.replace('"headline_metric":"accuracy"', '"headline_metric":"nll"'))
    with pytest.raises(Exception, match="headline_metric"):
        load_study(file)
