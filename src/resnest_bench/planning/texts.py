"""The estimate of a study as text: one table and a few sentences."""

from collections import Counter
from collections.abc import Sequence

from tabulate import tabulate

from resnest_bench.planning.estimate import Estimate
from resnest_bench.planning.storage import Download, Need, list_shortages

KINDS = ("train", "finetune", "deploy", "latency")
# The smallest and largest ratio of actual to estimated time that benchmarks/prices.py has measured. A test
# compares them with the table in docs/performance.md.
SEEN_ERRORS: tuple[float, float] | None = (1.07, 1.34)
MAX_NAMED = 8
# Below this share of the processor, the text mentions other programs.
BUSY_SHARE = 0.8


def describe_seconds(seconds: float) -> str:
    """Format a duration: '45 s', '12 min', '2.5 h', '3 days'."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} days"


def describe_bytes(num: float) -> str:
    """Format a size: '12 kB', '47 MB', '1.2 GB'."""
    if num < 1e6:
        return f"{max(num / 1e3, 1):.0f} kB"
    return f"{num / 1e6:.0f} MB" if num < 1e9 else f"{num / 1e9:.1f} GB"


def describe_estimate(estimate: Estimate, where: str) -> str:
    """Return a table of times by kind of job, its uncertainty, and what is not included.

    `where` names the device and how trainings use it.
    """
    lines = [f"{where}:", "", _make_table(estimate), "", describe_total(estimate)]
    return "\n".join([*lines, *_describe_unpriced(estimate)])


def _make_table(estimate: Estimate) -> str:
    records: Counter[str] = Counter()
    for group, price in estimate.prices.items():
        records[group.kind] += price.num_records
    rows: list[list] = [["data", "", describe_seconds(estimate.data_seconds)]]
    rows += [
        [kind, records[kind], describe_seconds(estimate.seconds(kind))]
        for kind in KINDS
        if records[kind]
    ]
    rows.append(["tables, figures", "", describe_seconds(estimate.closing_seconds)])
    rows.append(["total", "", describe_seconds(estimate.total)])
    return tabulate(rows, headers=["step", "records", "time"], colalign=("left", "right", "right"))


def describe_total(estimate: Estimate) -> str:
    """Return a sentence on the total time, with the known error and the effect of other programs."""
    bound = "at least" if estimate.unpriced else "about"
    text = f"The next run takes {bound} {describe_seconds(estimate.total)} on an idle machine"
    if SEEN_ERRORS:
        low, high = SEEN_ERRORS
        text += f" (our runs took {low:.1f} to {high:.1f} times the estimate: docs/performance.md)"
    text += "."
    if estimate.share < BUSY_SHARE:
        text += (
            f" Other programs are running: with the {estimate.share:.0%} of the processor that was free "
            f"just now, it takes about {describe_seconds(estimate.total / estimate.share)}."
        )
    return text


def _describe_unpriced(estimate: Estimate) -> list[str]:
    named = list(estimate.unpriced.items())
    lines = [f"Not included: {what} ({reason})." for what, reason in named[:MAX_NAMED]]
    if (more := len(named) - MAX_NAMED) > 0:
        lines.append(f"Not included: {more} more.")
    return lines


def describe_downloads(downloads: Sequence[Download]) -> str:
    """Return a sentence on what will be downloaded, with sizes; '' if nothing is."""
    if not downloads:
        return ""
    texts = [
        f"{d.name} ({describe_bytes(d.num_bytes) if d.num_bytes else 'size unknown'})"
        for d in downloads
    ]
    return f"Downloads: {', '.join(texts)}."


def describe_disk(needs: Sequence[Need]) -> list[str]:
    """Return a line on what will be written to the disk, and warnings if it doesn't fit."""
    if not needs:
        return []
    parts = ", ".join(f"{need.what} {describe_bytes(need.num_bytes)}" for need in needs)
    lines = [f"Disk: {describe_bytes(sum(need.num_bytes for need in needs))} ({parts})."]
    for folder, total, free in list_shortages(needs):
        lines.append(
            f"Warning: the disk of {folder} has {describe_bytes(free)} free, but {describe_bytes(total)} "
            "are needed: free space, or choose another data_dir or --results."
        )
    return lines
