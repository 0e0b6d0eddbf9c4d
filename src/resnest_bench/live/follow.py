"""The state of a Snakemake run, built from its log events: what is running, what ended, overall progress.

An event has a name and fields, defined by Snakemake's logger interface; Snakemake itself is not imported.
All methods are thread-safe.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from resnest_bench.live.endings import find_error, read_signal
from resnest_bench.live.interrupts import INTERRUPTED
from resnest_bench.live.jobs import SILENT_RULES, make_live_job
from resnest_bench.live.pace import Pace
from resnest_bench.live.priced import PricedJobs
from resnest_bench.live.reading import JobProgress, read_job_progress, read_reason, read_result
from resnest_bench.live.snapshot import LiveJob, Outcome, Running, Snapshot, TimeLeft
from resnest_bench.paths import StudyPaths
from resnest_bench.prices import StudyPrices, read_prices
from resnest_bench.specs import StudySpec

NUM_OUTCOMES = 5
NUM_ERRORS = 50
Clock = Callable[[], float]


class Run:
    """What is known about a run so far. `clock` returns seconds."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self.clock = clock
        self.begun = clock()
        # Without a study, jobs are shown with Snakemake's names.
        self.study: StudySpec | None = None
        self.paths: StudyPaths | None = None
        self.log = ""
        self.done = self.total = 0
        self.failed: set[int] = set()
        # The failed jobs without a record, which the same command will try again.
        self.failures: dict[int, tuple[LiveJob, Outcome]] = {}
        # Snakemake reports the error of a failed command before the job that it belongs to.
        self.errors: deque[str] = deque(maxlen=NUM_ERRORS)
        self.begun_jobs: set[int] = set()
        self.counts: Counter[str] = Counter()
        self.running: dict[int, tuple[LiveJob, float]] = {}
        self.outcomes: deque[Outcome] = deque(maxlen=NUM_OUTCOMES)
        self.pace = Pace()
        self.priced = PricedJobs()
        self.prices: StudyPrices | None = None
        self.lock = threading.RLock()

    def set_counts(self, stats: Mapping[str, int]) -> None:
        """Set the number of jobs per rule, before the first one starts."""
        with self.lock:
            self.counts = Counter({rule: n for rule, n in stats.items() if rule != "total"})
            self.total = stats.get("total", sum(self.counts.values()))

    def set_progress(self, done: int, total: int) -> None:
        with self.lock:
            self.done, self.total = done, total

    def start(self, number: int, fields: Mapping[str, Any]) -> LiveJob:
        """Note that a job starts, or is submitted. `fields` are those of Snakemake's event job_info."""
        job = make_live_job(
            fields["rule_name"], dict(fields["wildcards"]), list(fields["log"]), self.study
        )
        with self.lock:
            self.running[number] = (job, self.clock())
            # It may be a second attempt.
            self.counts[job.rule] -= number not in self.begun_jobs
            self.begun_jobs.add(number)
            self.priced.begin(number, job.records)
            self.failed.discard(number)
            self.failures.pop(number, None)
        return job

    def finish(self, number: int) -> tuple[LiveJob, Outcome, float] | None:
        """Note that a job has succeeded: return it with its result and its seconds.

        Its records may still say that a training failed. Returns None for an unknown job.
        """
        with self.lock:
            job, started = self.running.pop(number, (None, 0.0))
        if job is None:
            return None
        seconds = self.clock() - started
        ok, text = (
            read_result(self.paths, job.records) if self.paths and job.records else (True, "")
        )
        self.pace.add(job.rule, seconds)
        if ok:
            self.priced.end(job.records, seconds)
        return self._note_end(number, job, Outcome(job.title, ok, text), seconds)

    def fail(self, number: int, extra_logs: list[str]) -> tuple[LiveJob, Outcome, float] | None:
        """Note that a job has failed: return it with the reason from its logs and its seconds.

        Returns None for an unknown job, and after Ctrl-C, which only stops jobs.
        """
        with self.lock:
            job, started = self.running.pop(number, (None, 0.0))
        if job is None or INTERRUPTED.is_set():
            return None
        logs = [*([job.log] if job.log else []), *map(Path, extra_logs)]
        ending = read_signal(find_error(list(self.errors), job.log))
        reason = read_reason(logs, self.paths, job.records, ending)
        outcome = Outcome(job.title, False, reason)
        with self.lock:
            self.failures[number] = (job, outcome)
        return self._note_end(number, job, outcome, self.clock() - started)

    def _note_end(
        self, number: int, job: LiveJob, outcome: Outcome, seconds: float
    ) -> tuple[LiveJob, Outcome, float]:
        with self.lock:
            if not outcome.ok:
                self.failed.add(number)
            if job.rule not in SILENT_RULES:
                self.outcomes.append(outcome)
        return job, outcome, seconds

    def snapshot(self) -> Snapshot:
        """Return the state at this moment."""
        with self.lock:
            started_jobs = [(job, self.clock() - start) for job, start in self.running.values()]
            waiting = {rule: n for rule, n in self.counts.items() if n > 0}
            outcomes = tuple(self.outcomes)
        running = [(job, seconds, self._progress(job)) for job, seconds in started_jobs]
        shares = [(job.rule, s, p.share if p else None) for job, s, p in running]
        return Snapshot(
            study=self.study.study if self.study else "workflow",
            done=self.done,
            total=self.total,
            failed=len(self.failed),
            running=tuple(
                Running(job.title, seconds, progress.text if progress else "")
                for job, seconds, progress in running
                if job.rule not in SILENT_RULES
            ),
            outcomes=outcomes,
            left=self._left(running) or self.pace.left(waiting, shares),
            log=self.log,
        )

    def _left(
        self, running: Iterable[tuple[LiveJob, float, JobProgress | None]]
    ) -> TimeLeft | None:
        """Estimate the time left from the plan's prices; None if the run started without them."""
        if self.prices is None and self.paths is not None:
            self.prices = read_prices(self.paths.prices)
        if self.prices is None:
            return None
        shares = [(job.records, s, p.share if p and p.share else None) for job, s, p in running]
        return self.priced.left(self.prices, shares)

    def _progress(self, job: LiveJob) -> JobProgress | None:
        if self.paths is None or not job.records or job.records[0].kind == "latency":
            return None
        return read_job_progress(self.paths, job.records)

    @property
    def seconds(self) -> float:
        return self.clock() - self.begun
