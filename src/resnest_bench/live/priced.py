"""How long the rest takes, from what the plan expected of each job, corrected by what has run."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from resnest_bench.live.snapshot import TimeLeft
from resnest_bench.paths import Job
from resnest_bench.prices import GroupPrice, StudyPrices


@dataclass(frozen=True)
class Piece:
    """Work of a kind: what it was expected to take, the share that is done, and seconds so far.

    `share` is None where it runs and does not say.
    """

    kind: str
    price: float
    share: float | None = 0.0
    seconds: float = 0.0


def price_key(job: Job) -> tuple:
    """What one process does: all seeds of a training, one round of a latency."""
    key = (job.kind, job.dataset, job.recipe, job.variant)
    return (*key, job.seed) if job.kind == "latency" else key


def price_job(prices: StudyPrices, jobs: Sequence[Job]) -> float | None:
    """Expected seconds of one process that writes these records; None where nobody knows."""
    group = prices.find(jobs[0]) if jobs else None
    if group is None:
        return None
    return group.start_seconds + len(jobs) * group.seconds_per_record


def price_group(group: GroupPrice) -> float:
    """Expected seconds of all that a run makes of a group. Each round of a latency has its process."""
    starts = group.num_records if group.kind == "latency" else 1
    return starts * group.start_seconds + group.num_records * group.seconds_per_record


def find_factors(pieces: Iterable[Piece]) -> tuple[dict[str, float], float]:
    """How many times its price each kind has taken so far, and all of them together."""
    spent: dict[str, float] = defaultdict(float)
    expected: dict[str, float] = defaultdict(float)
    for piece in pieces:
        if piece.share and piece.price:
            spent[piece.kind] += piece.seconds
            expected[piece.kind] += piece.share * piece.price
    overall = sum(spent.values()) / sum(expected.values()) if expected else 1.0
    return {kind: spent[kind] / expected[kind] for kind in spent}, overall


def estimate_left(pieces: Sequence[Piece], at_once: int, all_known: bool = True) -> TimeLeft:
    """Seconds until all pieces are done, `at_once` of them at a time."""
    factors, overall = find_factors(pieces)
    left = 0.0
    for piece in pieces:
        whole = piece.price * factors.get(piece.kind, overall)
        if piece.share is None:
            left += max(whole - piece.seconds, 0.0)
        else:
            left += (1.0 - piece.share) * whole
    return TimeLeft(left / max(at_once, 1), all_known=all_known)


class PricedJobs:
    """The jobs of a run that have a price: which have begun, and what those that ended have taken."""

    def __init__(self) -> None:
        self.begun: dict[int, tuple[Job, ...]] = {}
        self.ended: list[tuple[tuple[Job, ...], float]] = []

    def begin(self, number: int, jobs: tuple[Job, ...]) -> None:
        if jobs:
            self.begun[number] = jobs

    def end(self, jobs: tuple[Job, ...], seconds: float) -> None:
        """It has ended well: how long it took counts for its like."""
        if jobs:
            self.ended.append((jobs, seconds))

    def left(
        self, prices: StudyPrices, running: Iterable[tuple[tuple[Job, ...], float, float | None]]
    ) -> TimeLeft | None:
        """`running`: records, seconds so far and share done of each job that runs. None without prices."""
        now = [entry for entry in running if entry[0]]
        known = [
            *((jobs, 1.0, seconds) for jobs, seconds in self.ended),
            *((jobs, share, seconds) for jobs, seconds, share in now),
        ]
        pieces = [
            Piece(jobs[0].kind, price, share, seconds)
            for jobs, share, seconds in known
            if (price := price_job(prices, jobs)) is not None
        ]
        pieces += self._list_waiting(prices)
        if not pieces:
            return None
        return estimate_left(pieces, len(now), all_known=prices.complete)

    def _list_waiting(self, prices: StudyPrices) -> list[Piece]:
        begun: dict[tuple[str, str, str, str], float] = defaultdict(float)
        for jobs in self.begun.values():
            job = jobs[0]
            key = (job.kind, job.dataset, job.recipe, job.variant)
            begun[key] += price_job(prices, jobs) or 0.0
        return [
            Piece(group.kind, max(price_group(group) - begun[group.key], 0.0))
            for group in prices.groups
        ]
