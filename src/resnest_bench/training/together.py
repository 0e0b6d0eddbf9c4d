"""Trainings that take turns, step by step: one small network can't fill a large GPU."""

from collections.abc import Generator, Sequence
from contextlib import nullcontext
from typing import TypeVar

import torch

T = TypeVar("T")


def finish(training: Generator[None, None, T]) -> T:
    """Run a training alone, to its result."""
    return take_turns([training], torch.device("cpu"))[0]


def take_turns(trainings: Sequence[Generator[None, None, T]], device: torch.device) -> list[T]:
    """Run all to their ends, a step of each in turn; results in the order they came.

    On a GPU each has a stream of its own, so that their kernels run side by side. What one raises
    is raised, and ends the others.
    """
    shared = device.type == "cuda" and len(trainings) > 1
    streams = [torch.cuda.Stream(device) if shared else None for _ in trainings]
    results: dict[int, T] = {}
    try:
        while len(results) < len(trainings):
            for index, training in enumerate(trainings):
                if index in results:
                    continue
                with torch.cuda.stream(streams[index]) if shared else nullcontext():
                    try:
                        next(training)
                    except StopIteration as end:
                        results[index] = end.value
    finally:
        for training in trainings:
            training.close()
    return [results[index] for index in range(len(trainings))]
