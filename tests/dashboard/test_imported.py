"""Every page on studies of imported results, in every half-way form."""

import pytest

from resnest_bench.imports.columns import Choices
from resnest_bench.imports.reading import read_files
from resnest_bench.imports.writing import Target, plan_study, write_imports
from resnest_bench.specs import dump_study
from support.imported_study import FORMS, import_text

PAGES = (
    "answer",
    "tradeoff",
    "differences",
    "compare",
    "classes",
    "claims",
    "ablation",
    "training",
    "latency",
    "devices",
    "transfer",
    "paper",
    "coverage",
)


@pytest.fixture
def imported(results, tmp_path, monkeypatch):
    """Make a study of one of the FORMS."""
    monkeypatch.chdir(tmp_path)

    def make(form):
        texts, choices = FORMS[form]
        return import_text(tmp_path, results, form, texts, **choices)

    return make


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.slow
def test_every_page_stands(imported, open_page, form):
    imported(form)
    app = open_page(study=form)
    for page in PAGES:
        if page != "tradeoff":
            app.switch_page(f"app_pages/{page}.py").run()
        assert not app.exception, (page, [error.value for error in app.exception])
        assert not app.error, (page, [error.value for error in app.error])
        assert app.header, page


@pytest.mark.slow
def test_every_page_stands_with_results_next_to_own_trainings(study, results, tmp_path, open_page):
    config = tmp_path / "config.json"
    config.write_text(dump_study(study))
    (tmp_path / "theirs.csv").write_text("model,seed,acc\ntheirs,0,0.9\ntheirs,1,0.8\nB2,0,0.5\n")
    found = read_files([tmp_path / "theirs.csv"], Choices(dataset="low", recipe="quick"))
    target = Target(study.study, config, tmp_path / "imported.yaml", study.paths(results), study)
    write_imports(target, plan_study(target, found), found)
    app = open_page(study=study.study)
    for page in PAGES:
        if page != "tradeoff":
            app.switch_page(f"app_pages/{page}.py").run()
        assert not app.exception, (page, [error.value for error in app.exception])
        assert not app.error, (page, [error.value for error in app.error])


def test_a_record_says_where_it_comes_from(imported, open_page):
    spec, _ = imported("accuracy")
    job = spec.jobs()[0]
    app = open_page(
        "coverage",
        study="accuracy",
        record=f"{job.kind}/{job.dataset}/{job.recipe}/{job.variant}/{job.seed}",
    )
    facts = next(f.value for f in app.dataframe if list(f.value.columns) == ["fact", "value"])
    values = dict(zip(facts["fact"], facts["value"], strict=True))
    assert values["imported from"] == "accuracy-0.csv"
    assert values["device"] == "unknown"
    assert not any("snakemake" in block.value for block in app.code)
