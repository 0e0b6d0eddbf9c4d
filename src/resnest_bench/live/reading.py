"""What a job has left in files, in a few words: how far it is, its result, or why it failed."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from resnest_bench import records
from resnest_bench.errors import UserError
from resnest_bench.paths import Job, StudyPaths
from resnest_bench.records import Record
from resnest_bench.records.metrics import METRICS, primary_cell
from resnest_bench.records.progress import LiveProgress, read_progress

ERROR_PREFIX = "resnest-bench: error: "
# Of a log that may be long, the end: there it says why.
TAIL_BYTES = 20_000


@dataclass(frozen=True)
class JobProgress:
    """How far a job is: a share between 0 and 1, and the same in words."""

    share: float
    text: str


def read_job_progress(paths: StudyPaths, jobs: Sequence[Job]) -> JobProgress | None:
    """How far a training over all its seeds is; None where it hasn't said anything yet."""
    done = sum(paths.record(job).exists() for job in jobs)
    waiting = [job for job in jobs if not paths.record(job).exists()]
    live = [progress for job in waiting if (progress := _progress(paths, job))]
    if not live and not done:
        return None
    shares = [len(progress.epochs) / progress.num_epochs for progress in live]
    share = (done + sum(shares)) / len(jobs)
    return JobProgress(share, ", ".join(_progress_texts(live, done, len(jobs))))


def _progress(paths: StudyPaths, job: Job) -> LiveProgress | None:
    try:
        return read_progress(paths.progress(job), job)
    except UserError:
        # Not there yet, or of another version: the record will say it all.
        return None


def _progress_texts(live: list[LiveProgress], done: int, num_seeds: int) -> list[str]:
    texts = [f"seed {min(done + 1, num_seeds)} of {num_seeds}"] if num_seeds > 1 else []
    return texts + (describe_epochs(live[0]) if live else [])


def describe_epochs(progress: LiveProgress) -> list[str]:
    """'epoch 2 of 4' and 'accuracy 50.0%'; nothing before the first epoch has ended."""
    if not progress.epochs:
        return []
    texts = [f"epoch {len(progress.epochs)} of {progress.num_epochs}"]
    known = [e.test_accuracy for e in progress.epochs if e.test_accuracy is not None]
    return [*texts, f"accuracy {known[-1]:.1%}"] if known else texts


def read_result(paths: StudyPaths, jobs: Sequence[Job]) -> tuple[bool, str]:
    """Whether all of a job's records are good, and what they say: an accuracy, or a latency."""
    found = []
    for job in jobs:
        try:
            found.append(records.read(paths.record(job), job))
        except UserError as error:
            return False, str(error)
    failed = [record for record in found if record.failure]
    good = [record for record in found if not record.failure]
    if failed:
        return False, _failure_text(failed, len(found))
    return True, _accuracy_text(good) or _latency_text(good)


def _failure_text(failed: list[Record], num: int) -> str:
    reason = failed[0].failure.reason if failed[0].failure else ""
    return reason if num == 1 else f"{len(failed)} of {num} seeds: {reason}"


def _values(found: list[Record], metric: str) -> list[float]:
    values = [METRICS[metric].extract(record) for record in found]
    return [value for value in values if value is not None]


def _accuracy_text(found: list[Record]) -> str:
    values = _values(found, "test_accuracy")
    if not values:
        return ""
    seeds = f" (n={len(values)})" if len(values) > 1 else ""
    return f"accuracy {statistics.fmean(values):.1%}{seeds}"


def _latency_text(found: list[Record]) -> str:
    values = _values(found, "latency_p50_ms")
    cell = primary_cell(found[0].latency) if values and found[0].latency else None
    if cell is None:
        return ""
    return f"p50 {statistics.fmean(values):.3g} ms at batch {cell.batch_size}"


def read_reason(
    logs: Sequence[Path], paths: StudyPaths | None, jobs: Sequence[Job], ending: str = ""
) -> str:
    """The one line that says why a job failed: from its logs, or from the record of a failure.

    `ending`: which signal ended it. Such a job had no time to say anything itself.
    """
    if said := read_said(logs):
        return said
    if ending:
        return ending
    lines = [line for log in logs for line in _last_lines(log)]
    return _recorded_failure(paths, jobs) or (lines[-1] if lines else "it left no line in its log")


def read_said(logs: Sequence[Path]) -> str:
    """The last of our own errors in the logs of a job; '' where they have none."""
    lines = [line for log in logs for line in _last_lines(log)]
    said = [line.removeprefix(ERROR_PREFIX) for line in lines if line.startswith(ERROR_PREFIX)]
    return said[-1] if said else ""


def _recorded_failure(paths: StudyPaths | None, jobs: Sequence[Job]) -> str:
    """What the first record that isn't good says; '' where there is none."""
    for job in jobs:
        if paths and paths.record(job).exists():
            good, text = read_result(paths, [job])
            if not good:
                return text
    return ""


def _last_lines(log: Path) -> list[str]:
    try:
        with log.open("rb") as file:
            file.seek(max(log.stat().st_size - TAIL_BYTES, 0))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]
