"""Trainings that take turns, step by step: one small network can't fill a large GPU."""

import logging
from collections.abc import Generator, Sequence
from contextlib import nullcontext
from typing import TypeVar

import torch

from resnest_bench import stopping
from resnest_bench.errors import UserError

log = logging.getLogger(__name__)

T = TypeVar("T")


def finish(training: Generator[None, None, T]) -> T:
    """Run a training alone, to its result."""
    return take_turns([training], torch.device("cpu"))[0]


def take_turns(trainings: Sequence[Generator[None, None, T]], device: torch.device) -> list[T]:
    """Run all to their ends, a step of each in turn; results in the order they came.

    On a GPU each has a stream of its own, so that their kernels run side by side. What one raises
    is raised, and ends the others. A signal (`stopping.Stopped`) waits for the end of a step, and is
    then thrown into each of them, for it to keep its state.
    """
    shared = device.type == "cuda" and len(trainings) > 1
    streams = [torch.cuda.Stream(device) if shared else None for _ in trainings]
    results: dict[int, T] = {}
    try:
        with stopping.deferred():
            while len(results) < len(trainings):
                for index, training in enumerate(trainings):
                    if index in results:
                        continue
                    stopping.check()
                    with torch.cuda.stream(streams[index]) if shared else nullcontext():
                        try:
                            next(training)
                        except StopIteration as end:
                            results[index] = end.value
    except stopping.Stopped as stop:
        if device.type == "cuda":
            # What the others' streams still compute is part of the state that they keep.
            torch.cuda.synchronize(device)
        with stopping.deferred():
            _stop(trainings, stop)
        raise
    finally:
        for training in trainings:
            training.close()
    return [results[index] for index in range(len(trainings))]


def _stop(trainings: Sequence[Generator[None, None, T]], stop: stopping.Stopped) -> None:
    # One whose state can't be written must not cost the others theirs.
    for training in trainings:
        try:
            training.throw(stop)
        except stopping.Stopped:
            pass
        except UserError as error:
            log.error("%s", error)
