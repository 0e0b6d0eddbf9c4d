"""Stopping when asked to (floor 0): SIGTERM of a scheduler, SIGINT of a keyboard, SIGHUP of a lost terminal.

A signal raises `Interrupted` wherever the program is, so that every `finally` frees what it holds. Where
that would leave something half done, as in the middle of an update of a network, `defer_signals` holds it
back until `raise_if_signalled` is called at a place that can be stopped at.
"""

import signal
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

T = TypeVar("T")

SIGNALS = ("SIGTERM", "SIGINT", "SIGHUP")
# Terminals and schedulers send several signals at once, to a group and to each process. What is
# being cleaned up for the first one must not be torn by the next.
SECONDS_TO_CLEAN_UP = 5.0


class Interrupted(BaseException):
    """A signal asked for the end. No Exception: what outlives a failing part must not outlive this."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number

    @property
    def exit_code(self) -> int:
        """As a shell says it: 130 for SIGINT, 143 for SIGTERM."""
        return 128 + self.number


class _Asked:
    """What this process was asked, and whether it may be stopped right now."""

    number: int | None = None
    depth = 0
    raised_at: float | None = None


_asked = _Asked()


@contextmanager
def listening() -> Iterator[None]:
    """Turn signals into `Interrupted` meanwhile. Does nothing outside the main thread.

    A signal that is ignored already, as under nohup, stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    before = {number: was for number, was in before.items() if was is not signal.SIG_IGN}
    _asked.number = _asked.raised_at = None
    for number in before:
        signal.signal(number, _on_signal)
    try:
        yield
    finally:
        for number, was in before.items():
            signal.signal(number, was)
        _asked.number = None


def _on_signal(number: int, frame: FrameType | None) -> None:
    if _asked.number is None:
        _asked.number = number
    cleaning_up = (
        _asked.raised_at is not None and time.monotonic() - _asked.raised_at < SECONDS_TO_CLEAN_UP
    )
    if not _asked.depth and not cleaning_up:
        _raise()


def _raise() -> None:
    _asked.raised_at = time.monotonic()
    assert _asked.number is not None, "a signal has come"
    raise Interrupted(_asked.number)


def raise_if_signalled() -> None:
    """Raise Interrupted where a signal has come, inside `defer_signals` too."""
    if _asked.number is not None:
        _raise()


@contextmanager
def defer_signals() -> Iterator[None]:
    """Hold signals back meanwhile; only `raise_if_signalled` raises them, and the end of this."""
    _asked.depth += 1
    try:
        yield
    finally:
        _asked.depth -= 1
    raise_if_signalled()


def interruptible(items: Iterable[T]) -> Iterator[T]:
    """`items`, with `raise_if_signalled` before each."""
    for item in items:
        raise_if_signalled()
        yield item
