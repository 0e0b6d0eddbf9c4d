"""The building blocks of a page: figures, tables, lists and files. The template decides how they look."""

import base64
import json
import re
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import altair as alt
import pandas as pd

from resnest_bench.charts import split_title

MAX_ROWS = 1000
MAX_LINE = 36  # letters of a cell that does not wrap
MAX_TEXT = 800
MAX_FILE_BYTES = 2 * 2**20
EMPTY = "no data yet"
# Also followed by an interval or an n, and two values.
NUMBER = re.compile(
    r"[<>]?[+\-−]?\d[\d,]*(\.\d+)?([eE][+-]?\d+)?[MkG]?(, [+\-−]?\d[\d,.]*)?( [\[(].*)?"
)
GAP = "–"
CLICK_TEXT = "Click a name in the legend to show only that network; shift-click to add others."


@dataclass(frozen=True)
class Figure:
    """A chart: its title and subtitle as text, and its Vega-Lite spec; None without data."""

    kind: ClassVar[str] = "figure"
    head: str
    lines: tuple[str, ...]
    spec: dict[str, Any] | None


@dataclass(frozen=True)
class Table:
    """A table of texts. `name` is its name for screen readers."""

    kind: ClassVar[str] = "table"
    name: str
    caption: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]

    @property
    def looks(self) -> tuple[str, ...]:
        """The look of each column: 'number' for numbers and gaps, 'long' for texts that wrap, or ''."""
        columns = zip(*self.rows, strict=True) if self.rows else ((),) * len(self.headings)
        return tuple(map(_look, columns))


def _look(cells: tuple[str, ...]) -> str:
    if all(cell == GAP or NUMBER.fullmatch(cell) for cell in cells):
        return "number"
    return "long" if max(map(len, cells)) > MAX_LINE else ""


@dataclass(frozen=True)
class Facts:
    """Names, each with one or several lines."""

    kind: ClassVar[str] = "facts"
    rows: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class Bullets:
    kind: ClassVar[str] = "bullets"
    items: tuple[str, ...]


@dataclass(frozen=True)
class File:
    """A download within the page. `href` is None if the file is too large for that."""

    name: str
    size: str
    href: str | None


@dataclass(frozen=True)
class Files:
    kind: ClassVar[str] = "files"
    files: tuple[File, ...]


Block = Figure | Table | Facts | Bullets | Files


@dataclass(frozen=True)
class Section:
    """A section. `key` is its address within the page, `text` the paragraphs above its blocks."""

    key: str
    title: str
    text: tuple[str, ...]
    blocks: tuple[Block, ...]


def make_figure(chart: alt.Chart | alt.LayerChart | alt.VConcatChart) -> Figure:
    """Make the figure of a chart."""
    spec = json.loads(chart.to_json(indent=None, ensure_ascii=False))
    head, lines = split_title(chart.title)
    # In a study that has just started, the line of missing values would be endless.
    short = (
        textwrap.shorten(line, MAX_TEXT, placeholder=" … (all under Coverage)") for line in lines
    )
    return Figure(head, tuple(filter(None, short)), None if _is_empty(spec) else spec)


def _is_empty(spec: dict[str, Any]) -> bool:
    mark = spec.get("mark")
    return isinstance(mark, dict) and mark.get("text") == EMPTY


def make_table(
    name: str, display: pd.DataFrame, caption: str = "", notes: Iterable[str] = ()
) -> Table:
    """Make a table of a frame of texts: its first 1,000 rows and notes, and the number of further ones."""
    rows = tuple(display.head(MAX_ROWS).astype(str).itertuples(index=False, name=None))
    notes = list(notes)
    shown = notes[:MAX_ROWS]
    if len(notes) > len(shown):
        shown.append(f"and {len(notes) - len(shown):,} more notes")
    if len(display) > len(rows):
        shown.insert(0, f"Only the first {len(rows):,} of {len(display):,} rows are shown")
    return Table(name, caption, tuple(display.columns), rows, tuple(shown))


def make_file(name: str, text: str, mime: str) -> File:
    """Make a UTF-8 file within the page, up to 2 MiB."""
    content = text.encode()
    if len(content) > MAX_FILE_BYTES:
        return File(name, format_size(len(content)), None)
    encoded = base64.b64encode(content).decode()
    return File(name, format_size(len(content)), f"data:{mime};charset=utf-8;base64,{encoded}")


def format_size(num_bytes: int) -> str:
    """'12.3 KiB' or '1.5 MiB'."""
    if num_bytes < 2**20:
        return f"{num_bytes / 2**10:.1f} KiB"
    return f"{num_bytes / 2**20:.1f} MiB"
