"""The progress of a job, its result or the reason for its failure, read from its files."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from resnest_bench import records
from resnest_bench.errors import UserError
from resnest_bench.paths import Job, StudyPaths
from resnest_bench.records import Record
from resnest_bench.records.latencies import primary_cell
from resnest_bench.records.metrics import METRICS
from resnest_bench.records.progress import LiveProgress, read_progress

ERROR_PREFIX = "resnest-bench: error: "
# Only the end of a log is read, since the reason for a failure is there.
TAIL_BYTES = 20_000


@dataclass(frozen=True)
class JobProgress:
    """The progress of a job: a share from 0 to 1, and the same in words."""

    share: float
    text: str


def read_job_progress(paths: StudyPaths, jobs: Sequence[Job]) -> JobProgress | None:
    """Return the progress of a training over all its seeds, or None before its first report."""
    done = sum(paths.record(job).exists() for job in jobs)
    waiting = [job for job in jobs if not paths.record(job).exists()]
    live = [progress for job in waiting if (progress := _try_read_progress(paths, job))]
    if not live and not done:
        return None
    shares = [len(progress.epochs) / progress.num_epochs for progress in live]
    share = (done + sum(shares)) / len(jobs)
    return JobProgress(share, ", ".join(_progress_texts(live, done, len(jobs))))


def _try_read_progress(paths: StudyPaths, job: Job) -> LiveProgress | None:
    try:
        return read_progress(paths.progress(job), job)
    except UserError:
        # It doesn't exist yet, or is from another version; the record will have the result.
        return None


def _progress_texts(live: list[LiveProgress], done: int, num_seeds: int) -> list[str]:
    texts = [f"seed {min(done + 1, num_seeds)} of {num_seeds}"] if num_seeds > 1 else []
    return texts + (describe_epochs(live[0]) if live else [])


def describe_epochs(progress: LiveProgress) -> list[str]:
    """Return 'epoch 2 of 4' and 'accuracy 50.0%', as far as known; [] before the first epoch has ended."""
    if not progress.epochs:
        return []
    texts = [f"epoch {len(progress.epochs)} of {progress.num_epochs}"]
    known = [e.test_accuracy for e in progress.epochs if e.test_accuracy is not None]
    return [*texts, f"accuracy {known[-1]:.1%}"] if known else texts


def read_result(paths: StudyPaths, jobs: Sequence[Job]) -> tuple[bool, str]:
    """Return whether all of a job's records are valid and successful, and the result or the reason.

    The result is a mean accuracy or a latency.
    """
    made = []
    for job in jobs:
        try:
            made.append(records.read(paths.record(job), job))
        except UserError as error:
            return False, str(error)
    failed = [record for record in made if record.failure]
    good = [record for record in made if not record.failure]
    if failed:
        return False, _failure_text(failed, len(made))
    return True, _accuracy_text(good) or _latency_text(good)


def _failure_text(failed: list[Record], num: int) -> str:
    reason = failed[0].failure.reason if failed[0].failure else ""
    return reason if num == 1 else f"{len(failed)} of {num} seeds: {reason}"


def _values(good: list[Record], metric: str) -> list[float]:
    values = [METRICS[metric].extract(record) for record in good]
    return [value for value in values if value is not None]


def _accuracy_text(good: list[Record]) -> str:
    values = _values(good, "test_accuracy")
    if not values:
        return ""
    seeds = f" (n={len(values)})" if len(values) > 1 else ""
    return f"accuracy {statistics.fmean(values):.1%}{seeds}"


def _latency_text(good: list[Record]) -> str:
    values = _values(good, "latency_p50_ms")
    cell = primary_cell(good[0].latency) if values and good[0].latency else None
    if cell is None:
        return ""
    return f"p50 {statistics.fmean(values):.3g} ms at batch {cell.batch_size}"


def read_reason(
    logs: Sequence[Path], paths: StudyPaths | None, jobs: Sequence[Job], ending: str = ""
) -> str:
    """Return one line that says why a job failed, from its logs or from the record of the failure.

    `ending` names the signal that ended the job, which could then not report anything itself.
    """
    if error := read_logged_error(logs):
        return error
    if ending:
        return ending
    lines = [line for log in logs for line in _last_lines(log)]
    return _recorded_failure(paths, jobs) or (lines[-1] if lines else "its log is empty")


def read_logged_error(logs: Sequence[Path]) -> str:
    """Return the last `resnest-bench: error:` in the logs of a job, or ''."""
    lines = [line for log in logs for line in _last_lines(log)]
    errors = [line.removeprefix(ERROR_PREFIX) for line in lines if line.startswith(ERROR_PREFIX)]
    return errors[-1] if errors else ""


def _recorded_failure(paths: StudyPaths | None, jobs: Sequence[Job]) -> str:
    """The reason in the first record that is invalid or of a failure, or ''."""
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
