"""Several cores on a machine without a GPU: what `run` tells Snakemake."""

import pytest
import yaml

from resnest_bench.cli import cores, launch, project
from resnest_bench.cli.cores import choose_for_jobs, list_rules
from resnest_bench.cli.launch import has_several_cores, parse_cores
from resnest_bench.errors import UserError
from resnest_bench.planning.cores import CoreUse
from resnest_bench.planning.worker import Answer
from support.records_factory import CONFIG, make_study

STUDY = make_study()
TRAININGS = [job for job in STUDY.jobs() if job.kind == "train"]


@pytest.mark.parametrize(
    ("options", "number"),
    [
        (["--cores", "4"], 4),
        (["--cores=4"], 4),
        (["-c4"], 4),
        (["-c", "4"], 4),
        (["-j2"], 2),
        (["--jobs", "2"], 2),
        (["--cores", "x"], None),
        (["--cores"], None),
        ([], None),
        (["--cores", "0"], None),
        (["--cores", "4", "--keep-going"], 4),
    ],
)
def test_the_number_of_cores_is_read(options, number):
    assert parse_cores(options) == number


def test_all_cores_are_the_machines(monkeypatch):
    monkeypatch.setattr(launch.os, "cpu_count", lambda: 6)
    assert parse_cores(["--cores", "all"]) == 6


@pytest.mark.parametrize(
    "more", [["--dry-run"], ["-n"], ["--unlock"], ["--set-threads", "train=2"], ["--profile=x"]]
)
def test_where_nothing_is_trained_or_somebody_says_how_nothing_is_measured(more, monkeypatch):
    monkeypatch.delenv("SNAKEMAKE_PROFILE", raising=False)
    assert has_several_cores(["--cores", "4"])
    assert not has_several_cores(["--cores", "1"])
    assert not has_several_cores(["--cores", "4", *more])


def test_a_run_with_several_cores_tells_snakemake_how_to_use_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SNAKEMAKE_PROFILE", raising=False)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({**CONFIG, "data_dir": "data"}))
    commands = []
    monkeypatch.setattr(launch, "exec_command", commands.append)
    monkeypatch.setattr(cores.torch.cuda, "is_available", lambda: False)
    speeds = {CoreUse(2, 1): Answer(9.0, 1), CoreUse(1, 2): Answer(5.0, 1)}
    monkeypatch.setattr(cores, "measure_core_uses", lambda *_: speeds)
    project.run(study=tmp_path / "config.yaml", options=["--cores", "2"])
    (command,) = commands
    assert command[-2:] == ["--cores", "2"]
    start = command.index("--set-threads")
    assert command[start : start + 6] == [
        "--set-threads",
        "train=1",
        "finetune=1",
        "--set-resources",
        "train:gpu=0",
        "finetune:gpu=0",
    ]
    # A list of values ends where the next option begins.
    assert command[start + 6].startswith("--")


def test_with_one_core_or_a_gpu_everything_is_as_ever(tmp_path, monkeypatch):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({**CONFIG, "data_dir": "data"}))
    commands = []
    monkeypatch.setattr(launch, "exec_command", commands.append)
    monkeypatch.setattr(cores.torch.cuda, "is_available", lambda: True)
    for options in (["--cores", "1"], ["--cores", "2"]):
        project.run(study=tmp_path / "config.yaml", options=options)
    assert all("--set-threads" not in command for command in commands)


def test_what_cannot_be_measured_runs_in_the_usual_way(monkeypatch):
    def measure_core_uses(*_):
        raise UserError("no such layer")

    monkeypatch.setattr(cores, "measure_core_uses", measure_core_uses)
    choice = choose_for_jobs(STUDY, TRAININGS, 2, None)
    assert choice.core_use == CoreUse(2, 1)
    assert "no such layer" in str(choice)


def test_rules_are_those_of_the_workflow():
    assert list_rules(STUDY) == ["train", "finetune"]
