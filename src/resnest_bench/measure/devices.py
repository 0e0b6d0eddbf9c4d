"""Which device a job computes on. Snakemake counts GPUs but assigns none, so a job leases one."""

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from resnest_bench.errors import UserError

DEVICE_KINDS = ("auto", "cpu", "cuda")


def lease_folder() -> Path:
    """Locks of this user on this machine."""
    owner = os.getuid() if hasattr(os, "getuid") else "user"
    return Path(tempfile.gettempdir()) / f"resnest-bench-{owner}"


def visible_gpus(environ: dict[str, str] | None = None, count: int | None = None) -> list[str]:
    """A machine-wide name for each visible GPU, in torch's order.

    CUDA renumbers the devices in CUDA_VISIBLE_DEVICES from 0, so the lock is named after what
    stands there, and two processes that see different GPUs never wait for each other.
    """
    environ = dict(os.environ) if environ is None else environ
    count = torch.cuda.device_count() if count is None else count
    listed = [name.strip() for name in environ.get("CUDA_VISIBLE_DEVICES", "").split(",")]
    named = [name for name in listed if name]
    return named[:count] if named else [str(index) for index in range(count)]


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
    with lease(visible_gpus()) as index:
        torch.cuda.set_device(index)
        yield torch.device("cuda", index)
