"""The duration of calls, corrected to an otherwise idle machine."""

import statistics
import time
from collections.abc import Callable

import torch

ROUNDS = 3


class Clock:
    """Measures the duration of calls, and the share of the processor that they got.

    With one thread, a call's processor time is its duration on an idle machine. Wall time also includes
    other programs: with it, the estimates for one study ranged from 45 s to 70 minutes. With several
    threads, which wait for each other, processor time means little, so the fastest call counts.
    """

    def __init__(self, device: torch.device) -> None:
        self.device, self.num_threads = device, 1
        self.own_seconds = self.wall_seconds = 0.0

    def use_threads(self, num_threads: int) -> None:
        """Set torch's number of threads to that of the job."""
        self.num_threads = num_threads
        torch.set_num_threads(num_threads)

    @property
    def share(self) -> float:
        """The share of the time of all calls so far that other programs did not take, from 0 to 1."""
        return min(self.own_seconds / self.wall_seconds, 1.0) if self.wall_seconds else 1.0

    def measure(self, call: Callable[[], object], rounds: int = ROUNDS) -> float:
        """Return the seconds of one call, measured over `rounds` calls without a warm-up."""
        timings = [self._time_once(call) for _ in range(rounds)]
        walls = [wall for wall, _ in timings]
        if self.device.type != "cpu":
            seconds = statistics.median(walls)
            self.add(sum(walls), sum(walls))
        elif self.num_threads == 1:
            seconds = statistics.median(min(pair) for pair in timings)
            self.add(sum(min(pair) for pair in timings), sum(walls))
        else:
            seconds = min(walls)
            self.add(seconds * rounds, sum(walls))
        return seconds

    def add(self, own_seconds: float, wall_seconds: float) -> None:
        """Add the times of calls that were measured elsewhere."""
        self.own_seconds += own_seconds
        self.wall_seconds += wall_seconds

    def _time_once(self, call: Callable[[], object]) -> tuple[float, float]:
        """(wall seconds, processor seconds) of one call."""
        wall, processor = time.perf_counter(), time.process_time()
        call()
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter() - wall, time.process_time() - processor
