"""Failed seeds, and whether seeds or test images help more, on the page of trainings."""

import pytest

from resnest_bench import records
from resnest_bench.specs import dump_study
from support.records_factory import make_record, make_study

ACCURACIES = {
    "A": [0.60, 0.61, 0.605, 0.598, 0.602, 0.20],
    "B": [0.60, 0.61, 0.62, 0.60, 0.59, 0.6],
}


@pytest.fixture
def study(results):
    study = make_study(
        seeds=list(range(6)),
        train=[{"dataset": "low", "recipe": "quick", "variants": ["A", "B"]}],
        latency=[],
        finetune=[],
        tables={},
    )
    paths = study.paths(results)
    paths.root.mkdir(parents=True)
    paths.study.write_text(dump_study(study))
    return study


def write(study, results, names):
    paths = study.paths(results)
    for job in study.jobs():
        if job.variant in names:
            accuracy = ACCURACIES[job.variant][job.seed]
            record = make_record(study, job, accuracy=accuracy, num_test=1000)
            records.write(paths.record(job), record)


def test_the_page_names_failed_seeds_and_has_the_figures_without_them(open_page, results, study):
    write(study, results, "AB")
    app = open_page("training")
    assert not app.exception
    assert any("seed 5" in warning.value for warning in app.warning)
    stability = next(f.value for f in app.dataframe if "failed seeds" in f.value)
    row = stability.set_index("variant").loc["A"]
    assert (row["failed seeds"], row["without: mean %"]) == ("5", "60.30")
    halves = next(f.value for f in app.dataframe if "what halves the interval" in f.value)
    assert halves["variant"].tolist() == ["A", "B"]


def test_without_a_failure_there_is_no_warning(open_page, results, study):
    write(study, results, "B")
    app = open_page("training")
    assert not app.exception
    assert not any("seed" in warning.value for warning in app.warning)
