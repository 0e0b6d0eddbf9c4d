"""What a test changes in a job's process before it runs: it makes a moment last, so that a signal meets it.

Each name can be asked for by `Jobs.start(..., inject="name value value")`.
"""

import os
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

# Long enough for a signal to come meanwhile, whatever else the machine does.
PAUSE_SECONDS = 60.0


def _pause_at(owner: Any, name: str, number: int, marker: str, pause: float) -> None:
    """In the call of this number, counted from 1, touch `marker` and sleep before going on."""
    original: Callable = getattr(owner, name)
    calls = count(1)

    def paused(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == number:
            Path(marker).touch()
            _sleep(pause)
        return original(*args, **kwargs)

    setattr(owner, name, paused)


def _sleep(seconds: float) -> None:
    """Ends early where a signal's handler has noted it without raising."""
    from resnest_bench import stopping

    end = time.monotonic() + seconds
    while time.monotonic() < end and stopping._state.number is None:
        time.sleep(0.005)


def in_step(marker: str, number: str) -> None:
    from resnest_bench.training.step import TrainStep

    _pause_at(TrainStep, "__call__", int(number), marker, PAUSE_SECONDS)


def on_two_cpus(*then: str) -> None:
    """A training that asks for GPUs gets two CPUs, as if they were; then perhaps another change."""
    from contextlib import contextmanager

    import torch

    from resnest_bench.device import lease

    @contextmanager
    def two_cpus(kind: str, num: int) -> Any:
        yield [torch.device("cpu")] * 2

    lease.leased_devices = two_cpus
    if then:
        in_step(*then)


def in_evaluation(marker: str, number: str) -> None:
    from resnest_bench.measure.evaluation import Evaluator

    _pause_at(Evaluator, "logits", int(number), marker, PAUSE_SECONDS)


def in_latency(marker: str, number: str) -> None:
    from resnest_bench.measure import latency

    _pause_at(latency, "timed_ms", int(number), marker, PAUSE_SECONDS)


def in_data(marker: str, number: str) -> None:
    from resnest_bench.data.arrays import NpyAppender

    _pause_at(NpyAppender, "append", int(number), marker, PAUSE_SECONDS)


def clock_set_back() -> None:
    """Each time that the wall clock is asked, it is an hour earlier."""
    from datetime import UTC, datetime, timedelta

    from resnest_bench.measure import identity

    hours = count()
    time.time = lambda: 1e9 - 3600.0 * next(hours)

    class Clock:
        @staticmethod
        def now(zone: Any) -> datetime:
            return datetime(2026, 1, 1, tzinfo=UTC) - timedelta(hours=next(hours))

    identity.datetime = Clock


def slow_clock_set_back(marker: str, number: str) -> None:
    clock_set_back()
    in_step(marker, number)


def impatient() -> None:
    """Another process's lock is waited for only briefly."""
    from resnest_bench.training import checkpoints

    checkpoints.LOCK_SECONDS = 0.2


def renames_to(file: str) -> None:
    """Note the devices of the two folders of every rename."""

    def hook(event: str, args: tuple) -> None:
        if event == "os.rename":
            devices = [os.stat(os.path.dirname(os.path.abspath(p))).st_dev for p in args[:2]]
            with open(file, "a") as out:
                out.write(f"{devices[0]} {devices[1]} {os.fsdecode(args[1])}\n")

    sys.addaudithook(hook)


def write_records(path: str) -> None:
    """Write two long texts in turn, until killed."""
    from resnest_bench import files

    for number in count():
        files.write_text(Path(path), "ab"[number % 2] * 2_000_000)


def hold_lease(folder: str, marker: str) -> None:
    from resnest_bench.device.lease import lease
    from resnest_bench.stopping import Interrupted, listening

    try:
        with listening(), lease(["0"], Path(folder)):
            Path(marker).touch()
            time.sleep(PAUSE_SECONDS)
    except Interrupted as stop:
        sys.exit(stop.exit_code)
