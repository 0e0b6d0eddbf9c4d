"""Snakemake's log records, shown as a run. The logger plugin passes each one to `LogView.take`."""

import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from resnest_bench.live.dry_run import DryRun
from resnest_bench.live.endings import LOCKED, locked_text
from resnest_bench.live.follow import Run
from resnest_bench.live.screen import make_screen
from resnest_bench.live.view import final_failure_lines, summary_line

# Messages that this view replaces with better ones. If Snakemake changes them, they are shown as well.
REPLACED_MESSAGES = (
    "At least one job did not complete successfully",
    "Exiting because a job execution failed",
    # A job that replaces records backs up the existing ones; this says that there were none.
    "no backup found",
)
NOTHING_TO_DO = "Nothing to be done"
TRIES_AGAIN = "Trying to restart job"


class LogView:
    """Shows the run of one Snakemake process from its log records."""

    def __init__(self, console: Console, style: str, dry_run: bool) -> None:
        self.run = Run()
        self.console = console
        self.screen = make_screen(self.run, console, style)
        self.dry_run = DryRun() if dry_run else None
        self.executes = self.ended = False
        self.held: list[str] = []

    def take(self, record: logging.LogRecord) -> None:
        """Update the display from a log record. Records of other events are ignored."""
        if hasattr(record, "resnest_bench_study"):
            self.run.study, self.run.paths = record.resnest_bench_study
        event = str(getattr(record, "event", None) or "")
        handlers: dict[str, Callable[[Any], None]] = {
            "workflow_started": self._starts,
            "run_info": self._counts,
            "job_info": self._job_starts,
            "job_finished": self._job_ended,
            "job_error": self._job_failed,
            "progress": lambda fields: self.run.set_progress(fields.done, fields.total),
            "error": self._error,
            "": self._message,
        }
        if event in handlers:
            handlers[event](record)

    def _starts(self, record: Any) -> None:
        self.executes = True
        self.held.clear()

    def _counts(self, record: Any) -> None:
        if self.dry_run:
            self.dry_run.stats = record.stats
        elif not self.run.total:
            self.run.set_counts(record.stats)
            self.run.log = _log_file()

    def _job_starts(self, record: Any) -> None:
        if self.dry_run:
            self.dry_run.add(vars(record), self.run.study)
            return
        self.screen.started(self.run.start(record.jobid, vars(record)))

    def _job_ended(self, record: Any) -> None:
        if ended := self.run.finish(record.job_id):
            # The record with Snakemake's own count comes only after this one.
            self.run.set_progress(self.run.done + 1, self.run.total)
            self.screen.ended(*ended)

    def _job_failed(self, record: Any) -> None:
        if ended := self.run.fail(record.jobid, list(record.log)[1:]):
            self.screen.ended(*ended)

    def _error(self, record: Any) -> None:
        # A job's command has failed; the next record will name the job.
        exception = getattr(record, "exception", "")
        if self.run.running and exception == "RuleException":
            self.run.errors.append(str(record.msg))
            return
        if exception == LOCKED:
            self.screen.say(locked_text(Path.cwd(), sys.argv))
            return
        self._message(record)

    def _message(self, record: logging.LogRecord) -> None:
        text = str(record.msg or "").strip()
        if not text or any(message in text for message in REPLACED_MESSAGES):
            return
        if record.levelno >= logging.WARNING or text.startswith((NOTHING_TO_DO, TRIES_AGAIN)):
            self.screen.say(text)
        elif not self.executes:
            # If no jobs run, as with --unlock or --summary, this is the output that was asked for.
            self.held.append(text)

    def end(self) -> None:
        """Remove the view and print a summary of the run. Later calls do nothing."""
        if self.ended:
            return
        self.ended = True
        self.screen.end()
        for line in [*self.held, *self._last_lines()]:
            self.screen.say(line)

    def print_failures(self) -> None:
        """Print again what failed and why, as the last lines of a run, below its tables."""
        for line in final_failure_lines(list(self.run.failures.values())):
            self.screen.say(line)

    def _last_lines(self) -> Iterator[str]:
        if self.dry_run:
            yield from self.dry_run.lines()
        elif self.run.total:
            yield summary_line(self.run.snapshot(), self.run.seconds)


def _log_file() -> str:
    """The path of Snakemake's full log, or '' if it writes none."""
    files = [
        Path(handler.baseFilename)
        for handler in logging.getLogger("snakemake.logging").handlers
        if isinstance(handler, logging.FileHandler)
    ]
    if not files:
        return ""
    here = Path.cwd()
    return str(files[0].relative_to(here) if files[0].is_relative_to(here) else files[0])
