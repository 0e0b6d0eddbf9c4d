"""Where a run is shown: one view that stays in a terminal, or plain lines elsewhere."""

import threading
import time
from typing import Protocol

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from resnest_bench.live.follow import Run
from resnest_bench.live.jobs import SILENT_RULES
from resnest_bench.live.snapshot import LiveJob, Outcome, Snapshot
from resnest_bench.live.view import failure_lines, outcome_line, start_line, still_line, view_lines

REFRESHES_PER_SECOND = 2
# Without a terminal, how often a job that runs for long is heard of.
STILL_SECONDS = 60.0


class Screen(Protocol):
    """Shows a run. `say` prints a line that stays."""

    def begin(self) -> None: ...
    def started(self, job: LiveJob) -> None: ...
    def ended(self, job: LiveJob, outcome: Outcome, seconds: float) -> None: ...
    def say(self, text: str) -> None: ...
    def end(self) -> None: ...


def make_screen(run: Run, console: Console, style: str) -> Screen:
    """The screen of `style`: 'live', 'lines', or 'auto' for what the console can show."""
    live = (
        console.is_terminal and not console.is_dumb_terminal if style == "auto" else style == "live"
    )
    return LiveScreen(run, console) if live else LineScreen(run, console)


def make_view(snapshot: Snapshot, width: int) -> Text:
    """The view in colours; the console leaves them out where none are wanted."""
    head, *rest = view_lines(snapshot, width)
    text = Text(head, style="bold", no_wrap=True)
    for line in rest:
        text.append("\n")
        text.append(line, style="red" if "FAILED " in line else "not bold")
    return text


class LiveScreen:
    """One view at the bottom of a terminal; only what failed stays above it."""

    def __init__(self, run: Run, console: Console) -> None:
        self.run, self.console = run, console
        self.live: Live | None = None

    def begin(self) -> None:
        if self.live is None:
            self.live = Live(
                get_renderable=self._render,
                console=self.console,
                refresh_per_second=REFRESHES_PER_SECOND,
                transient=True,
                # Jobs write to their logs; what else this process prints is no part of the view.
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self.live.start()

    def _render(self) -> RenderableType:
        return make_view(self.run.snapshot(), self.console.width)

    def started(self, job: LiveJob) -> None:
        self.begin()

    def ended(self, job: LiveJob, outcome: Outcome, seconds: float) -> None:
        if not outcome.ok:
            self.say("\n".join([f"FAILED {outcome.title}", *failure_lines(job, outcome)]))

    def say(self, text: str) -> None:
        self.console.print(Text(text), soft_wrap=True)

    def end(self) -> None:
        live, self.live = self.live, None
        if live is not None:
            live.stop()


class LineScreen:
    """A line for each start and each end, and one now and then for what takes long."""

    def __init__(self, run: Run, console: Console) -> None:
        self.run, self.console = run, console
        self.stopped = threading.Event()
        self.thread: threading.Thread | None = None

    def begin(self) -> None:
        if self.thread is None:
            self.thread = threading.Thread(target=self._tell_now_and_then, daemon=True)
            self.thread.start()

    def _tell_now_and_then(self) -> None:
        while not self.stopped.wait(STILL_SECONDS):
            for running in self.run.snapshot().running:
                if running.seconds >= STILL_SECONDS:
                    self.say(still_line(_clock(), running))

    def started(self, job: LiveJob) -> None:
        self.begin()
        if job.rule not in SILENT_RULES:
            self.say(start_line(_clock(), job.title))

    def ended(self, job: LiveJob, outcome: Outcome, seconds: float) -> None:
        if job.rule in SILENT_RULES and outcome.ok:
            return
        short = outcome if outcome.ok else Outcome(outcome.title, False)
        more = [] if outcome.ok else failure_lines(job, outcome)
        line = outcome_line(_clock(), self.run.snapshot(), short, seconds)
        self.say("\n".join([line, *more]))

    def say(self, text: str) -> None:
        self.console.print(Text(text), soft_wrap=True)

    def end(self) -> None:
        self.stopped.set()


def _clock() -> str:
    return time.strftime("%H:%M:%S")
