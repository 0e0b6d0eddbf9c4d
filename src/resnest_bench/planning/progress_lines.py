"""Progress lines for a long command."""

import sys
from collections.abc import Callable

from rich.console import Console
from rich.text import Text


def make_line_printer() -> Callable[[str], None]:
    """Return a function that prints a line to standard error, dimmed if the terminal has colours."""
    console = Console(file=sys.stderr, highlight=False)

    def print_line(line: str) -> None:
        console.print(Text(line, style="dim"), soft_wrap=True)

    return print_line
