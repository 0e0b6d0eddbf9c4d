"""From the interpreter's start to the first step: what a job costs before it does anything.

Each line is a whole process, timed from outside, in turn with the others; a job trains one seed for
one epoch on few images, and its own time of training is taken off. The share is what that is of a
training of 20 seconds, for one seed and for five seeds in one job. A job as `resnest-bench run` starts it
is a fork of a process that has imported torch; the first one starts that process, and does not count.

    python benchmarks/startup.py                 files are in the page cache
    python benchmarks/startup.py --cold          root on Linux: the page cache is dropped before each
    python benchmarks/startup.py --checkout DIR  the code of another checkout, with its .venv
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from reporting import ROOT, header, header_lines, markdown, write_json

from resnest_bench.cli.run_snakemake import warm_starts
from resnest_bench.cli.warm_client import COLD_VARIABLE

PLAIN_JOB = "a job, without its training"
FORKED_JOB = "the same job in a run, as a fork"
TRAINING_SECONDS = 20.0
CONFIG = {
    "study": "startup",
    "seeds": [0],
    "variants": [
        {
            "name": "small",
            "family": "resnest",
            "layers": [1],
            "radix": 2,
            "width": 16,
            "stem": "deep",
            "stem_width": 16,
        }
    ],
    "datasets": {"digits": {"source": "digits", "classes": [0, 1]}},
    "recipes": {"r": {"epochs": 1, "batch_size": 64, "learning_rate": 0.01}},
    "train": [{"dataset": "digits", "recipe": "r"}],
}
IMPORTS = {
    "python alone": "pass",
    "import torch": "import torch",
    "import torch, torchvision": "import torch, torchvision",
    "import torch, torchvision, timm": "import torch, torchvision, timm",
    "all that a training imports": "import resnest_bench.training.jobs",
}


def drop_page_cache() -> None:
    subprocess.run(["sync"], check=True)
    Path("/proc/sys/vm/drop_caches").write_text("3\n")


def timed(command: list[str], cwd: Path, cold: bool, **variables: str) -> float:
    """Seconds of a whole process, with more environment `variables`. Raises RuntimeError if it fails."""
    if cold:
        drop_page_cache()
    start = time.perf_counter()
    env = {**os.environ, **variables}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return seconds


class Job:
    """A training of one epoch through the command line, in a folder of its own."""

    def __init__(self, bin_folder: Path, folder: Path) -> None:
        self.command, self.folder = str(bin_folder / "resnest-bench"), folder
        config = folder / "config.json"
        config.write_text(json.dumps({**CONFIG, "data_dir": str(folder / "data")}))
        self.study = ["--study", str(config)]
        data = [self.command, "data", *self.study, "--dataset", "digits"]
        timed(data, folder, cold=False)

    def seconds(self, cold: bool, forked: bool = False) -> float:
        """Of the whole process, less what the record says that it trained and evaluated."""
        variables = {} if forked else {COLD_VARIABLE: "1"}
        names = ["--dataset", "digits", "--recipe", "r", "--variant", "small"]
        subprocess.run(["rm", "-rf", str(self.folder / "results")], check=True)
        command = [self.command, "train", *self.study, *names]
        whole = timed(command, self.folder, cold, **variables)
        (file,) = (self.folder / "results").rglob("seed-0.json")
        record = json.loads(file.read_text())
        # Older checkouts never fork.
        if record["environment"].get("forked", False) != forked:
            raise RuntimeError(
                "jobs are not forked here, or by this checkout: see docs/decisions/020"
            )
        return whole - float(record["train"]["wall_seconds"])


def measure(checkout: Path, runs: int, cold: bool) -> dict[str, list[float]]:
    """Seconds by line, `runs` of each, in turn, after one run that doesn't count."""
    bin_folder = checkout / ".venv/bin"
    names = [*IMPORTS, PLAIN_JOB, FORKED_JOB]
    seen: dict[str, list[float]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder, warm_starts([]):
        job = Job(bin_folder, Path(folder))
        for number in range(runs + 1):
            for name, code in IMPORTS.items():
                seen[name].append(timed([str(bin_folder / "python"), "-c", code], checkout, cold))
            seen[PLAIN_JOB].append(job.seconds(cold))
            seen[FORKED_JOB].append(job.seconds(cold, forked=True))
            if number == 0:
                seen = {name: [] for name in seen}
    return seen


def share(start_seconds: float, num_seeds: int) -> float:
    """Part of a job's time that is not training."""
    return start_seconds / (start_seconds + num_seeds * TRAINING_SECONDS)


def report(told: dict, seen: dict[str, list[float]], cold: bool) -> str:
    rows = [
        [name, f"{statistics.median(values):.2f}", f"{min(values):.2f} to {max(values):.2f}"]
        for name, values in seen.items()
    ]
    start, forked = (statistics.median(seen[name]) for name in (PLAIN_JOB, FORKED_JOB))
    runs = len(next(iter(seen.values())))
    return "\n".join(
        [
            *header_lines(
                told,
                f"{runs} runs of each, {'page cache dropped' if cold else 'files in the page cache'}",
            ),
            "",
            markdown(["", "seconds, median", "range"], rows),
            "",
            f"Of a training of {TRAINING_SECONDS:.0f} s a seed, the start is {share(start, 1):.0%} "
            f"of a job with one seed and {share(start, 5):.0%} with five; as a fork, "
            f"{share(forked, 1):.0%} and {share(forked, 5):.0%}.",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkout", type=Path, default=ROOT, help="has a .venv, as of make env")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--cold", action="store_true", help="drop the page cache before each run")
    parser.add_argument("--out", type=Path, help="also write the raw figures as JSON")
    asked = parser.parse_args()
    told = header(torch.device("cpu"))
    try:
        seen = measure(asked.checkout.resolve(), asked.runs, asked.cold)
    except (OSError, RuntimeError) as error:
        sys.exit(f"startup.py: error: {error}")
    print(report(told, seen, asked.cold))
    write_json(asked.out, {**told, "seconds": seen})


if __name__ == "__main__":
    main()
