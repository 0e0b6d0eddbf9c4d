"""The page of devices: another device's latencies next to the study's own, and where they come from."""

import json

import pytest

from resnest_bench.cli.import_results import run_import
from resnest_bench.imports.columns import Choices
from resnest_bench.specs import dump_study, load_study
from support.bundle_factory import make_results, make_tiny_bundle
from support.records_factory import make_record


@pytest.fixture
def study(results, tmp_path, monkeypatch):
    """The study `toy`, whose records are here, and the results of a device."""
    config, bundle = make_tiny_bundle(tmp_path, monkeypatch)
    file = tmp_path / "toy.json"
    file.write_text(json.dumps(make_results(bundle)))
    run_import([file], None, config, Choices(), results, False)
    study = load_study(config)
    paths = study.paths(results)
    paths.study.write_text(dump_study(study))
    for job in study.own_jobs():
        more = {"p50_ms": 1.0 + job.seed / 50} if job.kind == "latency" else {}
        path = paths.record(job)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(make_record(study, job, **more).model_dump_json())
    return study


def test_the_ranking_and_what_bounds_it(open_page, study):
    app = open_page("devices", study="toy")
    assert not app.error
    ranked = next(f.value for f in app.dataframe if "rank change" in f.value)
    assert sorted(ranked["variant"]) == ["A", "B"]
    assert any("tau" in text.value for text in app.markdown)
    bounds = next(f.value for f in app.dataframe if "bound by" in f.value)
    assert set(bounds["variant"]) == {"A", "B", "T"}
    assert len(app.get("vega_lite_chart") or app.get("arrow_vega_lite_chart")) == 2


def test_a_record_of_a_device_says_where_it_comes_from(open_page, study):
    app = open_page("coverage", study="toy", record="latency/low/fast+Toy/A/0")
    facts = next(f.value for f in app.dataframe if list(f.value.columns) == ["fact", "value"])
    values = dict(zip(facts["fact"], facts["value"], strict=True))
    assert values["imported from"] == "toy.json"
    assert values["board"] == "Toy board"
    assert not any("snakemake" in block.value for block in app.code)
