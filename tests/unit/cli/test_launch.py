"""What `resnest-bench run` and `dashboard` call, and from where."""

import os
import sys

import pytest

from resnest_bench.cli import launch
from resnest_bench.cli.launch import (
    cache_variables,
    search_path,
    snakemake_command,
    streamlit_command,
)
from resnest_bench.cli.project import run
from resnest_bench.cli.shipped import dashboard_app, project_root, shipped_studies, snakefile
from resnest_bench.cli.warm_client import COLD_VARIABLE
from resnest_bench.errors import UserError

STUDY = """\
study: mine
variants: [{name: A, family: timm, model: resnet18}]
seeds: [0]
datasets: {digits: {source: digits}}
train: [{dataset: digits, recipe: smoke}]
"""


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.delenv("SNAKEMAKE_PROFILE", raising=False)
    (tmp_path / "config.yaml").write_text(STUDY)
    return tmp_path / "config.yaml"


def test_snakemake_gets_this_installations_workflow_and_one_core(study):
    assert snakemake_command(study, ["--dry-run"]) == [
        sys.executable,
        "-m",
        "resnest_bench.cli.run_snakemake",
        "--snakefile",
        str(snakefile()),
        "--configfile",
        str(study),
        "--cores",
        "1",
        "--dry-run",
    ]


@pytest.mark.parametrize(
    "options", [["--cores", "4"], ["--cores=4"], ["-c4"], ["-j", "2"], ["--profile", "slurm"]]
)
def test_who_says_how_much_gets_no_default(study, options):
    command = snakemake_command(study, options)
    assert command[-len(options) :] == options
    assert command.count("--cores") == options.count("--cores")


def test_snakemakes_own_log_is_an_option_of_its(study):
    assert "--logger-resnest-bench-style" not in snakemake_command(study, [])
    command = snakemake_command(study, ["--dry-run"], own_log=True)
    assert command[-3:] == ["--logger-resnest-bench-style", "snakemake", "--dry-run"]


def test_unlock_is_an_option_of_run(study, monkeypatch):
    commands = []
    monkeypatch.setattr(launch, "exec_command", commands.append)
    run(study=study, unlock=True)
    run(study=study, options=["--dry-run"])
    assert commands[0] == snakemake_command(study, ["--unlock"])
    assert "--unlock" not in commands[1]


def test_cold_starts_are_an_option_of_run(study, monkeypatch):
    variables = []
    monkeypatch.setattr(launch, "exec_command", lambda _: variables.append(dict(os.environ)))
    monkeypatch.delenv(COLD_VARIABLE, raising=False)
    run(study=study)
    # So that this test's own process is as before.
    monkeypatch.setenv(COLD_VARIABLE, "")
    run(study=study, cold_start=True)
    assert [found.get(COLD_VARIABLE) for found in variables] == [None, "1"]


def test_a_profile_in_the_environment_says_how_much(study, monkeypatch):
    monkeypatch.setenv("SNAKEMAKE_PROFILE", "slurm")
    assert "--cores" not in snakemake_command(study, [])


def test_without_a_study_it_says_how_to_get_one(tmp_path):
    with pytest.raises(UserError, match="resnest-bench init"):
        snakemake_command(tmp_path / "config" / "config.yaml", [])


def test_a_key_given_twice_is_refused_before_snakemake_takes_the_last(study):
    study.write_text("study: mine\nstudy: yours\n")
    with pytest.raises(UserError, match=r"config\.yaml, line 2: .*'study'"):
        snakemake_command(study, [])


def test_a_study_that_is_not_valid_is_refused_before_snakemake_starts(study):
    study.write_text(STUDY.replace("[0]", "[0, 0]"))
    with pytest.raises(UserError, match=r"config\.yaml, line 3: seeds"):
        snakemake_command(study, [])
    # What the workflow is given in its place may be valid.
    assert snakemake_command(study, ["--config", "seeds=[0]"])[-1] == "seeds=[0]"


def test_caches_go_to_the_home_folder_where_it_can_be_written(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_variables() == {}


@pytest.mark.parametrize("variable", ["HOME", "XDG_CACHE_HOME"])
def test_caches_stay_with_the_study_where_the_home_folder_cannot_be_written(
    variable, tmp_path, monkeypatch
):
    (tmp_path / "file").write_text("no folder can be made in a file")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv(variable, str(tmp_path / "file"))
    assert cache_variables() == {"XDG_CACHE_HOME": str(tmp_path / ".snakemake/cache")}


def test_streamlit_gets_this_installations_dashboard_and_the_folder_last(tmp_path):
    command = streamlit_command(tmp_path, ["--server.port", "8600"])
    assert command[3:5] == ["run", str(dashboard_app())]
    assert command[5:] == ["--server.port", "8600", "--", "--results", str(tmp_path)]
    assert "--" not in streamlit_command(None, [])


def test_results_that_are_no_folder_are_said(tmp_path):
    with pytest.raises(UserError, match="--results"):
        streamlit_command(tmp_path / "gone", [])


def test_jobs_find_the_command_that_started_them(tmp_path, monkeypatch):
    """Also where its environment is not activated, and through a link to it."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "resnest-bench").touch()
    (tmp_path / "link").symlink_to(tmp_path / "bin" / "resnest-bench")
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "link"), "run"])
    monkeypatch.setenv("PATH", "/somewhere")
    folders = search_path().split(os.pathsep)
    assert folders[0] == str(tmp_path / "bin")
    assert folders[-1] == "/somewhere"


def test_a_wheels_copy_comes_before_the_folder_around_it(tmp_path):
    package = tmp_path / "src" / "resnest_bench"
    package.mkdir(parents=True)
    assert project_root(package) == tmp_path
    (package / "_shipped").mkdir()
    assert project_root(package) == package / "_shipped"


def test_what_is_shipped_is_there():
    assert snakefile().is_file()
    assert dashboard_app().is_file()
    assert all(path.is_file() for path in shipped_studies().values())
