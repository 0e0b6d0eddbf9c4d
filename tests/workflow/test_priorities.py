"""Latencies in rounds: all variants once, in an order of its own, before any of them again."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
NAMES = [f"v{number}" for number in range(6)]
NUM_ROUNDS = 3
# Makes what a measurement would leave; the rest is the real command's.
STAND_IN = """\
#!/bin/sh
[ "$1" = plan ] && exit 0
[ "$1" = latency ] || exec {real} "$@"
while [ $# -gt 1 ]; do
  case $1 in --variant) variant=$2 ;; --round) round=$2 ;; esac
  shift
done
echo "$variant $round" >> order
echo > "results/tiny/records/latency/low/quick/$variant/seed-$round.json"
"""


def test_the_greedy_scheduler_keeps_the_shuffled_rounds(fresh):
    shape = {key: value for key, value in fresh.config["variants"][0].items() if key != "name"}
    fresh.config["variants"] = [{"name": name, **shape} for name in NAMES]
    fresh.config["latency"][0]["rounds"] = NUM_ROUNDS
    fresh.config |= {"train": [], "finetune": [], "tables": {}, "claims": []}
    fresh.write()
    stand_in = fresh.folder / "bin/resnest-bench"
    stand_in.parent.mkdir()
    stand_in.write_text(STAND_IN.format(real=Path(sys.executable).parent / "resnest-bench"))
    stand_in.chmod(0o755)
    path = f"{stand_in.parent}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = [
        "snakemake",
        "--cores",
        "1",
        "--snakefile",
        ROOT / "workflow/Snakefile",
        "--configfile",
        "config.yaml",
        "--until",
        "latency",
    ]
    done = subprocess.run(
        command,
        cwd=fresh.folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    lines = [line.split() for line in (fresh.folder / "order").read_text().splitlines()]
    order = [(name, int(number)) for name, number in lines]

    rounds = [number for _, number in order]
    assert rounds == sorted(rounds), done.stderr
    by_round = [[name for name, number in order if number == r] for r in range(NUM_ROUNDS)]
    assert all(sorted(names) == NAMES for names in by_round)
    assert len({tuple(names) for names in by_round}) == NUM_ROUNDS, "each round in its own order"
    (log,) = (fresh.folder / ".snakemake/log").glob("*.log")
    priorities = [int(number) for number in re.findall(r"priority: (\d+)", log.read_text())]
    assert len(priorities) == len(NAMES) * NUM_ROUNDS
    assert priorities == sorted(priorities, reverse=True)
