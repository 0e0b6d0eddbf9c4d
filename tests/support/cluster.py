"""Studies that are sent to a Slurm on this machine through the project's profile."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import yaml

ROOT = Path(__file__).parents[2]
DAEMONS = ("slurmctld", "slurmd", "munged", "sbatch")

# Only what a test needs otherwise than a cluster: polls at once, and one thread a job, since two
# that share a busy core are slower than one. The plugin waits 10 seconds longer after each poll.
OVERLAY = [
    "--slurm-init-seconds-before-status-checks",
    "2",
    "--latency-wait",
    "5",
    "--set-threads",
    "train=1",
    "finetune=1",
    "latency=1",
    "--slurm-keep-successful-logs",
]

T = TypeVar("T")


def wait_for(look: Callable[[], T], what: str, seconds: float = 240) -> T:
    """What `look` gives as soon as it is true; AssertionError after `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if seen := look():
            return seen
        time.sleep(0.2)
    raise AssertionError(f"waited {seconds} s for {what}; squeue: {slurm('squeue', '--long')}")


def slurm(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def describe_jobs(folder: Path) -> list[dict[str, str]]:
    """The fields of Slurm's jobs whose working directory is `folder`, oldest first."""
    lines = slurm("scontrol", "--oneliner", "--details", "show", "job").splitlines()
    jobs = [
        dict(part.split("=", 1) for part in line.split() if "=" in part)
        for line in lines
        if line.startswith("JobId=")
    ]
    mine = [job for job in jobs if job["WorkDir"] == str(folder)]
    return sorted(mine, key=lambda job: int(job["JobId"]))


class Study:
    """A folder with a config, whose jobs go to Slurm."""

    def __init__(self, folder: Path, config: dict) -> None:
        self.folder = folder
        self.results = folder / "results" / config["study"]
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(yaml.safe_dump(config))

    def start(self, *more: str) -> subprocess.Popen:
        """Snakemake with the profile; its output goes to snakemake.log."""
        command = [
            "snakemake",
            "--profile",
            ROOT / "workflow/profiles/slurm",
            "--snakefile",
            ROOT / "workflow/Snakefile",
            "--configfile",
            "config.yaml",
            *OVERLAY,
            *more,
        ]
        with (self.folder / "snakemake.log").open("a") as log:
            return subprocess.Popen(
                [str(part) for part in command],
                cwd=self.folder,
                env=environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def finish(self, running: subprocess.Popen, seconds: float = 300) -> None:
        assert running.wait(timeout=seconds) == 0, self.output()

    def output(self) -> str:
        return (self.folder / "snakemake.log").read_text()

    def jobs(self, rule: str) -> list[dict[str, str]]:
        """Slurm's jobs of a rule, or of a rule and the wildcards that its comment names."""
        comment = f"rule_{rule}"
        return [
            job
            for job in describe_jobs(self.folder)
            if job["Comment"] == comment or job["Comment"].startswith(f"{comment}_wildcards_")
        ]

    def job_log(self, job: dict[str, str]) -> str:
        """What a job wrote to standard output and error, by Slurm's own file."""
        path = Path(job["StdOut"])
        return path.read_text() if path.exists() else ""

    def process(self, variant: str) -> int | None:
        """Process id of the training of `variant`, if it runs."""
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                words = (entry / "cmdline").read_text().split("\0")
                if (entry / "cwd").resolve() != self.folder:
                    continue
            except OSError:  # it has just ended
                continue
            command = " ".join(words[1:3])
            if command.endswith("resnest-bench train") and variant in words:
                return int(entry.name)
        return None


def environment() -> dict[str, str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return dict(os.environ, PATH=path, OMP_NUM_THREADS="1")


def read_variables(pid: int) -> dict[str, str]:
    """The environment that a process was started with."""
    pairs = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def missing() -> str | None:
    """Why no Slurm can be started here, or None."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "starting Slurm takes root"
    absent = [name for name in DAEMONS if not shutil.which(name)]
    return f"Slurm is not installed: no {', '.join(absent)}" if absent else None


def end_all(running: list[subprocess.Popen]) -> None:
    """Stop what a failed test left: Snakemake cancels its jobs on SIGINT."""
    for process in running:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(timeout=60)
