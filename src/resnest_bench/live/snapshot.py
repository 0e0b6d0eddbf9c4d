"""What a person wants to know of a run, at one moment: plain values, from wherever they come."""

from dataclasses import dataclass
from pathlib import Path

from resnest_bench.paths import Job


@dataclass(frozen=True)
class LiveJob:
    """One job of the workflow. `title` names it for a reader; `records` are what it will write."""

    rule: str
    title: str
    records: tuple[Job, ...] = ()
    log: Path | None = None


@dataclass(frozen=True)
class Running:
    """A job that runs: for how many seconds, and how far it says it is ('' where it doesn't)."""

    title: str
    seconds: float
    progress: str = ""


@dataclass(frozen=True)
class Outcome:
    """A job that ended. `text` is its result in a few words, or why it failed."""

    title: str
    ok: bool
    text: str = ""


@dataclass(frozen=True)
class TimeLeft:
    """Seconds that the rest will take; `all_known` is False where some jobs can't be estimated yet."""

    seconds: float
    all_known: bool


@dataclass(frozen=True)
class Snapshot:
    """One view of a run. `outcomes` are the last ones, the newest at the end."""

    study: str
    done: int
    total: int
    failed: int
    running: tuple[Running, ...]
    outcomes: tuple[Outcome, ...]
    left: TimeLeft | None
    log: str
    # Of what `done` and `total` are numbers.
    unit: str = "jobs"
