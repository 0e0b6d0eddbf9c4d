"""Several processor cores and no GPU: trainings side by side, or one with many threads.

One thread each is the usual: then the number of cores changes no result. More threads are taken
where they are clearly faster, and where a study has records that were made with them.
"""

import functools
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

# The usual way stays unless another one makes so many times its images: noise must not decide.
CLEARLY_FASTER = 1.1
# Of the memory that is free, what trainings may take together.
MEMORY_SHARE = 0.8
ROUNDS = 2
_COMMAND = "from resnest_bench.planning.worker import main; main()"


@dataclass(frozen=True)
class Work:
    """How many trainings run at a time, and the threads of each."""

    side_by_side: int
    threads: int

    def __str__(self) -> str:
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        if self.side_by_side == 1:
            return f"one training at a time with {threads}"
        return f"{self.side_by_side} trainings side by side with {threads} each"


@dataclass(frozen=True)
class Choice:
    """The way that is taken, why, and what was measured: images/s of all trainings together."""

    work: Work
    reason: str
    measured: dict[Work, float]

    def __str__(self) -> str:
        speeds = "; ".join(f"{work}: {speed:.0f} images/s" for work, speed in self.measured.items())
        return f"{self.work} ({self.reason}{f': {speeds}' if speeds else ''})"

    def options(self, rules: Iterable[str]) -> list[str]:
        """What to tell Snakemake: `rules` are those that train."""
        rules = list(rules)
        options = ["--set-threads", *(f"{rule}={self.work.threads}" for rule in rules)]
        if self.work.side_by_side > 1:
            # There is no GPU that they would have to share. Cores limit them, and nothing else.
            options += ["--set-resources", *(f"{rule}:gpu=0" for rule in rules)]
        return options


def list_ways(cores: int, num_jobs: int) -> list[Work]:
    """The usual way first: as many trainings as there are cores or jobs, or one with all cores."""
    at_once = max(min(cores, num_jobs), 1)
    return list(dict.fromkeys([Work(at_once, cores // at_once), Work(1, cores)]))


def find_threads(found: Iterable[Record]) -> int | None:
    """The threads of a study's trainings on a CPU so far; None where there are none.

    Results with other threads differ by rounding, and tables keep them apart.
    """
    counts = Counter(
        record.environment.num_cpu_threads
        for record in found
        if record.train and record.environment.device_kind == "cpu"
    )
    return counts.most_common(1)[0][0] if counts else None


Measure = Callable[[Sequence[Work]], dict[Work, Answer]]


def choose_work(cores: int, num_jobs: int, threads: int | None, measure: Measure) -> Choice:
    """How `num_jobs` trainings use `cores`.

    Args:
        threads: of the records that are there, which new ones have to equal.
        measure: the speed and the memory of each way. It is asked only where it decides.
    """
    if cores == 1:
        return Choice(Work(1, 1), "it has one core", {})
    if threads is not None:
        work = Work(max(min(cores // threads, num_jobs), 1), threads)
        return Choice(work, "as the existing records", {})
    ways = list_ways(cores, num_jobs)
    if len(ways) == 1:
        return Choice(ways[0], "there is one training to do", {})
    answers = measure(ways)
    speeds = {work: answer.images_per_second for work, answer in answers.items()}
    usual, other = ways
    if count_fitting(answers[usual].peak_bytes) < usual.side_by_side:
        return Choice(other, "more do not fit into memory", speeds)
    if speeds[other] > CLEARLY_FASTER * speeds[usual]:
        return Choice(other, "measured to be faster", speeds)
    return Choice(usual, "measured not to be slower", speeds)


def count_fitting(peak_bytes: int) -> int:
    """How many processes of this size fit into the memory that is free."""
    return int(MEMORY_SHARE * psutil.virtual_memory().available // max(peak_bytes, 1))


def measure_ways(
    variant: VariantSpec, recipe: RecipeSpec, data: DatasetFacts, ways: Sequence[Work]
) -> dict[Work, Answer]:
    """Really train side by side, each way in turn; the processes of the others wait meanwhile.

    Raises UserError where a network can't be trained here.
    """
    crews: dict[Work, list[subprocess.Popen[bytes]]] = {}
    seen: dict[Work, list[Answer]] = {work: [] for work in ways}
    try:
        for work in ways:
            sizes = (data.image_size, data.num_classes, data.num_channels)
            task = Task(variant, recipe, *sizes, work.threads)
            crews[work] = [_start_worker(task) for _ in range(work.side_by_side)]
        for crew in crews.values():
            for worker in crew:
                _read_answer(worker)
        for _ in range(ROUNDS):
            for work, crew in crews.items():
                seen[work].append(_run_crew(crew))
    finally:
        for worker in (worker for crew in crews.values() for worker in crew):
            worker.kill()
            worker.communicate()
    return {work: max(answers, key=_speed) for work, answers in seen.items()}


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
    """All of them train for the same time: images/s together, and the memory of the largest."""
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
        raise UserError("a training could not be measured with several cores: see the lines above")
    return Answer(float(line[0]), int(line[1]))


def make_measure(variant: VariantSpec, recipe: RecipeSpec, data: DatasetFacts) -> Measure:
    return functools.partial(measure_ways, variant, recipe, data)
