"""What a study costs, in words and one table."""

from collections import Counter
from collections.abc import Sequence

from tabulate import tabulate

from resnest_bench.planning.estimate import Estimate
from resnest_bench.planning.storage import Download, Need, list_shortages

KINDS = ("train", "finetune", "latency")
# How many times its estimate a study took: the least and the most of benchmarks/prices.py, by its
# table in docs/performance.md. A test compares the two.
SEEN_ERRORS: tuple[float, float] | None = (1.07, 1.34)
MOST_NAMED = 8
# Below this share of the processor, other programs are worth a word.
BUSY_SHARE = 0.8


def describe_seconds(seconds: float) -> str:
    """'45 s', '12 min', '2.5 h', '3 days'."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} days"


def describe_bytes(num: float) -> str:
    """'12 kB', '47 MB', '1.2 GB'."""
    if num < 1e6:
        return f"{max(num / 1e3, 1):.0f} kB"
    return f"{num / 1e6:.0f} MB" if num < 1e9 else f"{num / 1e9:.1f} GB"


def describe_estimate(estimate: Estimate, where: str) -> str:
    """The table of prices by kind, what is not in it, and how sure it is."""
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
    rows.append(["in all", "", describe_seconds(estimate.total)])
    return tabulate(rows, headers=["what", "records", "time"], colalign=("left", "right", "right"))


def describe_total(estimate: Estimate) -> str:
    """The time of the whole study, what it would be beside other programs, and the known error."""
    most = "at least" if estimate.unpriced else "about"
    text = f"The next run takes {most} {describe_seconds(estimate.total)} on a quiet machine"
    if SEEN_ERRORS:
        low, high = SEEN_ERRORS
        text += f" (in our runs {low:.1f} to {high:.1f} times the estimate: docs/performance.md)"
    text += "."
    if estimate.share < BUSY_SHARE:
        text += (
            f" Other programs are busy: with the {estimate.share:.0%} of the processor that they "
            f"left just now, it takes about {describe_seconds(estimate.total / estimate.share)}."
        )
    return text


def _describe_unpriced(estimate: Estimate) -> list[str]:
    named = list(estimate.unpriced.items())
    lines = [f"Not in it: {what}: {reason}." for what, reason in named[:MOST_NAMED]]
    if (more := len(named) - MOST_NAMED) > 0:
        lines.append(f"Not in it: {more} more.")
    return lines


def describe_downloads(downloads: Sequence[Download]) -> str:
    """What is fetched and how large it is; '' where nothing is."""
    if not downloads:
        return ""
    texts = [
        f"{d.name} ({describe_bytes(d.num_bytes) if d.num_bytes else 'size unknown'})"
        for d in downloads
    ]
    return f"Downloads: {', '.join(texts)}."


def describe_disk(needs: Sequence[Need]) -> list[str]:
    """What is written to the disk, and a warning where it doesn't fit."""
    if not needs:
        return []
    parts = ", ".join(f"{need.what} {describe_bytes(need.num_bytes)}" for need in needs)
    lines = [f"Disk: {describe_bytes(sum(need.num_bytes for need in needs))} ({parts})."]
    for place, total, free in list_shortages(needs):
        lines.append(
            f"Warning: {describe_bytes(total)} are needed on the disk of {place}, and "
            f"{describe_bytes(free)} are free: free space, or name another data_dir or --results."
        )
    return lines
