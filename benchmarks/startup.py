"""From the interpreter's start to the first step: what a job costs before it does anything.

Each line is a whole process, timed from outside, in turn with the others; a job trains one seed for
one epoch on few images, and its own time of training is taken off. The share is what that is of a
training of 20 seconds, for one seed and for five seeds in one job.

    python benchmarks/startup.py                 warm: files are in memory
    python benchmarks/startup.py --cold          root on Linux: the page cache is dropped before each
    python benchmarks/startup.py --checkout DIR  the code of another checkout, with its .venv
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from reporting import ROOT, header, header_lines, markdown, write_json

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


def timed(command: list[str], cwd: Path, cold: bool) -> float:
    """Seconds of a whole process. Raises CalledProcessError where it fails."""
    if cold:
        drop_page_cache()
    start = time.perf_counter()
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
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

    def seconds(self, cold: bool) -> float:
        """Of the whole process, less what the record says that it trained and evaluated."""
        names = ["--dataset", "digits", "--recipe", "r", "--variant", "small"]
        subprocess.run(["rm", "-rf", str(self.folder / "results")], check=True)
        whole = timed([self.command, "train", *self.study, *names], self.folder, cold)
        (record,) = (self.folder / "results").rglob("seed-0.json")
        return whole - float(json.loads(record.read_text())["train"]["wall_seconds"])


def measure(checkout: Path, runs: int, cold: bool) -> dict[str, list[float]]:
    """Seconds by line, `runs` of each, in turn, after one run that doesn't count."""
    bin_folder = checkout / ".venv/bin"
    seen: dict[str, list[float]] = {name: [] for name in [*IMPORTS, "a job, without its training"]}
    with tempfile.TemporaryDirectory() as folder:
        job = Job(bin_folder, Path(folder))
        for number in range(runs + 1):
            for name, code in IMPORTS.items():
                seen[name].append(timed([str(bin_folder / "python"), "-c", code], checkout, cold))
            seen["a job, without its training"].append(job.seconds(cold))
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
    start = statistics.median(seen["a job, without its training"])
    runs = len(next(iter(seen.values())))
    return "\n".join(
        [
            *header_lines(told, f"{runs} runs of each, {'cold' if cold else 'warm'}"),
            "",
            markdown(["", "seconds, median", "range"], rows),
            "",
            f"Of a training of {TRAINING_SECONDS:.0f} s a seed, the start is {share(start, 1):.0%} "
            f"of a job with one seed and {share(start, 5):.0%} with five.",
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
