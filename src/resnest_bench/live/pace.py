"""How long the rest takes, from how long its like has taken in this run."""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping

from resnest_bench.live.snapshot import TimeLeft

# They take seconds: a run whose trainings can be estimated need not wait for them.
SHORT_RULES = frozenset({"all", "all_data", "data", "weights", "decide", "tables", "figures"})


class Pace:
    """Seconds of the jobs that ended, by rule."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)

    def add(self, rule: str, seconds: float) -> None:
        self.seconds[rule].append(seconds)

    def left(
        self, waiting: Mapping[str, int], running: Iterable[tuple[str, float, float | None]]
    ) -> TimeLeft | None:
        """Seconds until all is done, as many jobs at a time as run now; None where none is known.

        `waiting` is the number of jobs by rule that have not started. `running` is rule, seconds
        so far and share done (None: it doesn't say) of each job that runs.
        """
        now = list(running)
        expected = self._expected(now)
        rest = [expected[rule] * n if rule in expected else None for rule, n in waiting.items()]
        for rule, so_far, share in now:
            whole = so_far / share if share else expected.get(rule)
            rest.append(None if whole is None else max(whole - so_far, 0.0))
        known = [seconds for seconds in rest if seconds is not None]
        if not known:
            return None
        return TimeLeft(sum(known) / max(len(now), 1), all_known=len(known) == len(rest))

    def _expected(self, now: Iterable[tuple[str, float, float | None]]) -> dict[str, float]:
        """Seconds of one job by rule: of those that ended, else of one that runs and says its share."""
        running = {rule: so_far / share for rule, so_far, share in now if share}
        ended = {rule: statistics.fmean(seconds) for rule, seconds in self.seconds.items()}
        return {**dict.fromkeys(SHORT_RULES, 0.0), **running, **ended}
