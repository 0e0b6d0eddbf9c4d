"""A snapshot formatted as lines of a given width. No file is read here."""

from collections.abc import Iterable, Sequence

from resnest_bench.live.snapshot import LiveJob, Outcome, Running, Snapshot, TimeLeft

BAR_WIDTH = 20
MARGIN = "        "
MAX_RUNNING = 6
MAX_FAILED = 10
MARKS = {True: "done", False: "FAILED"}


def duration_text(seconds: float) -> str:
    """Format a duration: '39 s', '6 min', '2.5 h'."""
    if seconds < 60:
        return f"{max(seconds, 0):.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def left_text(left: TimeLeft | None) -> str:
    """Format the time left: 'about 6 min left', 'at least 6 min left', or '' if unknown."""
    if left is None or left.seconds <= 0:
        return ""
    return f"{'about' if left.all_known else 'at least'} {duration_text(left.seconds)} left"


def counts_text(snapshot: Snapshot) -> str:
    """Format the counts: '12 of 45 jobs, 1 failed, about 6 min left'."""
    parts = [f"{snapshot.done} of {snapshot.total} {snapshot.unit}"]
    if snapshot.failed:
        parts.append(f"{snapshot.failed} failed")
    return ", ".join([*parts, *filter(None, [left_text(snapshot.left)])])


def shorten(text: str, width: int) -> str:
    """Shorten `text` to at most `width` characters, with '…' in the middle."""
    if len(text) <= width:
        return text
    head = (width - 1) // 2
    return text[:head] + "…" + text[len(text) - (width - 1 - head) :]


def _bar(done: int, total: int) -> str:
    filled = round(BAR_WIDTH * done / total) if total else 0
    return "█" * filled + "░" * (BAR_WIDTH - filled)


def _justify(left: str, right: str, width: int) -> str:
    """`left` flush left and `right` flush right; `left` is shortened if both don't fit."""
    left = shorten(left, max(width - len(right) - 2, 8))
    return f"{left}{right.rjust(width - len(left))}" if right else left


def _running_lines(running: Running, width: int) -> list[str]:
    lines = [_justify(running.title, duration_text(running.seconds), width)]
    return [*lines, shorten(f"  {running.progress}", width)] if running.progress else lines


def _outcome_line(outcome: Outcome, width: int) -> str:
    text = outcome.text if outcome.ok else f"FAILED {outcome.text}".strip()
    return _justify(outcome.title, shorten(text, width // 2), width)


def _section(name: str, lines: Iterable[str]) -> list[str]:
    """Lines behind a margin, which holds the section's name in the first one."""
    return [
        f"{f'  {name}' if not index else '':<{len(MARGIN)}}{line}"
        for index, line in enumerate(lines)
    ]


def view_lines(snapshot: Snapshot, width: int = 80) -> list[str]:
    """Return the whole view: jobs done, running jobs, the latest results, and the path of the full log."""
    inner = width - len(MARGIN)
    shown = snapshot.running[:MAX_RUNNING]
    now = [line for running in shown for line in _running_lines(running, inner)]
    if more := len(snapshot.running) - len(shown):
        now.append(f"and {more} more")
    head = f"{snapshot.study}  {_bar(snapshot.done, snapshot.total)}  {counts_text(snapshot)}"
    return [
        shorten(head, width),
        *_section("now", now),
        *_section("last", [_outcome_line(outcome, inner) for outcome in snapshot.outcomes]),
        *_section("log", [shorten(snapshot.log, inner)] if snapshot.log else []),
    ]


def start_line(clock: str, title: str) -> str:
    return f"{clock} start  {title}"


def outcome_line(clock: str, snapshot: Snapshot, outcome: Outcome, seconds: float) -> str:
    """Return a line for output without a terminal: the job that ended, its result, overall progress."""
    ended = f"{clock} {MARKS[outcome.ok]:<6} {outcome.title}"
    text = f": {outcome.text}" if outcome.text else ""
    return f"{ended}{text} ({duration_text(seconds)}) [{counts_text(snapshot)}]"


def failure_lines(job: LiveJob, outcome: Outcome) -> list[str]:
    """Return the lines below the name of a failed job: why, the log, and what continues."""
    return [*_reason_lines(job, outcome), "  Jobs that don't depend on it continue."]


def _reason_lines(job: LiveJob, outcome: Outcome) -> list[str]:
    return [f"  {outcome.text}", *([f"  log: {job.log}"] if job.log else [])]


def final_failure_lines(failed: Sequence[tuple[LiveJob, Outcome]]) -> list[str]:
    """Return the last lines of a run with failures: each with its reason and log, and what to do."""
    if not failed:
        return []
    lines = ["", *failed_lines(failed)]
    return [*lines, "Finished jobs are kept. The same command tries the failed ones again."]


def failed_lines(failed: Sequence[tuple[LiveJob, Outcome]]) -> list[str]:
    """Return lines with each failed job, its full reason and its log."""
    lines = []
    for job, outcome in failed[:MAX_FAILED]:
        lines += [f"FAILED {outcome.title}", *_reason_lines(job, outcome)]
    if (more := len(failed) - MAX_FAILED) > 0:
        lines.append(f"and {more} more")
    return lines


def silence_text(snapshot: Snapshot) -> str:
    """Explain why nothing seems to run although records are missing; '' otherwise."""
    if snapshot.running or snapshot.done >= snapshot.total:
        return ""
    return "No training is running. A latency measurement reports nothing until it is done."


def still_line(clock: str, running: Running) -> str:
    progress = running.progress or "running"
    return f"{clock} still  {running.title}: {progress} ({duration_text(running.seconds)})"


def summary_line(snapshot: Snapshot, seconds: float) -> str:
    """Return the summary of a run: jobs done and failed, its duration, and the path of the log."""
    failed = f", {snapshot.failed} failed" if snapshot.failed else ""
    text = f"{snapshot.done} of {snapshot.total} jobs done{failed} in {duration_text(seconds)}."
    if snapshot.failed:
        text += " The same command tries the failed ones again."
    return f"{text}\nFull log: {snapshot.log}" if snapshot.log else text
