"""Tables for readers: rounded texts, as Markdown and LaTeX. CSV files stay unrounded."""

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
# What Markdown (with GitHub's extensions) would read as markup, each where it does: an underscore
# within a word, a lone '<' or the brackets of an interval mean nothing to it. Names come from others.
MARKUP = re.compile(
    r"([\\`*~$|])"
    r"|((?<![^\W_])_|_(?![^\W_]))"
    r"|(<)(?=[A-Za-z/!?])"
    r"|(&)(?=\w+;|#)"
    r"|(?<=\])([(\[:])"
)
# At the start of a paragraph or a list item these would make a heading, a quote, a list or a task.
BLOCK_START = re.compile(r"^(\d*)([#>]|\[(?=[ xX]\]\s)|[-+](?=[-+\s]|$)|(?<=\d)[.)](?=\s|$))")


def known(value: Any) -> bool:
    """Whether a cell holds something: not None, NaN or NA."""
    return isinstance(value, list) or (value is not None and not pd.isna(value))


def row_dicts(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """A dict a row, as `to_dict` gives them: that our columns bear texts as names, pandas can't know."""
    return cast("list[dict[str, Any]]", frame.to_dict("records"))


def points_text(value: float) -> str:
    """'62.64', of an accuracy in %."""
    return f"{value:.2f}"


def signed_text(value: float) -> str:
    """'+1.74' or '-1.74', of a difference in points."""
    return f"{value:+.2f}"


def uncertain_text(
    mean: Any,
    low: Any,
    high: Any,
    n: Any,
    values: Sequence[float],
    write: Callable[[float], str] = points_text,
) -> str:
    """'62.64 [62.10, 63.18] (n=5)': a mean of `values` with its interval; '–' without a value.

    '62.64 (n=1)': one value has no interval. '43.10, 45.00 (n=2)': two have none either, and stand
    there themselves. '62.64 (n=3, all alike)': nor have values that show no spread. `write` makes a
    number a text.
    """
    if not known(mean):
        return GAP
    if known(low) and known(high):
        return f"{write(mean)} [{write(low)}, {write(high)}] (n={n})"
    if n == 2:
        return f"{', '.join(map(write, values))} (n=2)"
    return f"{write(mean)} (n={n}{', all alike' if n > 1 else ''})"


def binomial_text(percent: float, low: float, high: float) -> str:
    """'62.64 [61.69, 63.58] (n=1, binomial)': one network, whose interval is over test images."""
    return f"{percent:.2f} [{low:.2f}, {high:.2f}] (n=1, binomial)"


def probability_text(value: Any) -> str:
    """'0.61'; '>0.99' and '<0.01' at the ends: no probability of ours is known to be 1 or 0."""
    if not known(value):
        return GAP
    if value > 0.99:
        return ">0.99"
    return "<0.01" if value < 0.01 else f"{value:.2f}"


def p_value_text(value: Any) -> str:
    """'0.032' with two significant digits; '<0.001', '>0.99', and '1' of a p-value that is 1."""
    if not known(value):
        return GAP
    if value >= 1:
        return "1"
    if value > 0.99:
        return ">0.99"
    return "<0.001" if value < 0.001 else significant(value, 2)


def significant(value: Any, digits: int = 3) -> str:
    """A time or a rate with `digits` significant digits and no exponent; '–' for a gap."""
    if not known(value) or not math.isfinite(value):
        return GAP
    if value == 0:
        return "0"
    places = digits - 1 - math.floor(math.log10(abs(value)))
    return f"{round(value, places):,.{max(places, 0)}f}"


def millions(value: Any, digits: int = 2) -> str:
    """A count as '8.58M'; below 0.1 million as '85.8k'."""
    if not known(value):
        return GAP
    return f"{value / 1e6:.{digits}f}M" if value >= 1e5 else f"{value / 1e3:.1f}k"


def escape_markdown(text: str) -> str:
    """`text` so that Markdown shows it letter by letter within a line, on one line."""
    return MARKUP.sub(r"\\\g<0>", " ".join(text.split()))


def escape_paragraph(text: str) -> str:
    """`escape_markdown` of a whole paragraph or list item."""
    # A backslash before a digit would be shown: of '1.' it is the dot that is escaped.
    return BLOCK_START.sub(r"\1\\\2", escape_markdown(text))


def markdown_table(display: pd.DataFrame) -> str:
    """A pipe table. No heading and no cell, whatever it holds, is read as markup or breaks a row."""
    cells = [[escape_markdown(str(v)) for v in row] for row in display.itertuples(index=False)]
    headings = [escape_markdown(str(name)) for name in display.columns]
    return tabulate(cells, headers=headings, tablefmt="pipe", disable_numparse=True)


def markdown_bullets(texts: Sequence[str]) -> list[str]:
    """A list item for each text."""
    return [f"- {escape_paragraph(text)}" for text in texts]


def latex_text(text: str) -> str:
    """`text` with everything that LaTeX would read as a command escaped, on one line."""
    return "".join(LATEX_ESCAPES.get(letter, letter) for letter in " ".join(text.split()))


def latex_table(display: pd.DataFrame, caption: str, label: str, notes: list[str]) -> str:
    """A table float in booktabs' style; it needs \\usepackage{booktabs}. Notes stand below it."""
    rows = [
        " & ".join(latex_text(str(value)) for value in row) + r" \\"
        for row in display.itertuples(index=False)
    ]
    header = " & ".join(latex_text(name) for name in display.columns) + r" \\"
    lines = [
        r"\begin{table}",
        rf"\caption{{{latex_text(caption)}}}",
        rf"\label{{tab:{label}}}",
        rf"\begin{{tabular}}{{{'l' * len(display.columns)}}}",
        r"\toprule",
        header,
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
        *(rf"\par\footnotesize {latex_text(note)}" for note in notes),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def shown_text(value: Any) -> str:
    """Any cell for a reader: four significant digits, lists joined, '–' for a gap."""
    if isinstance(value, list):
        return ", ".join(shown_text(item) for item in value)
    if not known(value):
        return GAP
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return significant(value, 4) if isinstance(value, float) else str(value)


def format_latex(
    frame: pd.DataFrame, caption: str, label: str, headings: Mapping[str, str] | None = None
) -> str:
    """`latex_table` of a frame of numbers, with its column names or those of `headings` on top."""
    display = frame.map(shown_text) if len(frame) else frame.astype(str)
    return latex_table(display.rename(columns=dict(headings or {})), caption, label, [])
