"""Numbers and tables for display: rounded, as Markdown or LaTeX. CSV files stay unrounded."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
from tabulate import tabulate

LATEX_ESCAPES = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    "−": r"$-$",
    "×": r"$\times$",
    "–": "--",
    "…": r"\ldots{}",
    "√": r"$\surd$",
}
GAP = "–"
# Characters that Markdown (with GitHub's extensions) reads as markup, in the positions where it does:
# an underscore inside a word, a lone '<' and the brackets of an interval are plain text.
MARKUP = re.compile(
    r"([\\`*~$|])"
    r"|((?<![^\W_])_|_(?![^\W_]))"
    r"|(<)(?=[A-Za-z/!?])"
    r"|(&)(?=\w+;|#)"
    r"|(?<=\])([(\[:])"
)
# At the start of a paragraph or a list item these make a heading, a quote, a list or a task.
BLOCK_START = re.compile(r"^(\d*)([#>]|\[(?=[ xX]\]\s)|[-+](?=[-+\s]|$)|(?<=\d)[.)](?=\s|$))")


def is_known(value: Any) -> bool:
    """Whether a cell has a value: not None, NaN or NA."""
    return isinstance(value, list) or (value is not None and not pd.isna(value))


def row_dicts(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """One dict per row. pandas' types don't know that our column names are strings."""
    return cast("list[dict[str, Any]]", frame.to_dict("records"))


def format_points(value: float) -> str:
    """Format an accuracy in %: '62.64'."""
    return f"{value:.2f}"


def format_signed(value: float) -> str:
    """Format a difference in points: '+1.74' or '-1.74'."""
    return f"{value:+.2f}"


def format_mean(
    mean: Any,
    low: Any,
    high: Any,
    n: Any,
    values: Sequence[float],
    write: Callable[[float], str] = format_points,
) -> str:
    """Format the mean of `values` with its interval: '62.64 [62.10, 63.18] (n=5)'; '–' without a value.

    Without an interval: '62.64 (n=1)' for one value, '43.10, 45.00 (n=2)' for two, which are both
    shown, and '62.64 (n=3, all alike)' for values without a spread. `write` formats one number.
    """
    if not is_known(mean):
        return GAP
    if is_known(low) and is_known(high):
        return f"{write(mean)} [{write(low)}, {write(high)}] (n={n})"
    if n == 2:
        return f"{', '.join(map(write, values))} (n=2)"
    return f"{write(mean)} (n={n}{', all alike' if n > 1 else ''})"


def format_binomial(percent: float, low: float, high: float) -> str:
    """Format one network's accuracy with its interval over test images: '62.64 [61.69, 63.58] (n=1, binomial)'."""
    return f"{percent:.2f} [{low:.2f}, {high:.2f}] (n=1, binomial)"


def format_probability(value: Any) -> str:
    """Format a probability: '0.61'. '>0.99' and '<0.01' at the ends: no estimate is exactly 1 or 0."""
    if not is_known(value):
        return GAP
    if value > 0.99:
        return ">0.99"
    return "<0.01" if value < 0.01 else f"{value:.2f}"


def format_p_value(value: Any) -> str:
    """Format a p-value with two significant digits: '0.032'. At the ends '<0.001', '>0.99' and '1'."""
    if not is_known(value):
        return GAP
    if value >= 1:
        return "1"
    if value > 0.99:
        return ">0.99"
    return "<0.001" if value < 0.001 else format_significant(value, 2)


def format_significant(value: Any, digits: int = 3) -> str:
    """Format a number with `digits` significant digits and no exponent; '–' for a gap."""
    if not is_known(value) or not math.isfinite(value):
        return GAP
    if value == 0:
        return "0"
    places = digits - 1 - math.floor(math.log10(abs(value)))
    return f"{round(value, places):,.{max(places, 0)}f}"


def format_millions(value: Any, digits: int = 2) -> str:
    """Format a count: '8.58M', or '85.8k' below 0.1 million."""
    if not is_known(value):
        return GAP
    return f"{value / 1e6:.{digits}f}M" if value >= 1e5 else f"{value / 1e3:.1f}k"


def escape_markdown(text: str) -> str:
    """Escape `text` so that Markdown shows it literally, on one line."""
    return MARKUP.sub(r"\\\g<0>", " ".join(text.split()))


def escape_paragraph(text: str) -> str:
    """Escape a whole paragraph or list item, whose first characters may be markup too."""
    # Markdown shows a backslash before a digit: in '1.' the dot is escaped.
    return BLOCK_START.sub(r"\1\\\2", escape_markdown(text))


def markdown_table(display: pd.DataFrame) -> str:
    """A pipe table. Headings and cells are escaped: no text can become markup or break a row."""
    cells = [[escape_markdown(str(v)) for v in row] for row in display.itertuples(index=False)]
    headings = [escape_markdown(str(name)) for name in display.columns]
    return tabulate(cells, headers=headings, tablefmt="pipe", disable_numparse=True)


def markdown_bullets(texts: Sequence[str]) -> list[str]:
    """One list item per text."""
    return [f"- {escape_paragraph(text)}" for text in texts]


def escape_latex(text: str) -> str:
    """Escape `text` for LaTeX, on one line."""
    return "".join(LATEX_ESCAPES.get(letter, letter) for letter in " ".join(text.split()))


def latex_table(display: pd.DataFrame, caption: str, label: str, notes: list[str]) -> str:
    """A table float in booktabs' style, with notes below it; it needs \\usepackage{booktabs}."""
    rows = [
        " & ".join(escape_latex(str(value)) for value in row) + r" \\"
        for row in display.itertuples(index=False)
    ]
    header = " & ".join(escape_latex(name) for name in display.columns) + r" \\"
    lines = [
        r"\begin{table}",
        rf"\caption{{{escape_latex(caption)}}}",
        rf"\label{{tab:{label}}}",
        rf"\begin{{tabular}}{{{'l' * len(display.columns)}}}",
        r"\toprule",
        header,
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
        *(rf"\par\footnotesize {escape_latex(note)}" for note in notes),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def format_cell(value: Any) -> str:
    """Format any cell: four significant digits, lists joined, '–' for a gap."""
    if isinstance(value, list):
        return ", ".join(format_cell(item) for item in value)
    if not is_known(value):
        return GAP
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return format_significant(value, 4) if isinstance(value, float) else str(value)


def format_latex(
    frame: pd.DataFrame, caption: str, label: str, headings: Mapping[str, str] | None = None
) -> str:
    """Format a frame of numbers as a LaTeX table; `headings` replaces column names."""
    display = frame.map(format_cell) if len(frame) else frame.astype(str)
    return latex_table(display.rename(columns=dict(headings or {})), caption, label, [])
