"""CUDA graphs: a sequence of kernels that is recorded once and replayed with a single launch.

A training step of a small network consists of some hundred kernels of a few microseconds each. If Python
launches them one by one, the GPU waits for the launches. Callers take the capturing function as an
argument, so that their logic can be tested without a GPU.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor

T = TypeVar("T")
# Records a function, and returns one that replays it and returns the same static tensors.
Capture = Callable[[Callable[[], T]], Callable[[], T]]

# Lazy initialisation and cuDNN's choice of algorithms must be finished before the recording.
WARMUP_CALLS = 3


def capture_cuda_graph(body: Callable[[], T]) -> Callable[[], T]:
    """Call `body` to warm up, record it as a CUDA graph on the current device, and return its replay.

    Inputs and outputs are static tensors: fill the inputs, replay, read the outputs. The warm-up calls
    also change whatever `body` changes in place; `unchanged` restores it.
    """
    current, side = torch.cuda.current_stream(), torch.cuda.Stream()
    side.wait_stream(current)
    try:
        with torch.cuda.stream(side):
            for _ in range(WARMUP_CALLS):
                body()
    finally:
        # Also after a failure: tensors must not be restored while kernels still change them.
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
    """Restore the values of `tensors`, in place, on exit, so that a recording doesn't change them."""
    copies = [(tensor, tensor.detach().clone()) for tensor in tensors]
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, before in copies:
                tensor.copy_(before)


class OwnRandomness:
    """A private state of a CUDA device's default random generator.

    Dropout draws from the default generator, and a recorded graph reads its seed from device memory when it
    is replayed. With a private state, the graphs of several trainings don't share a seed.
    """

    def __init__(self, device: torch.device) -> None:
        self.generator: torch.Generator | None = None
        self.state: torch.Generator | None = None
        if device.type == "cuda":
            self.generator = torch.cuda.default_generators[device.index or 0]
            self.state = self.generator.clone_state()

    def seed(self, seed: int) -> None:
        """Seed the generator that dropout uses, on the CPU or on the device."""
        if self.generator is None or self.state is None:
            torch.default_generator.manual_seed(seed)
            return
        self.generator.graphsafe_set_state(self.state)
        self.generator.manual_seed(seed)
