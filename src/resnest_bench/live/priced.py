"""The time left, estimated from the plan's prices (expected seconds) and corrected by finished jobs."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from resnest_bench.live.snapshot import TimeLeft
from resnest_bench.paths import Job
from resnest_bench.prices import GroupPrice, StudyPrices


@dataclass(frozen=True)
class Piece:
    """A piece of work of one kind: its expected seconds, the share that is done, and its seconds so far.

    `share` is None if the work is running and its progress is unknown.
    """

    kind: str
    price: float
    share: float | None = 0.0
    seconds: float = 0.0


def price_key(job: Job) -> tuple:
    """Return the key of the process that runs a job: all seeds of a training, or one latency round."""
    key = (job.kind, job.dataset, job.recipe, job.variant)
    return (*key, job.seed) if job.kind == "latency" else key


def price_job(prices: StudyPrices, jobs: Sequence[Job]) -> float | None:
    """Return the expected seconds of the process that writes the records of `jobs`, or None."""
    group = prices.find(jobs[0]) if jobs else None
    if group is None:
        return None
    return group.start_seconds + len(jobs) * group.seconds_per_record


def price_group(group: GroupPrice) -> float:
    """Return the expected seconds of a whole group. Each latency round has its own process."""
    starts = group.num_records if group.kind == "latency" else 1
    return starts * group.start_seconds + group.num_records * group.seconds_per_record


def find_factors(pieces: Iterable[Piece]) -> tuple[dict[str, float], float]:
    """Return the ratio of spent to expected seconds so far: by kind, and over all kinds (1 if unknown)."""
    spent: dict[str, float] = defaultdict(float)
    expected: dict[str, float] = defaultdict(float)
    for piece in pieces:
        if piece.share and piece.price:
            spent[piece.kind] += piece.seconds
            expected[piece.kind] += piece.share * piece.price
    overall = sum(spent.values()) / sum(expected.values()) if expected else 1.0
    return {kind: spent[kind] / expected[kind] for kind in spent}, overall


def estimate_left(pieces: Sequence[Piece], at_once: int, all_known: bool = True) -> TimeLeft:
    """Estimate the seconds until all pieces are done, if `at_once` of them run at a time."""
    factors, overall = find_factors(pieces)
    left = 0.0
    for piece in pieces:
        total = piece.price * factors.get(piece.kind, overall)
        if piece.share is None:
            left += max(total - piece.seconds, 0.0)
        else:
            left += (1.0 - piece.share) * total
    return TimeLeft(left / max(at_once, 1), all_known=all_known)


class PricedJobs:
    """The jobs of a run with a price: those that have started, and the seconds of finished ones."""

    def __init__(self) -> None:
        self.begun: dict[int, tuple[Job, ...]] = {}
        self.ended: list[tuple[tuple[Job, ...], float]] = []

    def begin(self, number: int, jobs: tuple[Job, ...]) -> None:
        if jobs:
            self.begun[number] = jobs

    def end(self, jobs: tuple[Job, ...], seconds: float) -> None:
        """Note that a job has succeeded; its duration corrects the prices of similar jobs."""
        if jobs:
            self.ended.append((jobs, seconds))

    def left(
        self, prices: StudyPrices, running: Iterable[tuple[tuple[Job, ...], float, float | None]]
    ) -> TimeLeft | None:
        """Estimate the time left, or None if no job has a price.

        `running` has the records, seconds so far and share done (None if unknown) of each running job.
        """
        running = [entry for entry in running if entry[0]]
        started = [
            *((jobs, 1.0, seconds) for jobs, seconds in self.ended),
            *((jobs, share, seconds) for jobs, seconds, share in running),
        ]
        pieces = [
            Piece(jobs[0].kind, price, share, seconds)
            for jobs, share, seconds in started
            if (price := price_job(prices, jobs)) is not None
        ]
        pieces += self._list_waiting(prices)
        if not pieces:
            return None
        return estimate_left(pieces, len(running), all_known=prices.complete)

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
