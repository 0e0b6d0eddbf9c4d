"""The ceilings of a device by torch: peak arithmetic, memory bandwidth, and the overhead of an operator.

Operations a second are the better of a large matrix product and a large 3x3 convolution: on AMD processors
the library for matrix products can be slower than the one for convolutions. A convolution by Winograd's
algorithm computes less than it is counted for, so that its figure can be above the device's arithmetic.
Bytes a second are those of a large copy, what it reads plus what it writes. Of each the best repetition
counts: a disturbed one is no ceiling.
"""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from resnest_bench.device.environment import precision
from resnest_bench.records.ceilings import Ceilings

log = logging.getLogger(__name__)

DTYPES = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16}
# Often enough that one repetition is undisturbed.
MIN_REPEATS = 3
NUM_BLOCKS = 10


@dataclass(frozen=True)
class Sizes:
    """Of the work that finds a device's ceilings: larger than any cache, shorter than a second."""

    matmul: int  # side of both matrices
    conv: tuple[int, int, int]  # images, channels, side in pixels
    copy_bytes: int


# For a latency job, which has little time; benchmarks/floor.py takes larger ones.
SIZES = {
    "cpu": Sizes(1024, (8, 128, 28), 1 << 26),
    "cuda": Sizes(4096, (64, 512, 30), 1 << 30),
}


def synchronise(device: torch.device) -> None:
    """Wait until the device has finished all its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def shortest_seconds(
    action: Callable[[], object], device: torch.device, min_seconds: float
) -> float:
    """The fastest of several repetitions of `action`; the first is not counted."""
    action()
    seconds: list[float] = []
    while sum(seconds) < min_seconds or len(seconds) < MIN_REPEATS:
        synchronise(device)
        start = time.perf_counter()
        action()
        synchronise(device)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def matmul_flops(
    device: torch.device, dtype: torch.dtype, side: int, min_seconds: float = 0.0
) -> float:
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    return 2 * side**3 / shortest_seconds(lambda: a @ b, device, min_seconds)


def conv_flops(
    device: torch.device,
    dtype: torch.dtype,
    num_images: int,
    channels: int,
    side: int,
    min_seconds: float = 0.0,
) -> float:
    """Without padding, so that every tap is one that is needed."""
    conv = nn.Conv2d(channels, channels, 3, bias=False).to(device, dtype)
    weight = conv.weight.contiguous(memory_format=torch.channels_last)
    x_BCHW = torch.randn(num_images, channels, side, side, device=device).to(dtype)
    x_BCHW = x_BCHW.contiguous(memory_format=torch.channels_last)
    flops = 2 * num_images * channels**2 * 9 * (side - 2) ** 2
    return flops / shortest_seconds(lambda: functional.conv2d(x_BCHW, weight), device, min_seconds)


def copy_bytes(device: torch.device, size: int, min_seconds: float = 0.0) -> float:
    source, target = (torch.ones(size, dtype=torch.uint8, device=device) for _ in range(2))
    return 2 * size / shortest_seconds(lambda: target.copy_(source), device, min_seconds)


def operator_ms(device: torch.device, dtype: torch.dtype) -> float:
    """Milliseconds of an operator that has next to nothing to compute: layers of a network on 4x4 pixels."""
    layers = [
        layer
        for _ in range(NUM_BLOCKS)
        for layer in (nn.Conv2d(8, 8, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
    ]
    network = nn.Sequential(*layers).eval().to(device, dtype)
    x_BCHW = torch.ones(1, 8, 4, 4, device=device, dtype=dtype)
    return 1e3 * shortest_seconds(lambda: network(x_BCHW), device, 0.02) / len(layers)


@torch.no_grad()
def measure_ceilings(
    device: torch.device, name: str, sizes: Sizes | None = None, min_seconds: float = 0.0
) -> Ceilings:
    """Measure in the precision `name`: about half a second on a CPU with few cores.

    `min_seconds` is the least time for each of the three rates. Raises torch's errors, for example where
    memory runs out or a precision has no kernel.
    """
    sizes, dtype = sizes or SIZES[device.type], DTYPES[name]
    with precision(name):
        return Ceilings(
            runtime="torch",
            precision=name,
            flops_per_second=max(
                matmul_flops(device, dtype, sizes.matmul, min_seconds),
                conv_flops(device, dtype, *sizes.conv, min_seconds),
            ),
            bytes_per_second=copy_bytes(device, sizes.copy_bytes, min_seconds),
            operator_ms=operator_ms(device, dtype),
        )


def try_ceilings(device: torch.device, precisions: Iterable[str]) -> list[Ceilings]:
    """Measure in each precision that the device has; of another one there is no ceiling."""
    measured = []
    for name in precisions:
        try:
            if device.type == "cuda" or name != "tf32":
                measured.append(measure_ceilings(device, name))
        # As for a cell: the other measurements are worth keeping.
        except RuntimeError as error:
            log.warning("no ceilings in %s: %s", name, error)
    return measured
