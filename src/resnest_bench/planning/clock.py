"""Seconds of work, as they would be on a processor that does nothing else."""

import statistics
import time
from collections.abc import Callable

import torch

ROUNDS = 3


class Clock:
    """Measures calls, and which share of the processor they got.

    With one thread, a call's processor time is what it takes on a quiet machine: the wall clock
    also counts the other programs, which made one study cost 45 s or 70 minutes. Several threads
    wait for each other, so that their processor time says little: there the fastest call counts.
    """

    def __init__(self, device: torch.device) -> None:
        self.device, self.num_threads = device, 1
        self.own_seconds = self.wall_seconds = 0.0

    def use_threads(self, num_threads: int) -> None:
        """Let torch compute with as many threads from now on, as the job will."""
        self.num_threads = num_threads
        torch.set_num_threads(num_threads)

    @property
    def share(self) -> float:
        """Of the time of all calls so far, the part that other programs did not take; 0 to 1."""
        return min(self.own_seconds / self.wall_seconds, 1.0) if self.wall_seconds else 1.0

    def measure(self, call: Callable[[], object], rounds: int = ROUNDS) -> float:
        """Seconds of one call, of `rounds` calls. The first call ever is the caller's to make."""
        seen = [self._time_once(call) for _ in range(rounds)]
        walls = [wall for wall, _ in seen]
        if self.device.type != "cpu":
            seconds = statistics.median(walls)
            self.add(sum(walls), sum(walls))
        elif self.num_threads == 1:
            seconds = statistics.median(min(pair) for pair in seen)
            self.add(sum(min(pair) for pair in seen), sum(walls))
        else:
            seconds = min(walls)
            self.add(seconds * rounds, sum(walls))
        return seconds

    def add(self, own_seconds: float, wall_seconds: float) -> None:
        """Count what was measured elsewhere."""
        self.own_seconds += own_seconds
        self.wall_seconds += wall_seconds

    def _time_once(self, call: Callable[[], object]) -> tuple[float, float]:
        """(wall seconds, processor seconds) of one call."""
        wall, processor = time.perf_counter(), time.process_time()
        call()
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter() - wall, time.process_time() - processor
