"""Tables for a paper: booktabs' rules and siunitx' columns, the best in bold and ties with a dagger."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from resnest_bench.formats import GAP, escape_latex, format_cell, is_known

BEST, TIED = "best", "tied"
# What a preamble needs: siunitx sets a bold number in bold only if it is told to.
PREAMBLE = (
    r"% \usepackage{booktabs, siunitx}",
    r"% \sisetup{detect-all, table-align-text-after = false}",
)
DAGGER = r"{\textsuperscript{\textdagger}}"
DIGITS, MAX_DECIMALS = 4, 4
TIED_NOTE = "Bold: the best mean; \N{DAGGER}: may be the best too"


def siunitx_table(
    frame: pd.DataFrame,
    caption: str,
    label: str,
    headings: Mapping[str, str] | None = None,
    marks: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """A LaTeX table float of `frame`: a column of numbers is aligned at the decimal point.

    Args:
        frame: numbers are rounded to four significant digits of the column's largest.
        caption: as plain text; a sentence on bold and daggers is added where there are any.
        label: without 'tab:'.
        headings: replace column names.
        marks: column to BEST, TIED or '' for each row.
    """
    marks, headings = marks or {}, headings or {}
    formats = {name: _table_format(frame[name]) for name in frame}
    columns = "".join(f"S[table-format={f[0]}]" if f else "l" for f in formats.values())
    heads = []
    for name, form in formats.items():
        text = escape_latex(str(headings.get(str(name)) or str(name)))
        # In a column of numbers a text is in braces.
        heads.append(f"{{{text}}}" if form else text)
    rows = []
    for index, values in enumerate(frame.itertuples(index=False)):
        cells = [
            _cell(value, formats[name], _find_mark(marks, str(name), index))
            for name, value in zip(frame.columns, values, strict=True)
        ]
        rows.append(" & ".join(cells) + r" \\")
    marked = {mark for name in marks if name in frame for mark in marks[name] if mark}
    end = caption if caption.endswith(".") else f"{caption}."
    text = f"{end} {TIED_NOTE}." if marked else end
    lines = [
        *PREAMBLE,
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_escape_caption(text)}}}",
        rf"\label{{tab:{label}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        " & ".join(heads) + r" \\",
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _escape_caption(text: str) -> str:
    return escape_latex(text).replace("\N{DAGGER}", r"\textdagger{}")


def _find_mark(marks: Mapping[str, Sequence[str]], name: str, index: int) -> str:
    return marks[name][index] if name in marks else ""


def _table_format(values: pd.Series) -> tuple[str, int] | None:
    """siunitx' table-format ('-2.1') and the decimals of a column of numbers; None for any other."""
    is_number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    known = [float(value) for value in values if is_known(value)] if is_number else []
    known = [value for value in known if math.isfinite(value)]
    if not known:
        return None
    largest = max(abs(value) for value in known)
    before = max(1, math.floor(math.log10(largest)) + 1) if largest >= 1 else 1
    decimals = 0
    if not pd.api.types.is_integer_dtype(values):
        shown = DIGITS - 1 - (math.floor(math.log10(largest)) if largest else 0)
        decimals = min(max(shown, 0), MAX_DECIMALS)
        if round(largest, decimals) >= 10**before:
            before += 1
    sign = "-" if min(known) < 0 else ""
    return f"{sign}{before}.{decimals}" if decimals else f"{sign}{before}", decimals


def _cell(value: Any, form: tuple[str, int] | None, mark: str) -> str:
    dagger = DAGGER if mark == TIED else ""
    if form is None or not is_known(value) or not math.isfinite(value):
        text = escape_latex(format_cell(value) if is_known(value) else GAP)
        text = rf"\textbf{{{text}}}" if mark == BEST else f"{text}{dagger}"
        return f"{{{text}}}" if form else text
    number = f"{value:.{form[1]}f}"
    return rf"\bfseries {number}" if mark == BEST else f"{number}{dagger}"
