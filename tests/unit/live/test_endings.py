"""What a job's exit status and a folder's lock are in words."""

from pathlib import Path

import pytest

from resnest_bench.live.endings import find_error, locked_text, read_signal, unlock_command

ERROR = "CalledProcessError in file train.smk, line 3:\nCommand 'resnest-bench train > {log} 2>&1' {end}"


@pytest.mark.parametrize(
    ("end", "name"),
    [
        ("returned non-zero exit status 137.", "SIGKILL"),
        ("died with <Signals.SIGKILL: 9>.", "SIGKILL"),
        ("returned non-zero exit status 139.", "SIGSEGV"),
        ("died with <Signals.SIGTERM: 15>.", "SIGTERM"),
        ("returned non-zero exit status 1.", ""),
        ("returned non-zero exit status 255.", ""),
        ("", ""),
    ],
)
def test_the_signal_that_ended_a_job(end, name):
    text = read_signal(ERROR.format(log="A.log", end=end))
    assert name in text
    assert bool(text) == bool(name)
    assert ("memory" in text) == (name == "SIGKILL")


def test_an_error_belongs_to_the_job_whose_log_its_command_writes():
    first = ERROR.format(log="logs/A.log", end="1")
    second = ERROR.format(log="'logs/a b.log'", end="2")
    assert find_error([first, second], Path("logs/A.log")) == first
    assert find_error([first, second], Path("logs/a b.log")) == second
    assert find_error([first, first + "again"], Path("logs/A.log")) == first + "again"
    assert find_error([first, second], Path("logs/B.log")) == ""
    assert find_error([first], None) == ""


def test_a_lock_names_the_command_that_takes_it_away():
    ours = [
        "/x/resnest_bench/cli/run_snakemake.py",
        "--snakefile",
        "S",
        "--configfile",
        "my config.yaml",
        "--cores",
        "1",
    ]
    assert unlock_command(ours) == "resnest-bench run --study 'my config.yaml' --unlock"
    assert unlock_command(["/bin/snakemake", "--cores", "1"]) == "snakemake --cores 1 --unlock"
    text = locked_text(Path("/somewhere"), ours)
    assert "/somewhere" in text
    assert text.endswith(unlock_command(ours))
