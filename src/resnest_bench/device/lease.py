"""Which device a job computes on. Snakemake counts GPUs but assigns none, so a job leases one."""

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
    """Locks of this user on this machine."""
    owner = os.getuid() if hasattr(os, "getuid") else "user"
    return Path(tempfile.gettempdir()) / f"resnest-bench-{owner}"


def visible_gpus() -> list[str]:
    """A machine-wide name for each visible GPU, in torch's order: its UUID.

    Numbers would not do. CUDA counts the devices in CUDA_VISIBLE_DEVICES from 0, and a scheduler
    that fences its jobs off, as Slurm does with cgroups, gives each of them a device 0: two jobs on
    two GPUs would wait for one lock.
    """
    count = torch.cuda.device_count()
    return [str(torch.cuda.get_device_properties(index).uuid) for index in range(count)]


@contextmanager
def lease(
    slots: Sequence[str], folder: Path | None = None, poll_seconds: float = 0.2
) -> Iterator[int]:
    """Hold one of `slots` that no other process holds; wait for one. Yields its index.

    The lock goes with the process: after a kill nothing stays behind.
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
    """A torch device of `kind` for this job alone. Raises UserError if there is none."""
    if kind not in DEVICE_KINDS:
        raise UserError(f"device must be one of {', '.join(DEVICE_KINDS)}, but is {kind!r}")
    if kind == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "device cuda was asked for, but torch sees no NVIDIA GPU: run `resnest-bench doctor`, "
            "or take --device auto"
        )
    if kind == "cpu" or not torch.cuda.is_available():
        yield torch.device("cpu")
        return
    gpus = visible_gpus()
    with lease(gpus) as index:
        torch.cuda.set_device(index)
        log.info("holds the lease of GPU %s, here cuda:%d", gpus[index], index)
        yield torch.device("cuda", index)
