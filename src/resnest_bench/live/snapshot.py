"""The state of a run at one moment, as plain values that don't depend on their source."""

from dataclasses import dataclass
from pathlib import Path

from resnest_bench.paths import Job


@dataclass(frozen=True)
class LiveJob:
    """One job of the workflow. `title` is its name for display; `records` are what it will write."""

    rule: str
    title: str
    records: tuple[Job, ...] = ()
    log: Path | None = None


@dataclass(frozen=True)
class Running:
    """A running job: its seconds so far, and its progress in words ('' if unknown)."""

    title: str
    seconds: float
    progress: str = ""


@dataclass(frozen=True)
class Outcome:
    """A job that has ended. `text` is its result in a few words, or why it failed."""

    title: str
    ok: bool
    text: str = ""


@dataclass(frozen=True)
class TimeLeft:
    """Estimated seconds left; `all_known` is False if some jobs can't be estimated yet."""

    seconds: float
    all_known: bool


@dataclass(frozen=True)
class Snapshot:
    """The state of a run. `outcomes` are the latest ones, the newest at the end."""

    study: str
    done: int
    total: int
    failed: int
    running: tuple[Running, ...]
    outcomes: tuple[Outcome, ...]
    left: TimeLeft | None
    log: str
    # What `done` and `total` count.
    unit: str = "jobs"
