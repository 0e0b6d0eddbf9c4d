"""Whether this process was told to stop by Ctrl-C: Snakemake itself only says that jobs failed."""

import signal
import threading
from types import FrameType

INTERRUPTED = threading.Event()


def watch_interrupts() -> None:
    """Remember SIGINT, which interrupts as before. Call it from the main thread.

    A process of the background ignores SIGINT, and goes on to do so.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _remember)


def _remember(number: int, frame: FrameType | None) -> None:
    INTERRUPTED.set()
    signal.default_int_handler(number, frame)
