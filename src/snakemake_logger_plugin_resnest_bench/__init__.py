"""Snakemake's log as one live view: `snakemake --logger resnest-bench`, which the default profile says.

A thin shell: `resnest_bench.live` has what is shown. Snakemake finds this package by its name, and
imports it at every start, so that our own package is imported where it is needed.
"""

import sys
import threading
from dataclasses import dataclass, field
from logging import Handler, LogRecord
from typing import TYPE_CHECKING

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase

if TYPE_CHECKING:
    from resnest_bench.live.snakemake_log import LogView


@dataclass
class LogHandlerSettings(LogHandlerSettingsBase):
    """Options of the command line: --logger-resnest-bench-STYLE."""

    style: str = field(
        default="auto",
        metadata={
            "help": "live: one view that stays. lines: a line for each job. snakemake: Snakemake's "
            "own log. auto: live in a terminal, else lines.",
            "choices": ["auto", "live", "lines", "snakemake"],
        },
    )


class LogHandler(LogHandlerBase):
    """Shows the view; with --verbose, or the style snakemake, Snakemake's own log as it always was."""

    view: "LogView | None" = None
    own_log: Handler | None = None

    def __post_init__(self) -> None:
        assert self.settings is None or isinstance(self.settings, LogHandlerSettings)
        style = (self.settings and self.settings.style) or "auto"
        stream = sys.stdout if self.common_settings.stdout else sys.stderr
        if style == "snakemake" or self.common_settings.verbose:
            from snakemake.logging import ColorizingTextHandler

            self.own_log = ColorizingTextHandler(self.common_settings.nocolor, stream)
            return
        from rich.console import Console

        from resnest_bench.live.snakemake_log import LogView

        console = Console(
            file=stream, no_color=self.common_settings.nocolor or None, highlight=False
        )
        self.view = LogView(console, style, self.common_settings.dryrun)

    def setFormatter(self, fmt: object) -> None:
        super().setFormatter(fmt)  # type: ignore[arg-type]
        if self.own_log:
            self.own_log.setFormatter(self.formatter)

    def emit(self, record: LogRecord) -> None:
        if self.own_log:
            self.own_log.emit(record)
        elif isinstance(ended := getattr(record, "view_ended", None), threading.Event):
            self.close_view()
            ended.set()
        elif self.view:
            try:
                self.view.take(record)
            except Exception:
                # The jobs matter more than what is shown of them.
                self.handleError(record)

    def close_view(self) -> None:
        if self.view:
            self.view.end()

    def print_failures(self) -> None:
        if self.view:
            self.view.print_failures()

    def close(self) -> None:
        self.close_view()
        super().close()

    @property
    def writes_to_stream(self) -> bool:
        return True

    @property
    def writes_to_file(self) -> bool:
        return False

    @property
    def has_filter(self) -> bool:
        return False

    @property
    def has_formatter(self) -> bool:
        return False

    @property
    def needs_rulegraph(self) -> bool:
        return False
