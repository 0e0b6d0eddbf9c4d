"""What Snakemake ended with, as an exit code."""

import signal
import sys

import pytest

from resnest_bench.cli.run_snakemake import run_snakemake
from resnest_bench.live.interrupts import INTERRUPTED


@pytest.fixture(autouse=True)
def uninterrupted():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    INTERRUPTED.clear()
    yield
    signal.signal(signal.SIGINT, before)
    INTERRUPTED.clear()


def ending(code, interrupted=False, caught=True):
    """A main function like Snakemake's, to which Ctrl-C came, and which caught it or not."""

    def main(arguments):
        assert list(arguments) == ["--cores", "1"]
        if interrupted:
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                if not caught:
                    raise
        sys.exit(code)

    return main


@pytest.mark.parametrize("code", [0, 1, 2])
def test_its_exit_code_is_ours(code):
    assert run_snakemake(["--cores", "1"], ending(code)) == code


@pytest.mark.parametrize("caught", [True, False])
def test_ctrl_c_is_130_whether_snakemake_catches_it_or_not(caught, capsys):
    assert run_snakemake(["--cores", "1"], ending(1, interrupted=True, caught=caught)) == 130


def test_a_run_that_ended_well_all_the_same_is_0():
    assert run_snakemake(["--cores", "1"], ending(0, interrupted=True)) == 0


def test_a_process_of_the_background_goes_on_to_ignore_it():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    run_snakemake(["--cores", "1"], ending(0))
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
