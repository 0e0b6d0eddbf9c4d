"""The parent of a run's forks: it has imported what a job imports, and forks once for each job.

It never computes anything, so it has one thread and no CUDA context, and a fork of it is as good as a new
process. `warm_client` is the other side, and says what goes through the socket.
"""

import contextlib
import ctypes
import gc
import importlib
import io
import json
import os
import selectors
import signal
import socket
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from resnest_bench.cli.warm_client import ANSWER_STARTED, FORKED_COMMANDS
from resnest_bench.device import forking
from resnest_bench.digests import code_digest

# What the commands in cli/app.py import, and nothing that they import later.
IMPORTS = {
    "train": ("resnest_bench.cli.app", "resnest_bench.device.lease", "resnest_bench.training.jobs"),
    "latency": (
        "resnest_bench.cli.app",
        "resnest_bench.device.lease",
        "resnest_bench.measure.jobs",
    ),
}
SECONDS_FOR_A_REQUEST = 10.0
PR_SET_PDEATHSIG = 1
STREAMS = ("stdin", "stdout", "stderr")


@dataclass
class Job:
    """A fork, the command that waits for it, and the file that tells Snakemake's benchmarks of it."""

    process: int
    pidfd: int
    link: socket.socket
    note: Path


def serve(kind: str, place: str, run: str, told: str) -> None:
    """Fork for each command that connects. Returns only in a fork, which then is that command.

    Args:
        kind: a key of IMPORTS.
        place: path of the socket without its ending.
        run: the process of the run. If that has ended, this process ends after its last job.
        told: a file descriptor for b"+", once the socket accepts connections.
    """
    ready = int(told)
    os.set_inheritable(ready, False)
    for name in IMPORTS[kind]:
        importlib.import_module(name)
    # All forks run the code that was imported here.
    for command, group in FORKED_COMMANDS.items():
        if group == kind:
            code_digest(command)
    import torch

    # A CUDA context does not survive a fork. The user's libraries may have made one.
    if torch.cuda.is_initialized() or not stop_threads():
        sys.exit(1)
    resident = None
    if kind == "latency":
        resident = forking.find_resident_pages()
    else:
        # Otherwise a collection in a fork would copy the pages of all imported objects. Latencies are
        # timed with the collections of a plain start.
        gc.freeze()
    run_ended = os.pidfd_open(int(run))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{place}.socket")
    listener.listen(64)
    os.write(ready, ANSWER_STARTED)
    os.close(ready)
    request = _wait_for_job(listener, run_ended, Path(place).parent)
    become_job(request, Path(f"{place}.said"), resident)


def count_threads() -> int:
    """Return the number of this process's threads, of native ones too."""
    return len(os.listdir("/proc/self/task"))


def stop_threads() -> bool:
    """End OpenBLAS's waiting threads, and return whether this process has one thread now.

    OpenBLAS ends them itself before a fork, and starts them anew when they are needed.
    """
    if count_threads() > 1:
        if (child := os.fork()) == 0:
            os._exit(0)
        os.waitpid(child, 0)
    return count_threads() == 1


@dataclass
class Request:
    """What a command has sent: see `warm_client.describe_request`, and its three streams."""

    content: dict[str, Any]
    streams: list[int]


def _wait_for_job(listener: socket.socket, run_ended: int, folder: Path) -> Request:
    """Answer commands until the run ends. Returns in each fork, with what its command asks for."""
    jobs: dict[int, Job] = {}  # by pidfd
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        selector.register(run_ended, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is listener:
                    request = _accept(listener, selector, jobs, folder)
                    if request is not None:
                        for job in jobs.values():
                            os.close(job.pidfd)
                            job.link.close()
                        listener.close()
                        os.close(run_ended)
                        return request
                elif key.fd == run_ended:
                    # No more jobs will come. Those that run go on, as after a plain start.
                    selector.unregister(run_ended)
                    selector.unregister(listener)
                    listener.close()
                else:
                    _follow(key, selector, jobs)
            if listener.fileno() < 0 and not jobs:
                os._exit(0)


def _follow(
    key: selectors.SelectorKey, selector: selectors.BaseSelector, jobs: dict[int, Job]
) -> None:
    """See to a job of which `key` says that something happened: it has ended, or its command has."""
    job: Job = key.data
    if jobs.get(job.pidfd) is not job:
        # Its end was seen a moment ago.
        return
    if key.fd == job.pidfd:
        del jobs[job.pidfd]
        _finish(job, selector)
    else:
        # The command was ended by SIGKILL, or by another signal that it does not pass on.
        selector.unregister(job.link)
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(job.pidfd, signal.SIGKILL)


def _accept(
    listener: socket.socket, selector: selectors.BaseSelector, jobs: dict[int, Job], folder: Path
) -> Request | None:
    """Fork for the next command. Returns None in the parent; also if it could not be done."""
    link, _ = listener.accept()
    try:
        request = _receive(link)
    except (OSError, ValueError):
        link.close()
        return None
    client = struct.unpack("3i", link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
    child = os.fork() if stop_threads() else None
    if child == 0:
        link.close()
        return request
    for stream in request.streams:
        os.close(stream)
    if child is None:
        link.close()
        return None
    job = Job(child, os.pidfd_open(child), link, folder / f"{client}.job")
    with contextlib.suppress(OSError):
        job.note.write_text(str(child))
    jobs[job.pidfd] = job
    selector.register(job.pidfd, selectors.EVENT_READ, job)
    selector.register(link, selectors.EVENT_READ, job)
    with contextlib.suppress(OSError):
        socket.send_fds(link, [ANSWER_STARTED], [job.pidfd])
    return None


def _receive(link: socket.socket) -> Request:
    """Read a request. Raises OSError or ValueError if it does not come whole and in time."""
    link.settimeout(SECONDS_FOR_A_REQUEST)
    head, streams, _, _ = socket.recv_fds(link, 8, len(STREAMS))
    try:
        if len(head) != 8 or len(streams) != len(STREAMS):
            raise ValueError("no request")
        with link.makefile("rb") as file:
            content = json.loads(file.read(int.from_bytes(head, "big")))
    except (OSError, ValueError):
        for stream in streams:
            os.close(stream)
        raise
    link.settimeout(None)
    return Request(content, streams)


def _finish(job: Job, selector: selectors.BaseSelector) -> None:
    """Tell the command how its fork has ended."""
    code = os.waitstatus_to_exitcode(os.waitpid(job.process, 0)[1])
    selector.unregister(job.pidfd)
    os.close(job.pidfd)
    with contextlib.suppress(KeyError, ValueError):
        selector.unregister(job.link)
    with contextlib.suppress(OSError):
        job.link.sendall(f"{code}\n".encode())
    job.link.close()
    with contextlib.suppress(OSError):
        job.note.unlink()


def become_job(request: Request, said: Path, resident: list[forking.Pages] | None = None) -> None:
    """Make this fork what a plain start of its command would be."""
    content = request.content
    # If the parent dies, nobody can learn this job's exit code: it ends as after a scheduler's signal.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    # Of its caller's group, it gets the terminal's Ctrl-C and Ctrl-Z.
    os.setpgid(0, content["group"])
    for number, file in enumerate(request.streams):
        os.dup2(file, number)
        os.close(file)
    os.chdir(content["folder"])
    os.umask(content["mask"])
    os.environ.clear()
    os.environ.update(content["variables"])
    sys.argv[:], sys.path[:] = content["arguments"], content["path"]
    for number, (name, settings) in enumerate(zip(STREAMS, content["streams"], strict=True)):
        stream = _open_stream(number, *settings)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    # Each process has a generator of its own, as Python's `random` and torch see to by themselves.
    np.random.seed()  # noqa: NPY002
    forking.mark()
    if resident is not None:
        forking.restore_pages(resident)
    with contextlib.suppress(OSError):
        sys.stderr.write(said.read_text(errors="replace"))


def _open_stream(
    number: int, encoding: str, errors: str, line_buffering: bool, write_through: bool
) -> TextIO:
    """Open a standard stream as Python does at its start."""
    raw = io.FileIO(number, "rb" if number == 0 else "wb", closefd=False)
    binary: Any = raw
    if number == 0:
        binary = io.BufferedReader(raw)
    elif not write_through:
        binary = io.BufferedWriter(raw)
    # A text is always flushed to an unbuffered stream.
    return io.TextIOWrapper(
        binary, encoding, errors, "\n" if number else None, line_buffering, write_through
    )
