"""Show the progress of a training: a bar in a terminal, lines in the log."""

import logging
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from resnest_bench.records.observations import EpochObservation

log = logging.getLogger(__name__)


def terminal_bars() -> AbstractContextManager[Progress | None]:
    """Return progress bars on standard error if it is a terminal; else None."""
    if not sys.stderr.isatty():
        return nullcontext()
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )


class Reporter:
    """The bar and the log lines of one training."""

    def __init__(self, title: str, bars: Progress | None = None) -> None:
        self.title, self.bars = title, bars
        self.task: TaskID | None = None

    @contextmanager
    def progress_bar(self, total_steps: int, done_steps: int = 0) -> Iterator[None]:
        """Show the bar during the context."""
        if self.bars is None:
            yield
            return
        self.task = self.bars.add_task(
            self.title, total=total_steps, completed=done_steps, figures=""
        )
        try:
            yield
        finally:
            self.bars.remove_task(self.task)

    def advance(self) -> None:
        if self.bars is not None and self.task is not None:
            self.bars.update(self.task, advance=1)

    def figures(self, epoch: int, loss: float, accuracy: float, images_per_second: float) -> None:
        if self.bars is not None and self.task is not None:
            text = (
                f"epoch {epoch}  loss {loss:.3f}  accuracy {accuracy:.1%}  "
                f"{images_per_second:,.0f} images/s"
            )
            self.bars.update(self.task, figures=text)

    def epoch(self, seen: EpochObservation, total: int) -> None:
        log.info(
            "%s: epoch %d/%d, learning rate %.5f, loss %.4f, train accuracy %.4f, "
            "test accuracy %s, %.0f images/s, %.1f s",
            self.title,
            seen.epoch,
            total,
            seen.learning_rate,
            seen.train_loss,
            seen.train_accuracy,
            "not evaluated" if seen.test_accuracy is None else f"{seen.test_accuracy:.4f}",
            seen.images_per_second,
            seen.train_seconds + seen.evaluation_seconds,
        )
