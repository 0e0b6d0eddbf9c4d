"""The share of a job's start, by hand; and one whole run."""

import sys
from pathlib import Path

import pytest

from resnest_bench.cli.run_snakemake import warm_starts


@pytest.fixture
def startup(benchmark_module):
    return benchmark_module("startup")


def test_the_share_is_of_the_whole_job(startup):
    assert startup.share(5.0, 1) == 5 / 25
    assert startup.share(5.0, 5) == 5 / 105


def test_a_command_that_fails_says_why(startup):
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        startup.timed(["python3", "-c", "1/0"], Path.cwd(), cold=False)


@pytest.mark.slow
def test_a_job_is_timed_without_its_training(startup, tmp_path):
    job = startup.Job(Path(sys.executable).parent, tmp_path)
    assert 0.5 < job.seconds(cold=False) < 120
    with warm_starts([]) as folder:
        if folder:
            assert 0.1 < job.seconds(cold=False, forked=True) < 120
