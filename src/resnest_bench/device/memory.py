"""Out-of-memory errors: how to recognise them, how to free memory, and how much a device has.

Linux overcommits main memory: it kills a process that uses too much, without an error to catch. So these
errors come from GPUs, from a limit (`ulimit -v`), or from systems that don't overcommit.
"""

import gc
from pathlib import Path

import psutil
import torch

from resnest_bench.device.allocator import release_memory
from resnest_bench.errors import UserError

# Messages of RuntimeErrors that mean out of memory: torch's CPU allocator has no error type for it, nor have
# cuDNN and cuBLAS, which allocate memory themselves.
SIGNS = (
    "out of memory",
    "not enough memory",
    "DefaultCPUAllocator: can't allocate",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_ALLOC_FAILED",
)
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether `error`, or one that caused it, means that memory ran out."""
    while error is not None:
        if isinstance(error, torch.OutOfMemoryError | MemoryError):
            return True
        if isinstance(error, RuntimeError) and any(sign in str(error) for sign in SIGNS):
            return True
        # A UserError already explains its cause.
        error = None if isinstance(error, UserError) else error.__cause__ or error.__context__
    return False


def free_memory(device: torch.device) -> None:
    """Release unused memory. Call it outside of `except`, since a traceback keeps tensors alive."""
    gc.collect()
    release_memory()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def memory_bytes(device: torch.device) -> int:
    """Return the total memory of a GPU; for a CPU, that of the machine or the container."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    total = psutil.virtual_memory().total
    try:
        return min(total, int(CGROUP_LIMIT.read_text()))
    except (OSError, ValueError):  # no such file, or no limit ("max")
        return total


def gib(num_bytes: int) -> str:
    """Format a size: '15.6 GiB'."""
    return f"{num_bytes / 2**30:.1f} GiB"
