"""A lease on a GPU. Snakemake only counts GPUs, so each job claims one itself with a lock file."""

import logging
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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


@contextmanager
def lease(
    slots: Sequence[str], folder: Path | None = None, poll_seconds: float = 0.2
) -> Iterator[int]:
    """Wait until one of `slots` is free, lock it, and yield its index.

    The operating system releases the lock when the process ends, even if it is killed.
    """
    folder = folder or lease_folder()
    folder.mkdir(parents=True, exist_ok=True)
    locks = [FileLock(folder / f"device-{name.replace('/', '_')}.lock") for name in slots]
    while True:
        for index, lock in enumerate(locks):
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            try:
                yield index
            finally:
                lock.release()
            return
        time.sleep(poll_seconds)


@contextmanager
def leased_device(kind: str = "auto") -> Iterator[torch.device]:
    """Yield a torch device of `kind`, which no other job uses if it is a GPU.

    Raises UserError if there is no such device.
    """
    if kind not in DEVICE_KINDS:
        raise UserError(f"device must be one of {', '.join(DEVICE_KINDS)}, but is {kind!r}")
    if kind == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "device is cuda, but torch finds no NVIDIA GPU: run `resnest-bench doctor`, or use "
            "--device auto"
        )
    if kind == "cpu" or not torch.cuda.is_available():
        yield torch.device("cpu")
        return
    gpus = visible_gpus()
    with lease(gpus) as index:
        torch.cuda.set_device(index)
        log.info("using GPU %s as cuda:%d", gpus[index], index)
        yield torch.device("cuda", index)
