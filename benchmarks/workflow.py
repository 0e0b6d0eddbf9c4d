"""What Snakemake costs: the DAG of thousands of variants, and each job that it runs.

Every line is a whole `snakemake` process in a fresh folder, timed from outside, in turn with its
peer: a workflow of as many jobs and files without a config, params, logs or benchmarks, so that the
difference is ours. The jobs that are really run call a stand-in that only makes the files, so that what is
timed is Snakemake and the starting of a shell.

    python benchmarks/workflow.py
    python benchmarks/workflow.py --sizes 50,500 --runs 1
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from reporting import ROOT, header, header_lines, markdown, write_json

SIZES = "50,200,500,1000,2000"
NUM_SEEDS = 5
TRAINING_SECONDS = 20.0
# Makes what `resnest-bench train` and the others would leave, and nothing else.
STAND_IN = """\
#!/bin/sh
kind=$1; shift
while [ $# -gt 1 ]; do
  case $1 in
    --study) study=$2 ;; --dataset) dataset=$2 ;; --recipe) recipe=$2 ;; --variant) variant=$2 ;;
  esac
  shift
done
results=$(dirname "$study")
case $kind in
  train)
    for seed in 0 1 2 3 4; do
      : > "$results/records/train/$dataset/$recipe/$variant/seed-$seed.json"
    done ;;
esac
"""
PEER = """\
NAMES = [f"v{{i:04d}}" for i in range({size})]
rule all:
    input: expand("out/{{name}}/seed-{{seed}}.json", name=NAMES, seed=range({seeds}))
rule start:
    output: "out/start"
    shell: "touch {{output}}"
rule train:
    input: "out/start"
    output: expand("out/{{{{name}}}}/seed-{{seed}}.json", seed=range({seeds}))
    shell: "touch {{output}}"
"""


def make_config(size: int, folder: Path) -> dict:
    """A study of `size` variants that differ, each trained with five seeds in one job."""
    variants = [
        {
            "name": f"v{i:04d}",
            "family": "resnest",
            "layers": [1],
            "radix": i % 3,
            "width": 8 * (1 + i % 50),
            "stem": "small",
        }
        for i in range(size)
    ]
    return {
        "study": "scale",
        "seeds": list(range(NUM_SEEDS)),
        "variants": variants,
        "data_dir": str(folder / "data"),
        "datasets": {"digits": {"source": "digits"}},
        "recipes": {"r": {"epochs": 1, "batch_size": 64, "learning_rate": 0.01}},
        "train": [{"dataset": "digits", "recipe": "r"}],
    }


def snakemake(folder: Path, *arguments: str, path: str = "") -> float:
    """Seconds of a whole `snakemake` process. Raises RuntimeError where it fails."""
    environment = {**os.environ, "PATH": f"{path}{ROOT / '.venv/bin'}:{os.environ['PATH']}"}
    command = ["snakemake", "--cores", "1", "--resources", "gpu=1", "--quiet", "all", *arguments]
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return seconds


def dry_runs(size: int, folder: Path) -> dict[str, float]:
    """Seconds of a dry run of ours and of the peer."""
    ours, peer = folder / "ours", folder / "peer"
    for place in (ours, peer):
        place.mkdir()
    config = folder / "config.json"
    config.write_text(json.dumps(make_config(size, folder)))
    (peer / "Snakefile").write_text(PEER.format(size=size, seeds=NUM_SEEDS))
    snakefile = ["--snakefile", str(ROOT / "workflow/Snakefile")]
    return {
        "ours": snakemake(ours, "--dry-run", *snakefile, "--configfile", str(config)),
        "peer": snakemake(peer, "--dry-run"),
        "config": config_seconds(config),
    }


def config_seconds(config: Path) -> float:
    """Seconds that reading and checking the study takes in a process that has imported all."""
    code = (
        "import json, sys, time; from resnest_bench.specs import dump_study, study_from_config; "
        "config = json.load(open(sys.argv[1])); start = time.perf_counter(); "
        "study = study_from_config(config, 'config'); study.jobs(); dump_study(study); "
        "print(time.perf_counter() - start)"
    )
    done = subprocess.run(
        [ROOT / ".venv/bin/python", "-c", code, config], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def real_run(size: int, folder: Path) -> dict[str, float]:
    """Seconds of a whole run with the stand-in for every command."""
    ours = folder / "run"
    ours.mkdir()
    stand_in = folder / "bin" / "resnest-bench"
    stand_in.parent.mkdir()
    stand_in.write_text(STAND_IN)
    stand_in.chmod(0o755)
    config = folder / "config.json"
    prepared = prepared_data(config, folder)
    arguments = ["--snakefile", str(ROOT / "workflow/Snakefile"), "--configfile", str(config)]
    seconds = snakemake(ours, *arguments, "--until", "train", path=f"{stand_in.parent}:")
    shutil.rmtree(prepared)
    return {"run": seconds}


def prepared_data(config: Path, folder: Path) -> Path:
    """The dataset, really prepared: it isn't what is timed."""
    tool = ROOT / ".venv/bin/resnest-bench"
    command: list[str | Path] = [tool, "data", "--study", config, "--dataset", "digits"]
    subprocess.run(command, cwd=folder, capture_output=True, check=True)
    return folder / "data"


def measure(sizes: list[int], runs: int) -> dict[int, list[dict[str, float]]]:
    """By size, `runs` of each in turn."""
    seen: dict[int, list[dict[str, float]]] = {size: [] for size in sizes}
    for _ in range(runs):
        for size in sizes:
            with tempfile.TemporaryDirectory() as folder:
                found = dry_runs(size, Path(folder))
                seen[size].append({**found, **real_run(size, Path(folder))})
    return seen


def medians(rows: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(row[name] for row in rows) for name in rows[0]}


def per_job(seen: dict[int, list[dict[str, float]]]) -> float:
    """Seconds that one more job adds to a run, from the smallest to the next larger size."""
    small, large, *_ = sorted(seen)
    gap = medians(seen[large])["run"] - medians(seen[small])["run"]
    return gap / (large - small)


def report(told: dict, seen: dict[int, list[dict[str, float]]], start: float) -> str:
    rows = []
    for size, found in seen.items():
        m = medians(found)
        rows.append(
            [
                f"{size:,}",
                f"{size * NUM_SEEDS:,}",
                f"{m['ours']:.1f}",
                f"{m['peer']:.1f}",
                f"{m['ours'] / m['peer']:.2f}",
                f"{m['config']:.2f}",
                f"{m['run']:.1f}",
            ]
        )
    lines = [
        *header_lines(told, f"{len(next(iter(seen.values())))} runs of each, medians"),
        "",
        markdown(
            [
                "jobs",
                "records",
                "dry run, s",
                "bare workflow, s",
                "ours / bare",
                "of it our config, s",
                "run without work, s",
            ],
            rows,
        ),
    ]
    if len(seen) > 1:
        job = per_job(seen)
        shares = [(job + start) / (job + start + n * TRAINING_SECONDS) for n in (1, NUM_SEEDS)]
        lines += [
            "",
            f"One more job costs Snakemake {job:.2f} s. With {start:.1f} s until a job's process "
            f"trains (benchmarks/startup.py) that is {shares[0]:.0%} of a job that trains one seed of "
            f"{TRAINING_SECONDS:.0f} s, and {shares[1]:.0%} of one with five.",
        ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default=SIZES, help="numbers of variants, a job each")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--start", type=float, default=3.5, help="seconds, from startup.py")
    parser.add_argument("--out", type=Path, help="also write the raw figures as JSON")
    asked = parser.parse_args()
    told = header(torch.device("cpu"))
    try:
        seen = measure([int(size) for size in asked.sizes.split(",")], asked.runs)
    except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
        sys.exit(f"workflow.py: error: {error}")
    print(report(told, seen, asked.start))
    write_json(asked.out, {**told, "seen": {str(size): rows for size, rows in seen.items()}})


if __name__ == "__main__":
    main()
