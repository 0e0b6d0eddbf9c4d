"""Each command of the README, and of the two pages that go on from it, is run by a test: this says by which one.

A new command needs an entry.
"""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from resnest_bench.cli.init import write_study
from support.documents import ROOT, fences, inline_commands, shell_lines

PAGES = [ROOT / name for name in ("README.md", "docs/studies.md", "docs/output.md")]
CLI, STUDY = "tests/processes/test_commands.py", "tests/workflow/test_study.py"
INSTALLED, HERE = "tests/workflow/test_installed.py", "tests/docs/test_readme.py"

# Where a command takes minutes or a machine that a test doesn't have, the test runs it on less: that
# is said beside it.
RUN_BY = {
    "make demo": f"{HERE}::test_the_demo",  # two of its networks, one seed, one epoch
    "make env": ".ci/run",  # what `make test` needs first
    "make test": ".ci/run",
    "make dashboard": "tests/browser/test_dashboard.py::test_no_page_shows_an_error",
    # The test installs no dependencies; .ci/readers does, without torch.
    "pip install '.[train]'": f"{INSTALLED}::test_init_run_and_report_in_a_folder_of_ones_own",
    "resnest-bench init mine --like subset": "tests/unit/cli/test_init.py::test_a_copy_is_the_same_study",
    # Another study, by the same copy.
    "resnest-bench init mine --like attention": "tests/unit/cli/test_init.py::test_a_copy_is_the_same_study",
    "resnest-bench init mine": f"{INSTALLED}::test_init_run_and_report_in_a_folder_of_ones_own",
    "cd mine": f"{INSTALLED}::test_init_run_and_report_in_a_folder_of_ones_own",
    "resnest-bench run": f"{INSTALLED}::test_init_run_and_report_in_a_folder_of_ones_own",
    "resnest-bench dashboard": f"{INSTALLED}::test_the_dashboard_is_served_to_this_machine_alone",
    "source .venv/bin/activate": "docs/tutorial.md",
    "resnest-bench plan --decide": "tests/unit/cli/test_decide.py::test_it_says_why_each_claim_gets_seeds_or_none",
    "resnest-bench plan": f"{CLI}::test_plan_says_device_and_cost",  # another study
    "resnest-bench plan --study config/attention/config.yaml --cores 2": f"{CLI}::test_plan_says_device_and_cost",
    # A study of two networks.
    "snakemake --cores 2 --configfile config/attention/config.yaml": f"{STUDY}::test_it_makes_every_record_table_and_figure",
    "snakemake --cores 1 --resources gpu=1": f"{STUDY}::test_it_makes_every_record_table_and_figure",
    "resnest-bench tables --study results/<study>/study.json": f"{STUDY}::test_tables_from_whatever_is_there",
    "resnest-bench export results/<study>": f"{CLI}::test_export_writes_one_file_and_says_which",
    "resnest-bench track results/mine --to wandb": "tests/unit/cli/test_track.py::test_wandb_offline",
    "resnest-bench predict mine NETWORK images/": "tests/unit/usage/test_predict.py::test_a_folder_becomes_a_csv",
    "resnest-bench doctor": f"{CLI}::test_doctor_says_what_to_do",
    "resnest-bench describe": f"{CLI}::test_describe_as_a_table_says_what_is_counted",
    "resnest-bench crate results/<study>": f"{CLI}::test_crate_writes_one_archive_and_says_which",
    "snakemake page --cores 1": f"{INSTALLED}::test_init_run_and_report_in_a_folder_of_ones_own",
    "snakemake page --report report.html": f"{INSTALLED}::test_init_run_and_report_in_a_folder_of_ones_own",
    "snakemake --cores 1 --report report.html": f"{INSTALLED}::test_init_run_and_report_in_a_folder_of_ones_own",
}


def documented_commands():
    in_blocks = [
        line for page in PAGES for fence in fences(page, "sh") for line in shell_lines(fence.text)
    ]
    in_sentences = [span for page in PAGES for span in inline_commands(page) if " " in span]
    return {*in_blocks, *in_sentences}


def test_every_command_has_a_test_and_no_entry_is_left_over():
    assert documented_commands() == set(RUN_BY)


@pytest.mark.parametrize("test", sorted(set(RUN_BY.values())))
def test_the_test_exists(test):
    path, _, name = test.partition("::")
    text = (ROOT / path).read_text()
    if name:
        functions = {
            node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)
        }
        assert name in functions
    elif path == ".ci/run":
        assert "make test" in text


def command_of_make(target):
    """The last command that `make TARGET` would run, without an installation before it."""
    done = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", "--assume-old=.venv/.installed", target],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        # `make test` may have started us, and what it leaves there is for its own children.
        env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")},
    )
    return done.stdout.strip().splitlines()[-1]


@pytest.mark.slow
def test_the_demo(tmp_path, warm):
    """`make demo`'s command on two of its networks, with one seed, one epoch and one round each.

    The command starts as it does for a user, and its jobs from a process that has imported torch.
    """
    command = command_of_make("demo")
    words = re.search(r"\S*resnest-bench (.*)", command)[1]
    assert "--study config/demo/config.yaml" in words
    write_study(tmp_path, "demo")
    config = tmp_path / "config" / "config.yaml"
    config.write_text(yaml.safe_dump(shortened(yaml.safe_load(config.read_text()))))
    words = words.replace("config/demo/config.yaml", "config/config.yaml").split()
    bin_folder = Path(sys.executable).parent
    path = f"{warm}:{bin_folder}:{os.environ['PATH']}"
    done = subprocess.run(
        [bin_folder / "resnest-bench", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=900,
        env=dict(os.environ, PATH=path, OMP_NUM_THREADS="1"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for heading in ("## Ablation", "## Accuracy against latency", "## Claims"):
        assert heading in done.stdout


def shortened(study):
    kept = ["ResNet-11-0s1x16d", "ResNeSt-11-2s1x16d"]
    study["seeds"] = [0]
    for recipe in study["recipes"].values():
        recipe |= {"epochs": 1, "batch_size": 128}
        recipe.pop("warmup_epochs", None)
    study["protocols"]["quick"] |= {"batch_sizes": [1], "min_samples": 5, "min_seconds": 0}
    for block in [*study["train"], *study["latency"]]:
        block["variants"] = kept
    study["latency"][0]["rounds"] = 1
    study["finetune"][0]["recipes"] = ["demo_finetune"]
    study["finetune"][0]["weights"].pop(kept[0])
    study["tables"]["ablation"]["variants"] = kept
    return study
