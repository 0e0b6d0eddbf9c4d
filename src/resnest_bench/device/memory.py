"""Memory that runs out: how to tell, how to get some back, and how much there is.

On Linux a CPU's memory is promised before it is there: a process that takes too much is killed,
without any error to catch. The errors are those of a GPU, of a limit (`ulimit -v`) and of systems
that promise less.
"""

import gc
from pathlib import Path

import psutil
import torch

from resnest_bench.device.allocator import release_memory
from resnest_bench.errors import UserError

# What is not told by its type. The allocator of a CPU raises a RuntimeError; cuDNN and cuBLAS ask
# for memory of their own.
SIGNS = (
    "out of memory",
    "not enough memory",
    "DefaultCPUAllocator: can't allocate",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_ALLOC_FAILED",
)
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether `error`, or one that it came from, says that memory ran out."""
    while error is not None:
        if isinstance(error, torch.OutOfMemoryError | MemoryError):
            return True
        if isinstance(error, RuntimeError) and any(sign in str(error) for sign in SIGNS):
            return True
        # A UserError has been explained already: what it came from is no news.
        error = None if isinstance(error, UserError) else error.__cause__ or error.__context__
    return False


def free_memory(device: torch.device) -> None:
    """Give back what nobody uses. Call it outside of `except`: a traceback holds on to tensors."""
    gc.collect()
    release_memory()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def memory_bytes(device: torch.device) -> int:
    """All the memory of the device; of a CPU that of the machine, or of the container it runs in."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    total = psutil.virtual_memory().total
    try:
        return min(total, int(CGROUP_LIMIT.read_text()))
    except (OSError, ValueError):  # no such file, or no limit: "max"
        return total


def gib(num_bytes: int) -> str:
    return f"{num_bytes / 2**30:.1f} GiB"
