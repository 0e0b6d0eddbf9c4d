"""Tables for readers: rounded texts, as Markdown and LaTeX. CSV files stay unrounded."""

import math
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import pandas as pd
from tabulate import tabulate

LATEX_ESCAPES = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    "±": r"$\pm$", "−": r"$-$", "×": r"$\times$", "–": "--", "…": r"\ldots{}", "√": r"$\surd$",
}  # fmt: skip
GAP = "–"


def known(value: Any) -> bool:
    """Whether a cell holds something: not None, NaN or NA."""
    return isinstance(value, list) or (value is not None and not pd.isna(value))


def row_dicts(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """A dict a row, as `to_dict` gives them: that our columns bear texts as names, pandas can't know."""
    return cast("list[dict[str, Any]]", frame.to_dict("records"))


def uncertain_text(mean: Any, half_width: Any, n: Any, sign: str = "") -> str:
    """'62.64 ± 0.31 (n=5)', or '62.64 (n=1)': no interval from one value. '–' without any.

    '62.64 (n=3, all alike)': values that show no spread have no interval either.
    """
    if not known(mean):
        return GAP
    if known(half_width):
        return f"{mean:{sign}.2f} ± {half_width:.2f} (n={n})"
    return f"{mean:{sign}.2f} (n={n}{', all alike' if n > 1 else ''})"


def binomial_text(percent: float, low: float, high: float) -> str:
    """'62.64 [61.69, 63.58] (n=1, binomial)': one network, whose interval is over test images."""
    return f"{percent:.2f} [{low:.2f}, {high:.2f}] (n=1, binomial)"


def probability_text(value: Any) -> str:
    """'0.61'; '>0.99' and '<0.01' at the ends, where a few thousand draws tell no more."""
    if not known(value):
        return GAP
    if value > 0.99:
        return ">0.99"
    return "<0.01" if value < 0.01 else f"{value:.2f}"


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


def markdown_table(display: pd.DataFrame) -> str:
    """A pipe table. A '|' or a line break in a cell can't break the row."""
    cells = [[_markdown_cell(value) for value in row] for row in display.itertuples(index=False)]
    return tabulate(cells, headers=list(display.columns), tablefmt="pipe", disable_numparse=True)


def _markdown_cell(value: Any) -> str:
    return " ".join(str(value).split()).replace("|", r"\|")


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
        r"\toprule", header, r"\midrule", *rows, r"\bottomrule",
        r"\end{tabular}",
        *(rf"\par\footnotesize {latex_text(note)}" for note in notes),
        r"\end{table}",
    ]  # fmt: skip
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


def latex_of(
    frame: pd.DataFrame, caption: str, label: str, headings: Mapping[str, str] | None = None
) -> str:
    """`latex_table` of a frame of numbers, with its column names or those of `headings` on top."""
    display = frame.map(shown_text) if len(frame) else frame.astype(str)
    return latex_table(display.rename(columns=dict(headings or {})), caption, label, [])
