"""`resnest-bench status`, as another terminal starts it."""

import pytest
import yaml
from typer.testing import CliRunner

from resnest_bench.cli.app import app
from resnest_bench.cli.studies import find_study
from resnest_bench.errors import UserError
from support.records_factory import make_study, write_study


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A finished study, seen from the folder that it was run in."""
    monkeypatch.chdir(tmp_path)
    study = make_study()
    write_study(study, study.paths(tmp_path / "results"))
    return tmp_path / "results" / study.study


def status(*args, **environ):
    return CliRunner().invoke(app, ["status", *args], env={"COLUMNS": "80", **environ})


def list_files(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.mark.parametrize("name", ["synthetic", "results/synthetic", "results/synthetic/study.json"])
def test_a_study_by_its_name_or_its_folder(folder, name):
    done = status(name)
    assert done.exit_code == 0, done.output
    num = len(make_study().jobs())
    assert f"{num} of {num} records" in done.output


def test_a_study_by_its_config_file(folder, tmp_path):
    config = {
        "study": "synthetic",
        "seeds": [0],
        "train": [{"dataset": "digits", "recipe": "smoke"}],
        "variants": [{"name": "A", "family": "timm", "model": "test_resnet"}],
        "datasets": {"digits": {"source": "digits"}},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    assert (
        find_study("config.yaml", folder.parent)
        == folder.relative_to(tmp_path).parent.parent / folder
    )


def test_without_a_name_all_studies(folder, tmp_path):
    other = make_study(study="other")
    write_study(other, other.paths(tmp_path / "results"))
    done = status()
    assert done.exit_code == 0
    assert "synthetic" in done.output
    assert "other" in done.output


def test_it_changes_nothing(folder):
    before = list_files(folder.parent)
    assert status("synthetic").exit_code == 0
    assert list_files(folder.parent) == before


def test_a_failure_is_red_in_a_terminal_alone_and_fits(folder):
    record = next(folder.rglob("records/train/**/seed-0.json"))
    record.unlink()
    log = folder / "logs" / record.relative_to(folder / "records").parent.with_suffix(".log")
    log.parent.mkdir(parents=True)
    log.write_text("resnest-bench: error: the disk is full\n")
    done = status("synthetic")
    assert "1 failed" in done.output
    assert "the disk is full" in done.output
    assert "\x1b" not in done.output
    view = done.output.partition("FAILED")[0].splitlines()
    assert max(map(len, view)) <= 80
    assert "\x1b[31m" in status("synthetic", FORCE_COLOR="1", TERM="xterm").output
    assert "\x1b[31m" not in status("synthetic", FORCE_COLOR="1", TERM="xterm", NO_COLOR="1").output


def test_a_study_that_is_not_there_names_those_that_are(folder):
    with pytest.raises(UserError, match="synthetic"):
        find_study("typo", folder.parent)


def test_a_folder_without_studies(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = status()
    assert isinstance(done.exception, UserError)
    assert "resnest-bench run" in str(done.exception)
