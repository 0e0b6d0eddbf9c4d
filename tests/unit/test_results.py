"""What a user has in Python of a study: `import resnest_bench as rb`."""

import subprocess
import sys

import pytest

import resnest_bench as rb
from resnest_bench import results
from resnest_bench.frames.rows import collect
from resnest_bench.specs import dump_study
from resnest_bench.status.fingerprints import read_fingerprints


@pytest.fixture
def opened(study, paths):
    paths.study.write_text(dump_study(study))
    return rb.open_study(paths.root)


def test_its_frames_are_those_of_the_records(opened, study, paths):
    expected = collect(study, paths, read_fingerprints(study))
    assert opened.runs.equals(expected)
    assert set(opened.cells["kind"]) == {"latency"}
    assert set(opened.epochs["kind"]) == {"train", "finetune"}
    assert not paths.frames.exists(), "looking writes nothing"


def test_experiments_are_those_that_the_study_asks_for(opened, study):
    assert set(opened.experiments) == {job.experiment for job in study.jobs()}
    assert opened.experiments[0] == ("train", "low", "quick")


def test_every_experiment_can_be_compared(opened):
    main = opened.differences()
    # Whichever variants the ablation table shows.
    assert (main["variant"].tolist(), main["base"].tolist()) == (["B", "T", "T"], ["A", "A", "B"])
    assert opened.accuracies()["variant"].tolist() == ["A", "B", "T"]
    assert opened.standings()["variant"].tolist() == ["T", "B", "A"]
    every = opened.differences(opened.experiments[0])
    assert len(every) == 3
    against = opened.differences(opened.experiments[0], base="B")
    assert set(against["base"]) == {"B"}
    tuned = next(one for one in opened.experiments if one.kind == "finetune")
    assert opened.accuracies(tuned)["mean_percent"].notna().all()


def test_what_is_computed_once_is_kept(opened):
    assert opened.differences() is opened.differences()
    assert opened.runs is opened.runs


def test_comparisons_beyond_a_number_are_let_go(opened, monkeypatch):
    monkeypatch.setattr(results, "MAX_COMPARED", 2)
    tables = [opened.differences(opened.experiments[0], base=name) for name in ("A", "B", "T")]
    again = [opened.differences(opened.experiments[0], base=name) for name in ("T", "B", "A")]
    assert again[0] is tables[2]
    assert again[1] is tables[1]
    assert again[2] is not tables[0]
    assert again[2].equals(tables[0])


def test_samples_are_those_of_the_variants(opened):
    assert set(opened.samples(["A"])["variant"]) == {"A"}
    assert len(opened.samples()) > len(opened.samples(["A"]))


def test_claims_and_effects_have_their_columns_without_a_row(opened):
    assert "verdict" in opened.claims()
    assert "effect" in opened.effects()


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda study: study.differences(("train", "low", "none")), "train, low, quick"),
        (lambda study: study.differences(base="Z"), "A, B, T"),
    ],
)
def test_what_the_study_does_not_have_is_refused(opened, ask, words):
    with pytest.raises(rb.UserError, match=words):
        ask(opened)


@pytest.mark.parametrize("content", [None, "{}", "no JSON"])
def test_a_folder_without_a_study_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "study.json").write_text(content)
    with pytest.raises(rb.UserError, match=r"study\.json"):
        rb.open_study(tmp_path)


def test_the_package_is_imported_without_pandas():
    code = "import sys, resnest_bench; assert 'pandas' not in sys.modules; resnest_bench.open_study; assert 'pandas' in sys.modules and 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError):
        rb.nothing  # noqa: B018
