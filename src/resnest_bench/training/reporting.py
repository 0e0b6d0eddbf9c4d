"""What a person sees of a training: a bar in a terminal, plain lines in the log."""

import logging
import sys
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from resnest_bench.records import EpochObservation

log = logging.getLogger(__name__)


class Reporter:
    """Context manager. The bar goes to standard error, and only where that is a terminal."""

    def __init__(self, title: str, total_steps: int, done_steps: int = 0) -> None:
        self.title = title
        self.bar: Progress | None = None
        if sys.stderr.isatty():
            self.bar = Progress(
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
            self.task = self.bar.add_task(
                title, total=total_steps, completed=done_steps, figures=""
            )

    def __enter__(self) -> "Reporter":
        if self.bar:
            self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.bar:
            self.bar.stop()

    def step(self, epoch: int, loss: float, accuracy: float, images_per_second: float) -> None:
        if self.bar:
            figures = (
                f"epoch {epoch}  loss {loss:.3f}  accuracy {accuracy:.1%}  "
                f"{images_per_second:,.0f} images/s"
            )
            self.bar.update(self.task, advance=1, figures=figures)

    def epoch(self, seen: EpochObservation, total: int) -> None:
        log.info(
            "%s: epoch %d/%d, learning rate %.5f, loss %.4f, train accuracy %.4f, "
            "test accuracy %.4f, %.0f images/s, %.1f s",
            self.title, seen.epoch, total, seen.learning_rate, seen.train_loss,
            seen.train_accuracy, seen.test_accuracy, seen.images_per_second,
            seen.train_seconds + seen.evaluation_seconds,
        )  # fmt: skip
