"""A task in a forked process with limits of time and memory: what it told, and how it ended.

A fork starts in milliseconds with everything imported. It is safe only while the parent has run no
operator: OpenMP's threads are missing in a child.
"""

import faulthandler
import multiprocessing
import os
import resource
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

FORK = multiprocessing.get_context("fork")
Tell = Callable[[Any], None]


@dataclass(frozen=True)
class Limits:
    """Of one child: seconds of wall time, and bytes of address space."""

    seconds: float
    memory_bytes: int


def run_forked(task: Callable[[Tell], None], limits: Limits) -> tuple[list[Any], str]:
    """What `task` told through its argument, and how its process ended; '' for an ordinary end.

    A native crash is such an end as well as a time limit. What the task prints goes nowhere.
    """
    reader, writer = FORK.Pipe(duplex=False)
    child = FORK.Process(target=_run_limited, args=(task, writer, limits.memory_bytes))
    child.start()
    writer.close()
    try:
        messages, is_closed = _read(reader, time.monotonic() + limits.seconds)
        if is_closed:
            child.join()
            return messages, _describe_end(child)
        return messages, f"it did not end within {limits.seconds:g} s"
    finally:
        # It has a group of its own, so that a Ctrl-C reaches only us.
        _kill(child)


def _read(reader: Connection, deadline: float) -> tuple[list[Any], bool]:
    """All messages until the other end is closed (True) or time is up (False)."""
    messages = []
    while reader.poll(max(0.0, deadline - time.monotonic())):
        try:
            messages.append(reader.recv())
        except EOFError:
            return messages, True
    return messages, False


def _kill(child: BaseProcess) -> None:
    """With the processes that it has started itself; nothing where it has ended."""
    assert child.pid is not None, "it was started"
    if not child.is_alive():
        return
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:  # too early for a group of its own
        child.kill()
    child.join()


def _describe_end(child: BaseProcess) -> str:
    code = child.exitcode or 0
    if code < 0:
        return f"its process was ended by {signal.Signals(-code).name}"
    return f"its process ended with exit code {code}" if code else ""


def _run_limited(task: Callable[[Tell], None], writer: Connection, memory_bytes: int) -> None:
    os.setsid()
    # A crash here is an answer: no need to show where it was.
    faulthandler.disable()
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    # No file of the memory of each crash.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    task(writer.send)
