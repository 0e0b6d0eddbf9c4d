"""How trainings share the cores of a machine without a GPU: side by side, or one with many threads.

One thread per training is the default, since then results don't depend on the number of cores. More threads
are used if they are clearly faster, or if the study already has records that were made with them.
"""

import pickle
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import psutil

from resnest_bench.errors import UserError
from resnest_bench.planning.datasets import DatasetFacts
from resnest_bench.planning.worker import Answer, Task
from resnest_bench.records import Record
from resnest_bench.specs import RecipeSpec, VariantSpec

# An alternative must be this many times faster than the default, so that noise doesn't decide.
CLEARLY_FASTER = 1.1
# The share of the free memory that all trainings together may use.
MEMORY_SHARE = 0.8
ROUNDS = 2
_COMMAND = "from resnest_bench.planning.worker import main; main()"


@dataclass(frozen=True)
class CoreUse:
    """How many trainings run side by side, and the number of threads of each."""

    side_by_side: int
    threads: int

    def __str__(self) -> str:
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        if self.side_by_side == 1:
            return f"one training at a time with {threads}"
        return f"{self.side_by_side} trainings side by side with {threads} each"


@dataclass(frozen=True)
class Choice:
    """How trainings will use the cores, why, and the measured images/s of all trainings together."""

    core_use: CoreUse
    reason: str
    measured: dict[CoreUse, float]

    def __str__(self) -> str:
        speeds = "; ".join(
            f"{core_use}: {speed:.0f} images/s" for core_use, speed in self.measured.items()
        )
        return f"{self.core_use} ({self.reason}{f': {speeds}' if speeds else ''})"

    def options(self, rules: Iterable[str]) -> list[str]:
        """Return the options for Snakemake. `rules` are the names of the rules that train."""
        rules = list(rules)
        options = ["--set-threads", *(f"{rule}={self.core_use.threads}" for rule in rules)]
        if self.core_use.side_by_side > 1:
            # Without a GPU, only the cores limit the number of trainings.
            options += ["--set-resources", *(f"{rule}:gpu=0" for rule in rules)]
        return options


def list_core_uses(cores: int, num_jobs: int) -> list[CoreUse]:
    """Return the default, as many trainings as cores or jobs, and the alternative, one on all cores.

    It is a list of one if they are the same.
    """
    at_once = max(min(cores, num_jobs), 1)
    return list(dict.fromkeys([CoreUse(at_once, cores // at_once), CoreUse(1, cores)]))


def find_threads(existing: Iterable[Record]) -> int | None:
    """Return the most common number of threads of a study's CPU trainings, or None without any.

    Results with another number of threads differ by rounding, and tables separate them.
    """
    counts = Counter(
        record.environment.num_cpu_threads
        for record in existing
        if record.train and record.environment and record.environment.device_kind == "cpu"
    )
    return counts.most_common(1)[0][0] if counts else None


Measure = Callable[[Sequence[CoreUse]], dict[CoreUse, Answer]]


def choose_core_use(cores: int, num_jobs: int, threads: int | None, measure: Measure) -> Choice:
    """Choose how trainings use the cores.

    Args:
        cores: number of cores.
        num_jobs: number of workflow jobs that train.
        threads: of the existing records, which new ones must match; None without any.
        measure: returns the speed and memory of each way. It is called only if they matter.
    """
    if cores == 1:
        return Choice(CoreUse(1, 1), "there is only one core", {})
    if threads is not None:
        core_use = CoreUse(max(min(cores // threads, num_jobs), 1), threads)
        return Choice(core_use, "as in the existing records", {})
    ways = list_core_uses(cores, num_jobs)
    if len(ways) == 1:
        return Choice(ways[0], "there is only one training to do", {})
    answers = measure(ways)
    speeds = {core_use: answer.images_per_second for core_use, answer in answers.items()}
    default, alternative = ways
    if count_fitting(answers[default].peak_bytes) < default.side_by_side:
        return Choice(alternative, "more trainings do not fit into memory", speeds)
    if speeds[alternative] > CLEARLY_FASTER * speeds[default]:
        return Choice(alternative, "it was measured to be faster", speeds)
    return Choice(default, "the alternative is not clearly faster", speeds)


def count_fitting(peak_bytes: int) -> int:
    """Return how many processes of this size fit into the free memory."""
    return int(MEMORY_SHARE * psutil.virtual_memory().available // max(peak_bytes, 1))


def measure_core_uses(
    variant: VariantSpec, recipe: RecipeSpec, data: DatasetFacts, ways: Sequence[CoreUse]
) -> dict[CoreUse, Answer]:
    """Measure each way by training in as many processes. They run in turn, while the others wait.

    Raises UserError if a network can't be trained here.
    """
    crews: dict[CoreUse, list[subprocess.Popen[bytes]]] = {}
    answers: dict[CoreUse, list[Answer]] = {core_use: [] for core_use in ways}
    try:
        for core_use in ways:
            sizes = (data.image_size, data.num_classes, data.num_channels)
            task = Task(variant, recipe, *sizes, core_use.threads)
            crews[core_use] = [_start_worker(task) for _ in range(core_use.side_by_side)]
        for crew in crews.values():
            for worker in crew:
                _read_answer(worker)
        for _ in range(ROUNDS):
            for core_use, crew in crews.items():
                answers[core_use].append(_run_crew(crew))
    finally:
        for worker in (worker for crew in crews.values() for worker in crew):
            worker.kill()
            worker.communicate()
    return {core_use: max(measured, key=_speed) for core_use, measured in answers.items()}


def _speed(answer: Answer) -> float:
    return answer.images_per_second


def _start_worker(task: Task) -> "subprocess.Popen[bytes]":
    worker = subprocess.Popen(
        [sys.executable, "-c", _COMMAND], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert worker.stdin is not None
    worker.stdin.write(pickle.dumps(task))
    worker.stdin.flush()
    return worker


def _run_crew(crew: Sequence["subprocess.Popen[bytes]"]) -> Answer:
    """Let all workers train at the same time: their total images/s, and the memory of the largest."""
    for worker in crew:
        assert worker.stdin is not None
        worker.stdin.write(b"go\n")
        worker.stdin.flush()
    answers = [_read_answer(worker) for worker in crew]
    return Answer(sum(map(_speed, answers)), max(answer.peak_bytes for answer in answers))


def _read_answer(worker: "subprocess.Popen[bytes]") -> Answer:
    assert worker.stdout is not None
    line = worker.stdout.readline().decode().split()
    if len(line) != 2:
        raise UserError("a trial training on several cores failed: see the lines above")
    return Answer(float(line[0]), int(line[1]))
