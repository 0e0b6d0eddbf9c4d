"""Other programs make a call slow by the wall clock, and not by its processor time."""

import pytest
import torch

from resnest_bench.planning import clock as module
from resnest_bench.planning.clock import Clock

CPU = torch.device("cpu")


@pytest.fixture
def times(monkeypatch):
    """Of each call: (wall seconds, processor seconds)."""
    monkeypatch.setattr(module.torch, "set_num_threads", lambda number: None)
    seen = {"wall": 0.0, "processor": 0.0, "calls": []}
    monkeypatch.setattr(module.time, "perf_counter", lambda: seen["wall"])
    monkeypatch.setattr(module.time, "process_time", lambda: seen["processor"])
    return seen


def make_call(times, *durations):
    left = list(durations)

    def call():
        wall, processor = left.pop(0)
        times["wall"] += wall
        times["processor"] += processor

    return call


def test_with_one_thread_the_processor_time_counts(times):
    clock = Clock(CPU)
    assert clock.measure(make_call(times, (4.0, 1.0), (9.0, 1.1), (2.0, 0.9))) == pytest.approx(1.0)
    # 3 of 15 seconds were its own.
    assert clock.share == pytest.approx(3.0 / 15.0)


def test_a_quiet_processor_is_all_its_own(times):
    clock = Clock(CPU)
    # A second thread of the process, which reads ahead, adds to its processor time.
    assert clock.measure(make_call(times, *[(1.0, 1.2)] * 3)) == pytest.approx(1.0)
    assert clock.share == 1.0


def test_of_several_threads_the_fastest_call_counts(times):
    clock = Clock(CPU)
    clock.use_threads(2)
    assert clock.measure(make_call(times, (4.0, 8.0), (1.0, 2.0), (3.0, 6.0))) == 1.0
    assert clock.share == pytest.approx(3.0 / 8.0)


def test_before_anything_is_measured_nothing_is_known_to_be_busy():
    assert Clock(CPU).share == 1.0
