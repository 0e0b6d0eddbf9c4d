"""A clean stop after a signal (floor 0): SIGTERM (scheduler), SIGINT (Ctrl-C) or SIGHUP (lost terminal).

A signal raises `Interrupted` at whatever line is running, so every `finally` releases its resources.
`defer_signals` protects code that must not be interrupted halfway, like an update of a network: inside
it, a signal takes effect only at a call of `raise_if_signalled`.
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
# Terminals and schedulers send several signals at once, to the process group and to each process. The
# later ones must not interrupt the clean-up that the first one started.
SECONDS_TO_CLEAN_UP = 5.0


class Interrupted(BaseException):
    """A signal asked this process to stop.

    It is not an Exception, so `except Exception` does not catch it.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number

    @property
    def exit_code(self) -> int:
        """The exit code by the shell's convention: 130 for SIGINT, 143 for SIGTERM."""
        return 128 + self.number


class _State:
    """The first signal received, how many `defer_signals` are active, and when it was last raised."""

    number: int | None = None
    depth = 0
    raised_at: float | None = None


_state = _State()


@contextmanager
def listening() -> Iterator[None]:
    """Turn signals into `Interrupted` inside this context. Does nothing outside the main thread.

    A signal that was ignored before, as under nohup, stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
    handlers = {number: signal.getsignal(number) for number in numbers}
    handlers = {number: old for number, old in handlers.items() if old is not signal.SIG_IGN}
    _state.number = _state.raised_at = None
    for number in handlers:
        signal.signal(number, _on_signal)
    try:
        yield
    finally:
        for number, old in handlers.items():
            signal.signal(number, old)
        _state.number = None


def _on_signal(number: int, frame: FrameType | None) -> None:
    if _state.number is None:
        _state.number = number
    cleaning_up = (
        _state.raised_at is not None and time.monotonic() - _state.raised_at < SECONDS_TO_CLEAN_UP
    )
    if not _state.depth and not cleaning_up:
        _raise()


def _raise() -> None:
    _state.raised_at = time.monotonic()
    assert _state.number is not None, "no signal was received"
    raise Interrupted(_state.number)


def received() -> int | None:
    """Return the first signal that was received, or None."""
    return _state.number


def raise_if_signalled() -> None:
    """Raise Interrupted if a signal was received, even inside `defer_signals`."""
    if _state.number is not None:
        _raise()


@contextmanager
def defer_signals() -> Iterator[None]:
    """Inside this context, only `raise_if_signalled` raises Interrupted; so does leaving the context."""
    _state.depth += 1
    try:
        yield
    finally:
        _state.depth -= 1
    raise_if_signalled()


def interruptible(items: Iterable[T]) -> Iterator[T]:
    """Yield `items`, calling `raise_if_signalled` before each one."""
    for item in items:
        raise_if_signalled()
        yield item
