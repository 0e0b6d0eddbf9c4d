"""A line for each thing that is measured, so that nobody waits in silence."""

import sys
from collections.abc import Callable

from rich.console import Console
from rich.text import Text


def make_teller() -> Callable[[str], None]:
    """Writes lines to standard error: dim in a terminal that has colours, plain elsewhere."""
    console = Console(file=sys.stderr, highlight=False)

    def tell(line: str) -> None:
        console.print(Text(line, style="dim"), soft_wrap=True)

    return tell
