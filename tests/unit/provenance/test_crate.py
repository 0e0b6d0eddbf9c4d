"""A study as an RO-Crate: complete, valid, and silent about this machine's folders."""

import hashlib
import json
import zipfile
from pathlib import Path

import pytest

from resnest_bench import records
from resnest_bench.cli.shipped import project_root
from resnest_bench.errors import UserError
from resnest_bench.paths import StudyPaths
from resnest_bench.provenance.crate import Credits, write_crate
from resnest_bench.specs import load_study
from resnest_bench.status.outcomes import outcomes
from support.crate_validator import find_problems
from support.imported_study import import_text, predictions_text
from support.records_factory import make_failed_record, make_study, write_study

ROOT = Path(__file__).parents[3]
# Real photos, and weights from elsewhere.
HOTDOG = ROOT / "results/reference/cpu-amd-epyc-2-cores/hotdog"
ANN = Credits("Ann Example", "https://orcid.org/0000-0002-1825-0097", "CC-BY-4.0")


def make_crate(folder, out, credits=ANN):
    return write_crate(
        load_study(folder / "study.json"), StudyPaths(folder), project_root(), out, credits
    )


@pytest.fixture(scope="module")
def crate(tmp_path_factory):
    return make_crate(HOTDOG, tmp_path_factory.mktemp("crates") / "hotdog")


@pytest.fixture(scope="module")
def entities(crate):
    graph = json.loads((crate / "ro-crate-metadata.json").read_text())["@graph"]
    made = {entity["@id"]: entity for entity in graph}
    assert len(made) == len(graph)
    return made


def list_ids(value):
    return [one["@id"] for one in (value if isinstance(value, list) else [value])]


@pytest.mark.slow
def test_the_profile_has_nothing_against_it(crate):
    pytest.importorskip("rocrate_validator")
    assert find_problems(crate) == []
    assert find_problems(make_crate(HOTDOG, crate.with_suffix(".zip"))) == []


def test_every_reference_leads_somewhere(entities):
    def walk(value):
        if isinstance(value, dict):
            yield from [value["@id"]] if list(value) == ["@id"] else walk(list(value.values()))
        elif isinstance(value, list):
            for one in value:
                yield from walk(one)

    outside = set(walk([dict(e) for e in entities.values()])) - set(entities)
    assert all(name.startswith("https://") for name in outside), outside


def test_it_has_what_the_profile_requires(entities):
    root, workflow = entities["./"], entities["workflow/Snakefile"]
    assert root["mainEntity"]["@id"] == workflow["@id"]
    assert "https://w3id.org/ro/wfrun/provenance/0.5" in list_ids(root["conformsTo"])
    assert {"ComputationalWorkflow", "HowTo"} <= set(workflow["@type"])
    run = entities["#run"]
    assert run["instrument"]["@id"] == workflow["@id"]
    engine = entities["#engine-run"]
    assert list_ids(engine["result"]) == ["#run"]
    for name in list_ids(engine["object"]):
        control = entities[name]
        step = entities[control["instrument"]["@id"]]
        action = entities[control["object"]["@id"]]
        assert step["workExample"]["@id"] == action["instrument"]["@id"]
        assert step["@id"] in list_ids(workflow["step"])


def test_each_record_is_the_result_of_an_action_with_its_inputs(crate, entities):
    made = {}
    for entity in entities.values():
        if entity.get("@type") == "CreateAction" and entity["@id"] != "#run":
            made[list_ids(entity["result"])[0]] = entity
    assert {f.relative_to(HOTDOG).as_posix() for f in HOTDOG.glob("records/**/*.json")} == set(made)
    for name, action in made.items():
        record = records.read(HOTDOG / name)
        used = list_ids(action["object"])
        data = next(entities[one] for one in used if one.startswith("#data-"))
        assert data["identifier"] == f"sha256:{record.dataset.fingerprint}"
        assert (crate / data["subjectOf"]["@id"]).is_file()
        start = record.train.initial_weights
        assert start is None or f"#sha256-{start.sha256}" in used
        machine = json.loads((crate / next(u for u in used if "environments/" in u)).read_text())
        assert machine == record.environment.model_dump(mode="json")
        assert (action["startTime"], action["endTime"]) == (record.started_at, record.finished_at)
        assert action["agent"]["@id"] == ANN.orcid


def test_every_file_is_described_with_its_digest(crate, entities):
    files = {f.relative_to(crate).as_posix() for f in crate.rglob("*") if f.is_file()}
    for name in files - {"ro-crate-metadata.json"}:
        assert entities[name]["sha256"] == hashlib.sha256((crate / name).read_bytes()).hexdigest()
    shown = {n for n, e in entities.items() if "File" in e.get("@type", "")}
    assert shown == files - {"ro-crate-metadata.json"}


def test_it_is_a_study_that_can_be_read_again(crate):
    found = outcomes(load_study(crate / "study.json"), StudyPaths(crate))
    ours = outcomes(load_study(HOTDOG / "study.json"), StudyPaths(HOTDOG))
    assert {o.job for o in found if o.record} == {o.job for o in ours if o.record}


def test_the_same_study_is_the_same_archive(tmp_path):
    first, second = (make_crate(HOTDOG, tmp_path / f"{name}.zip") for name in "ab")
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as archive:
        assert archive.testzip() is None
        assert "ro-crate-metadata.json" in archive.namelist()


@pytest.fixture
def private(tmp_path):
    """A study with paths of a home folder: of its data, and in a failure's reason."""
    home = tmp_path / "home" / "ann"
    photos = {
        "source": "imagefolder",
        "path": str(home / "My Photos"),
        "image_size": 8,
        "resize": 8,
    }
    study = make_study(
        data_dir=str(home / "data"), datasets={**make_study().as_dict()["datasets"], "mine": photos}
    )
    paths = StudyPaths(home / "results" / study.study)
    write_study(study, paths)
    first = study.jobs()[0]
    failed = make_failed_record(first, study.job_spec(first), f"no such file: {home}/data/x.npy")
    records.write(paths.record(first), failed)
    (paths.tables).mkdir(exist_ok=True)
    (paths.tables / "runs.csv").write_text(f"reason,record\nok,{paths.record(first)}\n")
    return study, paths


def test_no_path_of_this_machine_leaves_it(private, tmp_path):
    study, paths = private
    crate = write_crate(study, paths, project_root(), tmp_path / "crate", Credits())
    for file in crate.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert b"home/ann" not in content, file
            assert str(tmp_path).encode() not in content, file
    assert load_study(crate / "study.json").datasets["mine"].path == "My Photos"
    graph = json.loads((crate / "ro-crate-metadata.json").read_text())["@graph"]
    assert [e["error"] for e in graph if "error" in e] == ["no such file: x.npy"]


@pytest.mark.slow
def test_synthetic_records_are_valid_too(private, tmp_path):
    """Latencies, fine-tunings, a failure, and nobody who signs."""
    pytest.importorskip("rocrate_validator")
    study, paths = private
    crate = write_crate(study, paths, project_root(), tmp_path / "crate", Credits())
    assert find_problems(crate) == []


def test_a_study_without_records_is_refused(study, tmp_path):
    with pytest.raises(UserError, match="no record"):
        write_crate(study, StudyPaths(tmp_path), project_root(), tmp_path / "crate", Credits())


def test_a_folder_is_never_overwritten(crate, tmp_path):
    before = sorted(crate.rglob("*"))
    with pytest.raises(UserError, match="new folder"):
        make_crate(HOTDOG, crate)
    assert sorted(crate.rglob("*")) == before


def test_nothing_is_left_of_a_crate_that_fails(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("resnest_bench.provenance.crate._write", fail)
    with pytest.raises(UserError, match="No space"):
        make_crate(HOTDOG, tmp_path / "crate")
    assert list(tmp_path.iterdir()) == []


def test_results_from_elsewhere_name_their_file(tmp_path, monkeypatch):
    """They are of no step of ours, and their time and machine are unknown."""
    monkeypatch.chdir(tmp_path)
    study, paths = import_text(tmp_path, tmp_path / "results", "mine", [predictions_text()])
    crate = write_crate(study, paths, project_root(), tmp_path / "crate", Credits())
    graph = json.loads((crate / "ro-crate-metadata.json").read_text())["@graph"]
    entities = {entity["@id"]: entity for entity in graph}
    actions = [e for name, e in entities.items() if name.startswith("#action-")]
    assert actions
    for action in actions:
        assert action["instrument"]["@id"] == "#tool-import"
        assert "endTime" not in action
        assert any(
            e.get("name") == "mine-0.csv" for e in map(entities.get, list_ids(action["object"]))
        )
    assert "#engine-run" not in entities
