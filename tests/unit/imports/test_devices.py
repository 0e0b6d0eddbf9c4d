"""Results of a bundle come back as another device of the study; what doesn't fit is refused at the door."""

import json
import math

import pytest
from typer.testing import CliRunner

from resnest_bench.cli.app import app
from resnest_bench.cli.import_results import run_import
from resnest_bench.cli.todo import list_to_do, read_outcomes
from resnest_bench.errors import UserError
from resnest_bench.export import write_page
from resnest_bench.imports.columns import Choices
from resnest_bench.report.tables import write_tables
from resnest_bench.results import StudyResults
from resnest_bench.specs import load_study
from support.bundle_factory import DEVICE_MS, make_results, make_tiny_bundle
from support.records_factory import make_record

PLACE = "fast+Toy"


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return make_tiny_bundle(tmp_path, monkeypatch)[0]


@pytest.fixture
def content(config, tmp_path):
    return make_results(tmp_path / "toy-bundle")


@pytest.fixture
def take(config, tmp_path):
    """Import a results file with this content; return the lines that are said."""

    def run(content, **choices):
        file = tmp_path / "toy.json"
        file.write_text(json.dumps(content))
        return run_import([file], None, config, Choices(**choices), tmp_path / "results", False)

    return run


def open_results(config, tmp_path):
    study = load_study(config)
    return StudyResults(study, study.paths(tmp_path / "results"))


def write_own(config, tmp_path):
    """The study's own records: A is the faster one here, and the less accurate one."""
    study = load_study(config)
    paths = study.paths(tmp_path / "results")
    for job in study.own_jobs():
        more = {"accuracy": 0.6 + 0.1 * (job.variant == "B")}
        if job.kind == "latency":
            more = {"p50_ms": (1.0 if job.variant == "A" else 3.0) * (1 + job.seed / 100)}
        path = paths.record(job)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(make_record(study, job, **more).model_dump_json())


def test_a_device_is_a_latency_experiment_of_its_own(config, take, content, tmp_path):
    said = "\n".join(take(content))
    assert "Toycore 1" in said
    results = open_results(config, tmp_path)
    assert results.spec.imported[0].own_protocol == "fast"
    runs = results.runs[results.runs["recipe"] == PLACE]
    assert set(runs["status"]) == {"ok"}
    assert list(runs["variant"]) == ["A", "A", "B", "B"]
    assert runs["latency_p50_ms"].tolist() == pytest.approx([8, 8.08, 2, 2.02])
    assert set(runs["device_name"]) == {"Toy"}
    assert set(runs["imported_from"]) == {"toy.json"}
    floor = results.noise.set_index("protocol").loc[PLACE]
    assert (floor["num_jobs"], floor["num_rounds"]) == (4, 2)
    # The reference takes 3.00 and then 3.01 ms, 3.01 and 3.02 in the second round.
    bias = (math.log(3.01 / 3.00) + math.log(3.02 / 3.01)) / 2
    assert floor["bias_percent"] == pytest.approx(100 * bias)
    outcomes = read_outcomes(results.spec, results.paths)
    todo = [job for job in list_to_do(outcomes, {}) if PLACE in str(job)]
    assert todo == []


def test_both_devices_are_compared_in_tables_and_on_the_page(config, take, content, tmp_path):
    take(content)
    write_own(config, tmp_path)
    results = open_results(config, tmp_path)
    pairs = results.device_rankings.pairs
    assert pairs["batch_size"].tolist() == [1]
    row = pairs.iloc[0]
    # A is three times as fast as B here, and four times as slow there.
    assert (row["tau"], row["fastest_a"], row["fastest_b"]) == (-1, "A", "B")
    assert row["reversed_pairs"] == 1
    assert row["front_a"] == ["A", "B"]
    assert row["front_b"] == ["B"]
    assert row["note"]
    networks = results.device_rankings.networks.set_index("variant")
    assert networks.loc["B", "ratio"] == pytest.approx(DEVICE_MS["B"] / 3)
    written = {path.name: path for path in write_tables(results.spec, results.paths)}
    assert "Toy" in written["device_ranking.md"].read_text()
    assert "arithmetic" in written["roofline.md"].read_text()
    html = write_page(results.spec, results.paths, None).read_text()
    assert "Table: devices" in html


def test_a_changed_network_makes_its_records_stale_and_nothing_runs(
    config, take, content, tmp_path
):
    take(content)
    text = config.read_text()
    config.write_text(text.replace("radix: 2", "radix: 1"))
    results = open_results(config, tmp_path)
    runs = results.runs[results.runs["recipe"] == PLACE].set_index("variant")
    assert set(runs.loc["A", "status"]) == {"ok"}
    assert set(runs.loc["B", "status"]) == {"stale"}
    assert "radix" in runs.loc["B", "reason"].iloc[0]
    assert not runs["to_do"].any()


def change(content, *path, to):
    place = content
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = to


WRONG = {
    "digest of another network": (("jobs", 0, "digest"), lambda c: c["jobs"][1]["digest"], "of B"),
    "another file": (("jobs", 0, "sha256"), lambda c: "0" * 64, "digest"),
    "unknown network": (("jobs", 0, "variant"), lambda c: "Z", "Z"),
    "too few samples": (("jobs", 0, "cells", 0, "samples_ms"), lambda c: [1.0] * 4, "samples"),
    "a negative time": (("jobs", 0, "cells", 0, "samples_ms", 2), lambda c: -1.0, "samples_ms"),
    "not a number": (("jobs", 0, "cells", 0, "samples_ms", 2), lambda c: math.nan, "NaN"),
    "infinity": (("jobs", 0, "reference_after_ms", 0), lambda c: math.inf, "Infinity"),
    "twice": (("jobs", 1), lambda c: c["jobs"][0], "twice"),
    "another version": (("format",), lambda c: 2, "format"),
    "another kind of file": (("kind",), lambda c: "notebook", "kind"),
    "a changed bundle": (("bundle", "networks", 0, "num_macs"), lambda c: 7, "unchanged"),
    "nothing": (("jobs",), lambda c: [], "none"),
    "an unknown key": (("device", "gpu"), lambda c: "x", "gpu"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_is_refused_and_nothing_is_written(config, take, content, tmp_path, case):
    where, value, said = WRONG[case]
    before = config.read_text()
    change(content, *where, to=value(content))
    with pytest.raises(UserError, match=said):
        take(content)
    assert config.read_text() == before
    assert not (tmp_path / "results").exists()
    assert not config.with_name("imported.yaml").exists()


def test_a_network_that_changed_since_the_bundle_is_refused(config, take, content):
    config.write_text(config.read_text().replace("radix: 2", "radix: 1"))
    with pytest.raises(UserError, match=r"B must be .*radix"):
        take(content)


def test_the_same_device_twice_is_said(config, take, content):
    take(content)
    with pytest.raises(UserError, match="--device Toy-2"):
        take(content)
    said = "\n".join(take(content, device="Toy 2"))
    assert f"note: {PLACE} has the same processor" in said
    names = {job.recipe for job in load_study(config).imported_jobs()}
    assert names == {PLACE, "fast+Toy-2"}


def test_the_command_line_needs_the_study(content, tmp_path, config):
    file = tmp_path / "toy.json"
    file.write_text(json.dumps(content))
    result = CliRunner().invoke(app, ["import", str(file)])
    assert result.exit_code == 1
    assert "--into" in str(result.exception)
