"""A lease on a GPU. Snakemake only counts GPUs, so each job claims one itself with a lock file."""

import logging
import os
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from resnest_bench.errors import UserError

log = logging.getLogger(__name__)

DEVICE_KINDS = ("auto", "cpu", "cuda")


def lease_folder() -> Path:
    """Return the folder with this user's locks on this machine."""
    owner = os.getuid() if hasattr(os, "getuid") else "user"
    return Path(tempfile.gettempdir()) / f"resnest-bench-{owner}"


def visible_gpus() -> list[str]:
    """Return the UUID of each visible GPU, in torch's order.

    Device numbers would not be unique. CUDA numbers the devices in CUDA_VISIBLE_DEVICES from 0, and a
    scheduler that isolates its jobs, like Slurm with cgroups, gives each of them a device 0: two jobs on
    two GPUs would wait for the same lock.
    """
    count = torch.cuda.device_count()
    return [str(torch.cuda.get_device_properties(index).uuid) for index in range(count)]


def count_processes(num_gpus: int, device: torch.device) -> int:
    """Return how many processes share a training whose recipe asks for `num_gpus`, on `device` and others."""
    return min(num_gpus, torch.cuda.device_count()) if device.type == "cuda" else 1


@contextmanager
def lease(
    slots: Sequence[str], folder: Path | None = None, poll_seconds: float = 0.2
) -> Iterator[int]:
    """Wait until one of `slots` is free, lock it, and yield its index.

    The operating system releases the lock when the process ends, even if it is killed.
    """
    with lease_several(slots, 1, folder, poll_seconds) as (index,):
        yield index


@contextmanager
def lease_several(
    slots: Sequence[str], num: int, folder: Path | None = None, poll_seconds: float = 0.2
) -> Iterator[list[int]]:
    """Wait until `num` of `slots` are free at the same time, lock them, and yield their indices."""
    folder = folder or lease_folder()
    folder.mkdir(parents=True, exist_ok=True)
    locks = [FileLock(folder / f"device-{name.replace('/', '_')}.lock") for name in slots]
    while True:
        with ExitStack() as held:
            taken: list[int] = []
            for index, lock in enumerate(locks):
                if len(taken) < num and _try_lock(lock):
                    held.callback(lock.release)
                    taken.append(index)
            if len(taken) == num:
                yield taken
                return
        # None is kept while others are waited for: two jobs that each hold half would wait for ever. Two
        # that try at the same time must not do so again.
        time.sleep(poll_seconds * random.uniform(0.5, 1.5))  # noqa: S311


def _try_lock(lock: FileLock) -> bool:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    return True


@contextmanager
def leased_device(kind: str = "auto") -> Iterator[torch.device]:
    """Yield a torch device of `kind`, which no other job uses if it is a GPU.

    Raises UserError if there is no such device.
    """
    with leased_devices(kind) as devices:
        yield devices[0]


@contextmanager
def leased_devices(kind: str = "auto", num: int = 1) -> Iterator[list[torch.device]]:
    """Yield `num` devices of `kind`, or as many as there are, like `leased_device`. A CPU counts as one."""
    if kind not in DEVICE_KINDS:
        raise UserError(f"device must be one of {', '.join(DEVICE_KINDS)}, but is {kind!r}")
    if kind == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "device is cuda, but torch finds no NVIDIA GPU: run `resnest-bench doctor`, or use "
            "--device auto"
        )
    if kind == "cpu" or not torch.cuda.is_available():
        yield [torch.device("cpu")]
        return
    gpus = visible_gpus()
    if len(gpus) < num:
        log.warning("%d GPUs are asked for, but %d is visible here", num, len(gpus))
    with lease_several(gpus, min(num, len(gpus))) as indices:
        torch.cuda.set_device(indices[0])
        for index in indices:
            log.info("using GPU %s as cuda:%d", gpus[index], index)
        yield [torch.device("cuda", index) for index in indices]
