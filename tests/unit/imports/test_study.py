"""An imported study is read as any other, and next to the trainings of an existing one."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from resnest_bench import records
from resnest_bench.cli.app import app
from resnest_bench.cli.todo import describe_to_do, list_to_do, read_outcomes
from resnest_bench.cli.track import list_runs
from resnest_bench.comparisons.differences import ABOVE, find_over_seeds
from resnest_bench.errors import UserError
from resnest_bench.export import write_document, write_page
from resnest_bench.imports.columns import Choices
from resnest_bench.imports.own_images import adopt_images
from resnest_bench.imports.reading import read_files
from resnest_bench.imports.writing import existing_target, new_target, plan_study, write_imports
from resnest_bench.live.from_files import read_status
from resnest_bench.report.tables import summary_text, write_tables
from resnest_bench.results import StudyResults, open_study
from resnest_bench.specs import dump_study, load_study
from support.imported_study import ACCURACIES, BOTH, FORMS, import_text
from support.predicted_study import LABELS, predicted_study, write_predicted
from support.records_factory import with_predictions


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def results(folder):
    return folder / "results"


def make(folder, results, form):
    texts, choices = FORMS[form]
    return import_text(folder, results, form, texts, **choices)


@pytest.mark.parametrize("form", FORMS)
def test_tables_status_plan_and_page_in_every_form(folder, results, form):
    spec, paths = make(folder, results, form)
    assert load_study(folder / "config" / form / "config.yaml") == spec == load_study(paths.study)
    study = open_study(paths.root)
    assert set(study.runs["status"]) == {"ok"}
    assert set(study.runs["device_kind"]) == {"unknown"}
    assert all(path.exists() for path in write_tables(spec, paths))
    text = summary_text(spec, paths)
    assert " nan" not in text.lower()
    assert "torch ." not in text
    status = read_status(spec, paths)
    assert (status.snapshot.done, status.failed) == (len(spec.jobs()), ())
    outcomes = read_outcomes(spec, paths)
    assert list_to_do(outcomes, {}) == []
    assert "Imported" in describe_to_do(outcomes, {})
    html = Path(write_page(spec, paths, None)).read_text()
    assert f"{form}-0.csv" in html
    write_document(spec, paths, folder / "out.md")
    assert list_runs(study) or form == "latency"


def test_a_difference_over_seeds_without_images(folder, results):
    _, paths = make(folder, results, "accuracy")
    study = open_study(paths.root)
    pairs = study.differences().set_index(["variant", "base"])
    pair = pairs.loc[("B", "A")]
    assert pair["difference_points"] == pytest.approx(np.mean([94.2, 94.0, 94.4]) - 93.1333333)
    assert np.isnan(pair["all_p"])
    assert 0 < pair["seeds_p"] < 1
    assert find_over_seeds(study.differences()).all()
    assert study.accuracies().set_index("variant").loc["C", "n"] == 1


def test_recipes_and_datasets_of_imported_results_are_compared(folder, results):
    _, paths = make(folder, results, "recipes-and-datasets")
    study = open_study(paths.root)
    pairs = study.recipe_differences("SVHN").set_index(["variant", "base"])
    assert set(pairs.index) == {("A, mixup", "A, plain"), ("B, mixup", "B, plain")}
    assert pairs["difference_points"].tolist() == pytest.approx([3, 3])
    assert pairs["all_p"].isna().all()
    assert study.dataset_ranks()["variant"].tolist() == ["B", "A"]


def test_predictions_are_compared_for_new_images_too(folder, results):
    _, paths = make(folder, results, "predictions")
    study = open_study(paths.root)
    pair = study.differences().iloc[0]
    assert pair["num_images"] == 60
    assert pair["all_p"] >= pair["seeds_p"] - 1e-9
    assert len(study.class_tables()["confusion"])


def test_one_value_for_each_network_has_an_interval_only_with_its_images(folder, results):
    _, paths = make(folder, results, "one-each")
    row = open_study(paths.root).other_tables[0].iloc[0]
    assert (row["n"], row["accuracy_mean_percent"]) == (1, pytest.approx(80.1))
    assert np.isnan(row["accuracy_low_percent"])
    _, paths = make(folder, results, "one-each-counted")
    row = open_study(paths.root).other_tables[0].iloc[0]
    # Wilson for 40,050 of 50,000: 80.1 % and about 0.35 points to each side.
    assert row["accuracy_low_percent"] == pytest.approx(79.748, abs=0.002)


def test_latencies_have_rounds(folder, results):
    _, paths = make(folder, results, "latency")
    row = open_study(paths.root).tradeoff.set_index("variant").loc["A"]
    assert row["latency_rounds"] == 2
    assert row["latency_p50_ms"] == pytest.approx(4.15)
    assert row["latency_device"] == "unknown device"


CLAIMS = [
    {
        "name": "above",
        "claim": "B is above A",
        "test": {"kind": "greater", "metric": "accuracy", "a": ["B"], "b": ["A"]},
    },
    {
        "name": "slower",
        "claim": "B is slower than A",
        "test": {"kind": "greater", "metric": "latency", "batch_size": 8, "a": ["B"], "b": ["A"]},
    },
    {
        "name": "larger",
        "claim": "B has more parameters",
        "test": {"kind": "greater", "metric": "params", "a": ["B"], "b": ["A"]},
    },
    {
        "name": "alone",
        "claim": "C is above A",
        "test": {"kind": "greater", "metric": "accuracy", "a": ["C"], "b": ["A"]},
    },
]


def test_claims_are_added_in_the_config(folder, results):
    make(folder, results, "accuracy-and-latency")
    config = folder / "config" / "accuracy-and-latency" / "config.yaml"
    config.write_text(config.read_text() + yaml.safe_dump({"claims": CLAIMS}))
    spec = load_study(config)
    claims = StudyResults(spec, spec.paths(results)).claims().set_index("name")
    assert claims["verdict"].to_dict()["larger"] == "supported"
    assert claims["verdict"].to_dict()["slower"] == "supported"
    assert claims.loc["above", "verdict"] in ("supported", "undecided")
    assert claims.loc["alone", "verdict"] == "untested"
    hypotheses = StudyResults(spec, spec.paths(results)).claim_tables[1].set_index("name")
    assert hypotheses.loc["above", "only_seeds"]
    assert "round" not in hypotheses.loc["above", "status"]


def test_the_example_in_the_config_is_a_claim(folder, results):
    make(folder, results, "accuracy")
    text = (folder / "config" / "accuracy" / "config.yaml").read_text()
    example = text[text.index("# claims:") :].replace("\n# ", "\n")[2:]
    spec = load_study(folder / "config" / "accuracy" / "config.yaml")
    raw = {**spec.model_dump(mode="json"), **yaml.safe_load(example)}
    (folder / "more.json").write_text(json.dumps(raw))
    assert load_study(folder / "more.json").claims[0].test.a == ("B",)


def add(folder, config, results, text, **choices):
    file = folder / "theirs.csv"
    file.write_text(text)
    found = read_files([file], Choices(**choices))
    target = existing_target(config, results)
    spec = plan_study(target, found)
    write_imports(target, spec, found)
    return spec


@pytest.fixture
def own(folder, results):
    """A study with trainings of its own, and its config file."""
    study = predicted_study(seeds=[0, 1, 2])
    write_predicted(study, study.paths(results))
    raw = study.model_dump(mode="json")
    raw.pop("imported")
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(raw, sort_keys=False))
    return config


THEIRS = "model,seed,acc\ntheirs,0,90\ntheirs,1,91\ntheirs,2,92\n"


def test_results_next_to_own_trainings(folder, results, own):
    before = {job: path.read_bytes() for job, path in _own_records(own, results)}
    spec = add(folder, own, results, THEIRS, dataset="low", recipe="quick")
    assert load_study(own) == spec
    study = StudyResults(spec, spec.paths(results))
    # Own trainings stay current, and a variant of all is none of the imported ones.
    assert set(study.runs.loc[study.runs["kind"] == "train", "status"]) == {"ok"}
    assert [job for job in spec.own_jobs() if job.variant == "theirs"] == []
    pairs = study.differences(("train", "low", "quick"), base="A")
    assert {"B", "T", "theirs"} == set(pairs["variant"])
    assert pairs.set_index("variant").loc["theirs", "difference_points"] > 10
    assert {job: path.read_bytes() for job, path in _own_records(own, results)} == before
    assert write_tables(spec, spec.paths(results))
    assert "imported from elsewhere" in summary_text(spec, spec.paths(results))
    assert "theirs.csv" in Path(write_page(spec, spec.paths(results), None)).read_text()


def _own_records(config, results):
    spec = load_study(config)
    paths = spec.paths(results)
    return [(job, paths.record(job)) for job in spec.own_jobs() if paths.record(job).exists()]


def test_more_results_for_the_same_study(folder, results, own):
    add(folder, own, results, THEIRS, dataset="low", recipe="quick")
    text = own.read_text()
    spec = add(
        folder, own, results, THEIRS.replace("theirs", "others"), dataset="low", recipe="quick"
    )
    assert own.read_text() == text
    (block,) = spec.imported
    assert block.seeds == {"theirs": (0, 1, 2), "others": (0, 1, 2)}


def test_predictions_on_the_studys_own_images(folder, results, own):
    names = ["a", "b", "c"]
    shuffled = np.random.default_rng(0).permutation(len(LABELS))
    study = load_study(own)
    lines = ["label,predicted,seed,model"]
    for seed in range(3):
        for label in LABELS:
            lines.append(f"{names[label]},{names[label]},{seed},perfect")
    file = folder / "p.csv"
    file.write_text("\n".join(lines))
    found = read_files([file], Choices(dataset="low", recipe="quick"))
    # Labels in the order of classes don't tell images apart.
    kept = adopt_images(found, study, study.paths(results))
    assert not kept.identities
    assert "seeds alone" in kept.notes[-1]
    labels = LABELS[shuffled]
    for job in study.own_jobs():
        path = study.paths(results).record(job)
        if path.exists():
            _relabel(path, job, labels)
    file.write_text(
        "\n".join(
            [lines[0]]
            + [f"{names[k]},{names[k]},{seed},perfect" for seed in range(3) for k in labels]
        )
    )
    found = read_files([file], Choices(dataset="low", recipe="quick"))
    kept = adopt_images(found, study, study.paths(results))
    assert kept.identities["low"].fingerprint == "f" * 64
    target = existing_target(own, results)
    spec = plan_study(target, kept)
    write_imports(target, spec, kept)
    study = StudyResults(spec, spec.paths(results))
    pairs = study.differences(("train", "low", "quick"), base="A").set_index("variant")
    assert pairs.loc["perfect", "num_images"] == len(LABELS)
    assert pairs.loc["perfect", "all_p"] < 0.05
    assert pairs.loc["perfect", "verdict"] == ABOVE


def _relabel(path, job, labels):
    record = records.read(path, job)
    record = with_predictions(record, path, 0.5 + 0.05 * job.seed, labels)
    assert record.dataset
    counts = np.bincount(labels, minlength=3).tolist()
    dataset = record.dataset.model_copy(update={"test_images_per_class": counts})
    records.write(path, record.model_copy(update={"dataset": dataset}))


def test_what_a_study_has_is_not_imported_again(folder, results, own):
    add(folder, own, results, THEIRS, dataset="low", recipe="quick")
    with pytest.raises(UserError, match="must not have a result yet"):
        add(folder, own, results, THEIRS, dataset="low", recipe="quick")
    with pytest.raises(UserError, match="must not have"):
        add(folder, own, results, THEIRS.replace("theirs", "A"), dataset="low", recipe="other")


def test_a_study_is_never_overwritten(folder, results):
    make(folder, results, "accuracy")
    for name in ("accuracy", "ACCURACY"):
        with pytest.raises(UserError, match="never overwrites"):
            new_target(name, results)
    with pytest.raises(UserError, match="--as"):
        new_target("../x", results)


def test_nothing_is_left_of_an_import_that_fails(folder, results, monkeypatch):
    calls = []

    def fail(path, record):
        calls.append(path)
        if len(calls) == 3:
            raise UserError("the disk is full")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")

    monkeypatch.setattr("resnest_bench.imports.writing.records.write", fail)
    with pytest.raises(UserError, match="full"):
        make(folder, results, "accuracy")
    assert sorted(path.name for path in folder.rglob("*") if path.is_file()) == ["accuracy-0.csv"]
    assert not (folder / "results" / "accuracy").exists()


def test_a_record_that_is_gone_or_another_is_said(folder, results):
    spec, paths = make(folder, results, "accuracy")
    first, second, *_ = spec.jobs()
    paths.record(first).unlink()
    paths.record(second).write_text("{}")
    outcomes = {o.job: o for o in read_outcomes(spec, paths)}
    assert (outcomes[first].status, outcomes[first].to_do) == ("missing", False)
    assert (outcomes[second].status, outcomes[second].to_do) == ("invalid", False)
    status = read_status(spec, paths)
    assert status.snapshot.done == len(spec.jobs())


def test_an_imported_study_keeps_its_schema(folder, results):
    spec, paths = make(folder, results, "accuracy")
    record = records.read(paths.record(spec.jobs()[0]), spec.jobs()[0])
    assert record.imported
    assert record.environment is None
    records.write(paths.root / "x.json", record.model_copy(update={"imported": None}))
    with pytest.raises(UserError, match="imported"):
        records.read(paths.root / "x.json")
    assert dump_study(load_study(paths.study)) == paths.study.read_text()


def run(*arguments):
    done = CliRunner().invoke(app, ["import", *map(str, arguments)])
    if isinstance(done.exception, UserError):
        raise done.exception
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


def test_the_command_says_what_it_takes_and_a_dry_run_writes_nothing(folder):
    (folder / "mine.csv").write_text(ACCURACIES)
    output = run("mine.csv", "--dry-run")
    assert "percent" in output
    assert not (folder / "results").exists()
    assert not (folder / "config").exists()
    assert "results/mine" in run("mine.csv", "--dataset", "CIFAR-10", "--num-test", "10000")
    assert (folder / "results/mine/study.json").exists()
    (folder / "both.csv").write_text(BOTH)
    run("both.csv", "--as", "other", "--variant", "model", "--unit", "accuracy=fraction")
    assert (folder / "config/other/config.yaml").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--as", "x", "--into", "c.yaml"], "only one"),
        (["--metric", "accuracy"], "NAME=VALUE"),
        (["--metric", "speed=acc"], "accuracy"),
        (["--unit", "accuracy=permille"], "UNIT is one of"),
        (["--into", "gone.yaml"], "cannot read"),
    ],
)
def test_options_that_can_not_be(folder, options, words):
    (folder / "mine.csv").write_text(ACCURACIES)
    with pytest.raises(UserError, match=words):
        run("mine.csv", *options)


def test_a_config_that_can_not_be_added_to(folder, results, own):
    spec = yaml.safe_load(own.read_text())
    own.write_text(json.dumps(spec))
    with pytest.raises(UserError, match="no line can be added"):
        add(folder, own, results, THEIRS, dataset="low", recipe="quick")
    assert not list(results.rglob("theirs"))
    with pytest.raises(UserError, match="config file"):
        existing_target(results / "x" / "study.json", results)
    own.write_text(yaml.safe_dump({**spec, "imported": []}))
    with pytest.raises(UserError, match="list"):
        existing_target(own, results)
