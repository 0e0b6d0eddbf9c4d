"""To the paper: a small menu next to each figure and table, with its files and texts to copy.

A menu's files are made when they are asked for, and its widgets once it is open: a page has many menus.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st
from altair.typing import ChartType

from resnest_bench.charts import split_title
from resnest_bench.charts.print_size import (
    ONE_COLUMN,
    TWO_COLUMNS,
    chart_points,
    print_pdf,
    print_png,
    print_svg,
)
from resnest_bench.formats import escape_latex, escape_markdown, format_cell, markdown_table
from resnest_bench.report.siunitx import BEST, TIED, TIED_NOTE, siunitx_table

WIDTHS = {f"{ONE_COLUMN} in, one column": ONE_COLUMN, f"{TWO_COLUMNS} in, two columns": TWO_COLUMNS}
HELP = "Files and texts for a paper"
# Rows of a table that are copied as text: files have all.
MAX_COPIED = 200
COPY_HTML = """<div class="row">
<button type="button" data-what="link">Copy link</button>
<button type="button" data-what="markdown">Copy Markdown</button>
<span role="status" aria-live="polite"></span>
</div>"""
COPY_CSS = """
.row { display: flex; gap: 0.5rem; align-items: center; flex-wrap: wrap; }
button {
  font: inherit; font-size: 0.875rem; color: inherit; background: transparent; cursor: pointer;
  border: 1px solid var(--st-border-color); border-radius: var(--st-button-radius); padding: 0.25rem 0.75rem;
}
button:hover, button:focus-visible { border-color: var(--st-primary-color); color: var(--st-primary-color); }
span { font-size: 0.875rem; }
"""
# Without https the browser has no clipboard: a hidden field copies there.
COPY_JS = """
async function copy(text) {
  if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text)
  const field = document.createElement('textarea')
  field.value = text
  document.body.appendChild(field)
  field.select()
  document.execCommand('copy')
  field.remove()
}
export default function ({ parentElement, data }) {
  const said = parentElement.querySelector('span')
  for (const button of parentElement.querySelectorAll('button')) {
    button.onclick = async () => {
      const link = window.location.href
      await copy(button.dataset.what === 'link' ? link : data.markdown.replace('LINK', () => link))
      said.textContent = 'Copied'
    }
  }
}
"""
_copy = st.components.v2.component("copy_for_paper", html=COPY_HTML, css=COPY_CSS, js=COPY_JS)


@st.fragment
def figure_menu(drawn: ChartType | Callable[[], ChartType], key: str) -> None:
    """The menu of a figure, or of one that is made once the menu is open."""
    key = f"figure_{key}"
    with st.popover(
        "", icon=":material/download:", help=HELP, key=f"{key}_menu", on_change="rerun"
    ) as menu:
        if menu.open:
            _figure_items(drawn() if callable(drawn) else drawn, key)


def _figure_items(drawn: ChartType, key: str) -> None:
    width = st.segmented_control(
        "Width", list(WIDTHS), default=next(iter(WIDTHS)), key=f"{key}_width", required=True
    )
    inches = WIDTHS[width or next(iter(WIDTHS))]
    name = f"{key}_{inches:g}in"
    files: dict[str, tuple[Callable[[], Any], str, str]] = {
        "PNG": (lambda: print_png(drawn, inches), f"{name}.png", "image/png"),
        "SVG": (lambda: print_svg(drawn, inches), f"{name}.svg", "image/svg+xml"),
        "PDF": (lambda: print_pdf(drawn, inches), f"{name}.pdf", "application/pdf"),
        "CSV": (lambda: chart_points(drawn).to_csv(index=False), f"{key}.csv", "text/csv"),
        "TeX": (lambda: figure_tex(drawn, name, key), f"{key}.tex", "text/x-tex"),
    }
    _buttons(files, key)
    head, lines = split_title(drawn.title)
    caption = escape_markdown(" ".join([f"{head}.", *(f"{line}." for line in lines if line)]))
    _copy(
        data={"markdown": f"![{escape_markdown(head)}]({name}.png)\n\n{caption} [View](LINK)\n"},
        key=f"{key}_copy",
    )


def figure_tex(drawn: ChartType, file: str, label: str) -> str:
    """The float of a figure, with the chart's title and notes as its caption."""
    head, lines = split_title(drawn.title)
    caption = " ".join([f"{head}.", *(f"{line}." for line in lines if line)])
    return "\n".join(
        [
            r"\begin{figure}",
            r"\centering",
            rf"\includegraphics{{{file}.pdf}}",
            rf"\caption{{{escape_latex(caption)}}}",
            rf"\label{{fig:{re.sub('[^a-zA-Z0-9]+', '-', label)}}}",
            r"\end{figure}",
            "",
        ]
    )


@st.fragment
def table_menu(
    frame: pd.DataFrame,
    key: str,
    labels: Mapping[str, str] | None,
    caption: str,
    marks: Mapping[str, Sequence[str]] | None,
    csv: Callable[[], str],
) -> None:
    """The menu of a table, whose `csv` has all rows."""
    key = f"table_{key}"
    label = f"{len(frame):,} rows" if len(frame) > 1 else ""
    with st.popover(
        label,
        icon=":material/download:",
        help=HELP,
        key=f"{key}_menu",
        on_change="rerun",
        type="tertiary",
    ) as menu:
        if menu.open:
            _table_items(frame, key, labels, caption, marks, csv)


def _table_items(
    frame: pd.DataFrame,
    key: str,
    labels: Mapping[str, str] | None,
    caption: str,
    marks: Mapping[str, Sequence[str]] | None,
    csv: Callable[[], str],
) -> None:
    label = re.sub("[^a-zA-Z0-9]+", "-", key)
    files: dict[str, tuple[Callable[[], Any], str, str]] = {
        "CSV": (csv, f"{key}.csv", "text/csv"),
        "JSON": (
            lambda: frame.to_json(orient="records", indent=1),
            f"{key}.json",
            "application/json",
        ),
        "TeX": (
            lambda: siunitx_table(frame, caption or key, label, labels, marks),
            f"{key}.tex",
            "text/x-tex",
        ),
    }
    _buttons(files, key)
    text = f"{table_markdown(frame, labels, marks)}\n\n{escape_markdown(caption)} [View](LINK)\n"
    _copy(data={"markdown": text}, key=f"{key}_copy")


def table_markdown(
    frame: pd.DataFrame,
    labels: Mapping[str, str] | None = None,
    marks: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """The first rows as a pipe table, the best in bold and ties with a dagger."""
    shown = frame.head(MAX_COPIED)
    display = shown.map(format_cell) if len(shown) else shown.astype(str)
    text = markdown_table(display.rename(columns=dict(labels or {})))
    if not marks:
        return text
    lines = text.split("\n")
    columns = list(frame.columns)
    for row, line in enumerate(lines[2:]):
        # A bar within a cell is escaped.
        cells = re.split(r"(?<!\\)\|", line)[1:-1]
        for name, values in marks.items():
            if name in columns and row < len(values):
                place = columns.index(name)
                cells[place] = _mark_cell(cells[place], values[row])
        lines[row + 2] = f"|{'|'.join(cells)}|"
    return "\n".join([*lines, "", f"{TIED_NOTE}."])


def _mark_cell(cell: str, mark: str) -> str:
    text = cell.strip()
    return {BEST: f" **{text}** ", TIED: f" {text}\N{DAGGER} "}.get(mark, cell)


def _buttons(files: Mapping[str, tuple[Callable[[], Any], str, str]], key: str) -> None:
    with st.container(horizontal=True, gap="small"):
        for kind, (make, name, mime) in files.items():
            st.download_button(kind, make, name, mime, key=f"{key}_{kind}", on_click="ignore")
