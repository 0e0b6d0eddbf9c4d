"""Whether Ctrl-C stopped this process. Snakemake itself only reports that jobs failed."""

import signal
import threading
from types import FrameType

INTERRUPTED = threading.Event()


def watch_interrupts() -> None:
    """Set INTERRUPTED on SIGINT, which still interrupts as before. Call it from the main thread.

    A background process ignores SIGINT, and continues to do so.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _remember)


def _remember(number: int, frame: FrameType | None) -> None:
    INTERRUPTED.set()
    signal.default_int_handler(number, frame)
