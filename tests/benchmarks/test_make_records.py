import importlib.util

import pytest

from resnest_bench import records
from resnest_bench.digests import PACKAGE
from resnest_bench.frames.rows import collect, epochs_frame
from resnest_bench.specs import load_study

FILE = PACKAGE.parents[1] / "benchmarks/make_records.py"
NUM_RECORDS = 60


@pytest.fixture(scope="module")
def make_records():
    spec = importlib.util.spec_from_file_location("make_records", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def written(make_records, tmp_path):
    def write(folder="a", num_seeds=4, num_rounds=1, gaps=False):
        study = make_records.make_study(NUM_RECORDS, num_seeds, num_rounds)
        paths = study.paths(tmp_path / folder)
        return study, paths, make_records.write_study(study, paths, gaps)

    return write


def test_every_record_is_valid_and_says_that_it_is_synthetic(written):
    study, paths, count = written()
    assert count == len(study.jobs()) == NUM_RECORDS
    for job in study.jobs():
        record = records.read(paths.record(job), job)
        assert record.dataset.label == "synthetic: no measurement"
        assert record.environment.device_name == "synthetic"


def test_the_tables_take_them_all(written):
    study, paths, _ = written(num_seeds=8, num_rounds=2)
    assert len(study.variants) == 6
    runs = collect(load_study(paths.study), paths)
    assert runs["status"].eq("ok").all()
    accuracies = runs["test_accuracy"].dropna()
    assert accuracies.between(0.5, 0.95).all()
    assert accuracies.nunique() > 40
    assert runs["latency_p50_ms"].notna().sum() == 12
    assert len(epochs_frame(study, paths)) == 20 * 48


def test_the_same_arguments_give_the_same_bytes(written):
    (study, first, _), (_, second, _) = written("a"), written("b")
    for file in (first.study, *map(first.record, study.jobs())):
        assert file.read_bytes() == (second.root / file.relative_to(first.root)).read_bytes()


def test_gaps_are_missing_and_failed_records(make_records, written, monkeypatch):
    monkeypatch.setattr(make_records, "MISSING_EVERY", 20)
    monkeypatch.setattr(make_records, "FAILED_EVERY", 25)
    study, paths, count = written(gaps=True)
    assert count == 57
    counts = collect(study, paths)["status"].value_counts().to_dict()
    assert counts == {"ok": 55, "missing": 3, "failed": 2}
