"""`python -m resnest_bench.cli.run_snakemake`: Snakemake with warm starts, and exit code 130 after Ctrl-C.

Snakemake itself exits with 1 then, the same as after a failed job.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from resnest_bench.cli.launch import runs_jobs_here
from resnest_bench.cli.warm_client import COLD_VARIABLE, RUN_VARIABLE, can_fork
from resnest_bench.live.interrupts import INTERRUPTED, watch_interrupts

STOPPED_BY_CTRL_C = 130
# The path of a Unix socket may have 107 characters; its name takes 32 of them.
LONGEST_FOLDER = 70


def run_snakemake(arguments: Sequence[str], snakemake: Callable[[Sequence[str]], object]) -> int:
    """Run `snakemake`, a main function that may raise SystemExit, and return the exit code."""
    watch_interrupts()
    code: object = 0
    try:
        snakemake(arguments)
    except KeyboardInterrupt:
        # Ctrl-C came before the first job or after the last one.
        print("Stopped. The same command continues from there.", file=sys.stderr)
        code = STOPPED_BY_CTRL_C
    except SystemExit as end:
        code = end.code
    if INTERRUPTED.is_set() and code != 0:
        return STOPPED_BY_CTRL_C
    return code if isinstance(code, int) else int(bool(code))


@contextmanager
def warm_starts(arguments: Sequence[str]) -> Iterator[Path | None]:
    """Let this run's jobs be forks of a warm process inside this context (docs/decisions/020).

    Yields the folder of the sockets, or None if the jobs start by themselves: on a cluster, in containers,
    where a fork is not safe, and if RESNEST_BENCH_COLD_START is set.
    """
    os.environ.pop(RUN_VARIABLE, None)
    folder = None
    if not os.environ.get(COLD_VARIABLE) and can_fork() and runs_jobs_here(arguments):
        folder = _make_folder()
    if folder is None:
        yield None
        return
    os.environ[RUN_VARIABLE] = f"{os.getpid()}:{folder}"
    try:
        yield folder
    finally:
        del os.environ[RUN_VARIABLE]
        shutil.rmtree(folder, ignore_errors=True)


def _make_folder() -> Path | None:
    """Make a private folder with a path that is short enough for sockets."""
    for parent in dict.fromkeys([tempfile.gettempdir(), "/tmp"]):
        with suppress(OSError):
            folder = Path(tempfile.mkdtemp(prefix="resnest-bench-", dir=parent))
            if len(str(folder)) <= LONGEST_FOLDER:
                return folder
            folder.rmdir()
    return None


def count_forks(folder: Path) -> None:
    """Let Snakemake's benchmarks count a job's fork as a child of the command that waits for it."""
    from snakemake import benchmark

    class ProcessWithFork(psutil.Process):
        """A job's shell."""

        def children(self, recursive: bool = False) -> list[psutil.Process]:
            found = super().children(recursive)
            for process in [self, *found]:
                with suppress(OSError, ValueError, psutil.Error):
                    fork = psutil.Process(int((folder / f"{process.pid}.job").read_text()))
                    found += [fork, *fork.children(recursive=True)]
            return found

    class TimerWithForks(benchmark.BenchmarkTimer):  # type: ignore[misc]
        def __init__(self, pid: int, *others: Any) -> None:
            super().__init__(pid, *others)
            self.main = ProcessWithFork(pid)

    benchmark.BenchmarkTimer = TimerWithForks


def main() -> None:
    from snakemake.cli import main as snakemake

    with warm_starts(sys.argv[1:]) as folder:
        if folder:
            count_forks(folder)
        code = run_snakemake(sys.argv[1:], snakemake)
    sys.exit(code)


if __name__ == "__main__":
    main()
