"""The command as a user starts it: one line for a mistake, an exit code, no traceback."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from resnest_bench.cli.app import app
from resnest_bench.errors import UserError
from support.records_factory import make_study, write_study

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).parent / "resnest-bench"
SUBCOMMANDS = [
    "plan",
    "describe",
    "data",
    "train",
    "latency",
    "finetune",
    "tables",
    "figures",
    "show",
    "export",
    "doctor",
    "init",
    "run",
    "status",
    "import",
    "dashboard",
]


def run(*args, cwd=ROOT, command=None):
    command = command or started[0]
    return subprocess.run(
        [command, *map(str, args)], cwd=cwd, capture_output=True, text=True, timeout=300
    )


started: list[Path] = []


@pytest.fixture(autouse=True)
def start_warm(warm):
    """Forks of a process that has imported torch: a start takes tenths of a second."""
    started[:] = [warm / "resnest-bench"]


@pytest.fixture
def study(tmp_path):
    """A small study in a folder of its own."""
    config = {
        "study": "cli",
        "seeds": [0],
        "variants": [{"name": "A", "family": "timm", "model": "test_resnet"}],
        "datasets": {"digits": {"source": "digits", "classes": [0, 1]}},
        "train": [{"dataset": "digits", "recipe": "smoke"}],
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    return tmp_path


def test_the_installed_command_starts():
    done = run("--help", command=COMMAND)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(name in done.stdout for name in SUBCOMMANDS)


def test_a_users_mistake_is_one_line_and_no_traceback(study):
    text = (study / "config.yaml").read_text().replace("recipe: smoke", "recipe: smokey")
    (study / "config.yaml").write_text(text)
    for command in (
        ["plan"],
        ["tables"],
        ["train", "--variant", "A", "--dataset", "digits", "--recipe", "smoke"],
    ):
        done = run(*command, "--study", "config.yaml", cwd=study)
        assert done.returncode == 1
        assert done.stdout == ""
        assert done.stderr.count("\n") == 1
        assert done.stderr.startswith("resnest-bench: error: config.yaml, line 12: train[0].recipe")


def test_the_error_stands_in_the_log_too(study):
    done = run(
        "train",
        "--study",
        "config.yaml",
        "--variant",
        "B",
        "--dataset",
        "digits",
        "--recipe",
        "smoke",
        "--log",
        "logs/a.log",
        cwd=study,
    )
    assert done.returncode == 1
    assert "train B on digits" in (study / "logs/a.log").read_text()


def test_weights_that_the_study_does_not_name_are_not_downloaded(study):
    done = run("weights", "--study", "config.yaml", "--hub", "../up", cwd=study)
    assert done.returncode == 1
    assert done.stderr.startswith("resnest-bench: error: --hub ")
    assert done.stderr.endswith("'../up'\n")
    assert "(none)" in done.stderr


def test_training_without_data_says_what_to_run(study):
    done = run(
        "train",
        "--study",
        "config.yaml",
        "--variant",
        "A",
        "--dataset",
        "digits",
        "--recipe",
        "smoke",
        cwd=study,
    )
    assert done.returncode == 1
    assert "resnest-bench data" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", SUBCOMMANDS)
def test_help_tells_units_and_defaults(command):
    done = CliRunner().invoke(app, [command, "--help"])
    assert done.exit_code == 0
    assert "--help" in done.output
    if command not in ("show",):
        assert "default" in done.output


def test_describe_as_json_is_unrounded():
    done = run("describe", "--json")
    rows = {row["variant"]: row for row in json.loads(done.stdout)}
    assert len(rows) >= 16
    assert rows["ResNeSt-14-2s1x64d"]["num_params"] == 8_583_178
    assert rows["EfficientNet-b0"]["uncounted_operators"]["native_batch_norm"] == 49


def test_describe_as_a_table_says_what_is_counted():
    done = run("describe", "--study", "config/demo/config.yaml", "--image-size", "64")
    assert "3x64x64" in done.stdout
    assert "not\ncounted" in done.stdout or "not counted" in done.stdout


def test_plan_names_claims_about_variants_that_are_not_here(study):
    config = yaml.safe_load((study / "config.yaml").read_text())
    test = {"kind": "greater", "metric": "accuracy", "a": ["A"], "b": ["Typo"]}
    config["claims"] = [{"name": "c", "claim": "A is better.", "source": "us", "test": test}]
    (study / "config.yaml").write_text(yaml.safe_dump(config))
    done = run("plan", "--study", "config.yaml", "--no-cost", cwd=study)
    assert done.returncode == 0, done.stderr
    assert "Claims: 1. " in done.stdout
    assert "c (Typo)" in done.stdout


def test_plan_says_device_and_cost(study):
    done = run("plan", "--study", "config.yaml", "--device", "cpu", cwd=study)
    assert done.returncode == 0
    assert "On the CPU" in done.stdout
    assert "total" in done.stdout
    assert "timing 1 of 1" in done.stderr


def test_doctor_says_what_to_do(study):
    done = run("doctor", "--study", "config.yaml", cwd=study)
    assert done.returncode == 0, done.stdout
    topics = [line.split()[1] for line in done.stdout.splitlines()]
    assert topics[:5] == ["device", "driver", "quiet", "scheduler", "study"]
    config = yaml.safe_load((study / "config.yaml").read_text())
    config["datasets"]["photos"] = {"source": "imagefolder", "path": "nowhere", "image_size": 32}
    (study / "config.yaml").write_text(yaml.safe_dump(config))
    done = run("doctor", "--study", "config.yaml", cwd=study)
    assert done.returncode == 1
    assert f"nowhere does not exist in {study}" in done.stdout


def test_show_before_a_run_says_what_to_run(tmp_path):
    done = run("show", "results/none", cwd=tmp_path)
    assert done.returncode == 1
    assert "resnest-bench run" in done.stderr


def test_export_writes_one_file_and_says_which(tmp_path):
    study = make_study(latency=[], finetune=[])
    write_study(study, study.paths(tmp_path))
    folder = tmp_path / "synthetic"
    done = CliRunner().invoke(app, ["export", str(folder)])
    assert done.exit_code == 0
    assert done.output.strip() == str(folder / "synthetic.html")
    out = tmp_path / "elsewhere" / "page.html"
    done = CliRunner().invoke(app, ["export", str(folder), "--out", str(out)])
    assert done.output.strip() == str(out)
    assert out.read_bytes() == (folder / "synthetic.html").read_bytes()


def test_crate_writes_one_archive_and_says_which(tmp_path):
    study = make_study(latency=[], finetune=[])
    write_study(study, study.paths(tmp_path))
    folder = tmp_path / "synthetic"
    done = CliRunner().invoke(app, ["crate", str(folder)])
    assert done.exit_code == 0
    assert done.output.strip() == str(folder / "synthetic.crate.zip")
    # Again: an archive is replaced.
    assert CliRunner().invoke(app, ["crate", str(folder)]).exit_code == 0


@pytest.mark.parametrize("agent", [[], ["--agent", "Ann"]])
def test_an_orcid_must_be_one_and_somebodys(tmp_path, agent):
    orcid = "0000-0002-1825-0097" if agent else "https://orcid.org/0000-0002-1825-0097"
    done = CliRunner().invoke(app, ["crate", str(tmp_path), "--orcid", orcid, *agent])
    assert isinstance(done.exception, UserError)
    assert "--orcid" in str(done.exception)


def test_export_without_a_study_says_what_to_run(tmp_path):
    done = run("export", "results/none", cwd=tmp_path)
    assert done.returncode == 1
    assert "resnest-bench run" in done.stderr


def test_an_unknown_option_is_no_traceback():
    done = run("train", "--variantt", "x")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_full_disk_is_one_line(study, monkeypatch, capsys):
    from resnest_bench.cli import reading
    from resnest_bench.cli.app import main

    def full(*_):
        raise OSError(28, "No space left on device", "results/x")

    monkeypatch.setattr(reading, "load_study", full)
    monkeypatch.setattr(reading, "start_logging", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["resnest-bench", "tables"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    assert capsys.readouterr().err == "resnest-bench: error: results/x: No space left on device\n"


def test_the_command_line_starts_no_thread():
    """A process with a second thread can't be the parent of forked jobs; pandas' pyarrow starts one."""
    code = "import sys, resnest_bench.cli.app; print([m for m in ('pandas', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "[]", done.stderr
