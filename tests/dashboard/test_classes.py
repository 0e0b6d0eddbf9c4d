"""The page of classes in every half-way state, and the pages of a study with another headline metric."""

import shutil

import pytest

from resnest_bench import records
from resnest_bench.paths import Job
from resnest_bench.specs import dump_study
from support.predicted_study import predicted_study, write_predicted
from support.records_factory import make_record, write_study


def jobs(names, num_seeds):
    return [Job("train", "low", "quick", name, seed) for name in names for seed in range(num_seeds)]


@pytest.fixture
def study(results):
    """A study without a record, in which classes differ in size."""
    study = predicted_study(headline_metric="balanced_accuracy")
    paths = study.paths(results)
    paths.root.mkdir(parents=True)
    paths.study.write_text(dump_study(study))
    return study


def without_predictions(study, paths):
    for job in jobs("AB", 2):
        records.write(paths.record(job), make_record(study, job))


def with_a_file_lost(study, paths):
    write_predicted(study, paths, jobs("AB", 2))
    paths.predictions(jobs("A", 1)[0]).unlink()


def with_one_network_of_before(study, paths):
    write_predicted(study, paths, jobs("A", 3))
    records.write(paths.record(jobs("B", 1)[0]), make_record(study, jobs("B", 1)[0]))


# State to (what is written, charts on the page).
STATES = {
    "no record": (lambda study, paths: None, 1),
    "records without predictions": (without_predictions, 1),
    "one network, one seed": (lambda s, p: write_predicted(s, p, jobs("A", 1)), 1),
    "two networks, one seed": (lambda s, p: write_predicted(s, p, jobs("AB", 1)), 3),
    "two seeds": (lambda s, p: write_predicted(s, p, jobs("AB", 2)), 3),
    "three seeds": (lambda s, p: write_predicted(s, p, jobs("ABT", 3)), 3),
    "a file lost": (with_a_file_lost, 3),
    "one network of before": (with_one_network_of_before, 1),
}


def test_the_page_stands_in_every_state(open_page, results, study):
    paths = study.paths(results)
    app = open_page("classes")
    for name, (write, num_charts) in STATES.items():
        shutil.rmtree(paths.records, ignore_errors=True)
        write(study, paths)
        app.run()
        assert not app.exception, (name, [error.value for error in app.exception])
        assert len(app.get("vega_lite_chart")) == num_charts, name
    captions = " ".join(caption.value for caption in app.caption)
    assert "B, seed 0" in captions, "what was not kept is named"


def test_networks_are_chosen_and_in_the_address(open_page, results, study):
    write_predicted(study, study.paths(results), jobs("ABT", 3))
    app = open_page("classes", network="A", other="B")
    assert app.selectbox(key="network").value == "A"
    assert app.selectbox(key="other").value == "B"
    assert "A" not in app.selectbox(key="other").options
    app.selectbox(key="network").select("B").run()
    assert not app.exception
    assert app.selectbox(key="other").value != "B"


@pytest.mark.parametrize(
    "page",
    [
        "tradeoff",
        *(
            pytest.param(page, marks=pytest.mark.slow)
            for page in ("differences", "ablation", "transfer", "coverage", "training")
        ),
    ],
)
@pytest.mark.parametrize("write", [write_predicted, write_study])
def test_pages_follow_the_headline_metric(open_page, results, study, page, write):
    write(study, study.paths(results))
    app = open_page(page)
    assert not app.error
    if page == "tradeoff":
        kept = write is write_predicted
        assert app.selectbox(key="y").value == ("balanced_accuracy" if kept else "test_accuracy")


def test_the_page_next_to_a_study_of_other_networks(open_page, results, study):
    write_predicted(study, study.paths(results), jobs("AB", 2))
    other = predicted_study(study="other")
    write_predicted(other, other.paths(results), jobs("T", 2))
    other.paths(results).study.write_text(dump_study(other))
    app = open_page("classes", study="synthetic", beside="other")
    assert not app.error
    assert len(app.get("vega_lite_chart")) == 4
