"""The time left, estimated from the durations of similar jobs in the same run."""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping

from resnest_bench.live.snapshot import TimeLeft

# These take seconds, so an estimate of the time left doesn't have to wait for them.
SHORT_RULES = frozenset(
    {"all", "all_data", "data", "weights", "decide", "propose", "tables", "figures"}
)


class Pace:
    """Seconds of finished jobs, by rule."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)

    def add(self, rule: str, seconds: float) -> None:
        self.seconds[rule].append(seconds)

    def left(
        self, waiting: Mapping[str, int], running: Iterable[tuple[str, float, float | None]]
    ) -> TimeLeft | None:
        """Estimate the seconds until all jobs are done, or None if nothing is known.

        It assumes that as many jobs run at a time as now.

        Args:
            waiting: number of jobs by rule that have not started.
            running: rule, seconds so far and share done (None if unknown) of each running job.
        """
        running = list(running)
        expected = self._expected(running)
        rest = [expected[rule] * n if rule in expected else None for rule, n in waiting.items()]
        for rule, so_far, share in running:
            total = so_far / share if share else expected.get(rule)
            rest.append(None if total is None else max(total - so_far, 0.0))
        known = [seconds for seconds in rest if seconds is not None]
        if not known:
            return None
        return TimeLeft(sum(known) / max(len(running), 1), all_known=len(known) == len(rest))

    def _expected(self, running: Iterable[tuple[str, float, float | None]]) -> dict[str, float]:
        """Expected seconds of one job by rule, from finished jobs or else from a running one."""
        projected = {rule: so_far / share for rule, so_far, share in running if share}
        finished = {rule: statistics.fmean(seconds) for rule, seconds in self.seconds.items()}
        return {**dict.fromkeys(SHORT_RULES, 0.0), **projected, **finished}
