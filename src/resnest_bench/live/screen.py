"""The display of a run: a live view in a terminal, or plain lines elsewhere."""

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
# Without a terminal, a running job is mentioned this often.
STILL_SECONDS = 60.0


class Screen(Protocol):
    """Shows a run. `say` prints a permanent line."""

    def begin(self) -> None: ...
    def started(self, job: LiveJob) -> None: ...
    def ended(self, job: LiveJob, outcome: Outcome, seconds: float) -> None: ...
    def say(self, text: str) -> None: ...
    def end(self) -> None: ...


def make_screen(run: Run, console: Console, style: str) -> Screen:
    """Return a screen of `style`: 'live', 'lines', or 'auto' for the best that the console supports."""
    live = (
        console.is_terminal and not console.is_dumb_terminal if style == "auto" else style == "live"
    )
    return LiveScreen(run, console) if live else LineScreen(run, console)


def make_view(snapshot: Snapshot, width: int) -> Text:
    """Return the view as styled text; the console omits the colours if they are not supported."""
    head, *rest = view_lines(snapshot, width)
    text = Text(head, style="bold", no_wrap=True)
    for line in rest:
        text.append("\n")
        text.append(line, style="red" if "FAILED " in line else "not bold")
    return text


class LiveScreen:
    """A live view at the bottom of a terminal, with permanent lines above it for failures only."""

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
                # Jobs write to their own logs; other output of this process is not part of the view.
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
    """One line for each start and end of a job, and one per STILL_SECONDS for each running job."""

    def __init__(self, run: Run, console: Console) -> None:
        self.run, self.console = run, console
        self.stopped = threading.Event()
        self.thread: threading.Thread | None = None

    def begin(self) -> None:
        if self.thread is None:
            self.thread = threading.Thread(target=self._report_periodically, daemon=True)
            self.thread.start()

    def _report_periodically(self) -> None:
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
