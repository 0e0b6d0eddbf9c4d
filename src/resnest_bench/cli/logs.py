"""Where a command writes what it does."""

import logging
import sys
from pathlib import Path

from resnest_bench.errors import UserError


def start_logging(log_file: Path | None = None) -> None:
    """Log to standard error, and to `log_file`. In a terminal, a log file leaves only warnings there."""
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    if log_file:
        try:
            log_file.parent.mkdir(parents=True, exist_ok=True)
            handlers.append(logging.FileHandler(log_file, mode="w", encoding="utf-8"))
            # If the disk is full, don't print a traceback for every line that can't be written.
            logging.raiseExceptions = False
        except OSError as error:
            raise UserError(
                f"cannot write the log {log_file}: {error.strerror}. Make the folder writable or "
                "choose another one"
            ) from error
        if sys.stderr.isatty():
            handlers[0].setLevel(logging.WARNING)
    logging.basicConfig(
        level=logging.WARNING,
        handlers=handlers,
        format="%(asctime)s %(message)s",
        datefmt="%H:%M:%S",
        force=True,
    )
    logging.getLogger("resnest_bench").setLevel(logging.INFO)
