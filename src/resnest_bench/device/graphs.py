"""CUDA graphs: work that is recorded once and replayed by one launch.

A small network's step is some hundred kernels of a few microseconds each: launched one by one from
Python, the GPU waits for the launches. Everything here takes the capturing function as an argument,
so that the logic around it is tested without a GPU.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor

T = TypeVar("T")
# Records `body` and returns what replays it. Replayed or called, it gives the same static tensors.
Capture = Callable[[Callable[[], T]], Callable[[], T]]

# Lazy initialisation, and cuDNN's choice of algorithms, must be over before anything is recorded.
WARMUP_CALLS = 3


def capture_cuda_graph(body: Callable[[], T]) -> Callable[[], T]:
    """`body` as a CUDA graph on the current device: it is called, then recorded.

    Its inputs and outputs are static tensors: fill the inputs, replay, read the outputs. What it
    changes in place is changed by the calls before the recording as well: see `unchanged`.
    """
    current, side = torch.cuda.current_stream(), torch.cuda.Stream()
    side.wait_stream(current)
    try:
        with torch.cuda.stream(side):
            for _ in range(WARMUP_CALLS):
                body()
    finally:
        # After a failure too: what puts tensors back must not overtake what still changes them.
        current.wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = body()

    def replay() -> T:
        graph.replay()
        return result

    return replay


@contextmanager
def unchanged(tensors: Iterable[Tensor]) -> Iterator[None]:
    """Put `tensors` back, in place, to what they were: a recording leaves no trace in them."""
    kept = [(tensor, tensor.detach().clone()) for tensor in tensors]
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, before in kept:
                tensor.copy_(before)


class OwnRandomness:
    """A state of the default generator of a CUDA device that is this object's alone.

    Dropout draws from the default generator, and a recorded graph reads that generator's seed from
    device memory when it runs. Graphs of several trainings that run at the same time would read
    each other's; with a state of its own each reads its own.
    """

    def __init__(self, device: torch.device) -> None:
        self.generator: torch.Generator | None = None
        self.state: torch.Generator | None = None
        if device.type == "cuda":
            self.generator = torch.cuda.default_generators[device.index or 0]
            self.state = self.generator.clone_state()

    def seed(self, seed: int) -> None:
        """Seed what dropout draws from, on the CPU or on the device."""
        if self.generator is None or self.state is None:
            torch.default_generator.manual_seed(seed)
            return
        self.generator.graphsafe_set_state(self.state)
        self.generator.manual_seed(seed)
