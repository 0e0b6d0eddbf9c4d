"""The claims of a study: their verdicts, and the comparisons that each comes down to."""

from dataclasses import replace

import pandas as pd

from resnest_bench.charts import claim_chart
from resnest_bench.claims.wording import figure_text
from resnest_bench.export.blocks import Block, Section, Table, make_figure, make_table
from resnest_bench.export.results import PageResults
from resnest_bench.formats import format_cell, format_p_value, row_dicts
from resnest_bench.frames.data_notes import data_notes
from resnest_bench.report.claims import claims_caption, claims_display, claims_notes, counts_text


def claims(results: PageResults) -> Section | None:
    """A table of all verdicts, then a chart for each claim of which anything was measured."""
    if not results.spec.claims:
        return None
    verdicts, comparisons = results.claim_tables
    # A chart says its claim's verdict in words.
    undrawn = verdicts[verdicts["estimate"].isna()]
    blocks: list[Block] = [
        make_table(
            "Table: claims",
            claims_display(verdicts),
            str(claims_caption(verdicts, results.spec)),
            [
                *data_notes(results.spec, results.runs).values(),
                *claims_notes(verdicts, undrawn),
            ],
        )
    ]
    for row in verdicts.to_dict("records"):
        rows = comparisons[comparisons["name"] == row["name"]]
        if rows["estimate"].notna().any():
            figure = make_figure(claim_chart(rows, row["claim"]))
            said = f"{row['verdict'].capitalize()}: {row['explanation']}"
            blocks.append(replace(figure, lines=(said, *figure.lines)))
    blocks.append(_comparison_rows(comparisons))
    return Section("claims", "Claims", (f"{counts_text(verdicts)}.",), tuple(blocks))


def _comparison_rows(comparisons: pd.DataFrame) -> Table:
    display = pd.DataFrame(
        [
            {
                "claim": row["name"],
                "comparison": row["comparison"],
                "seen": figure_text(row),
                "n": format_cell(row["n"]),
                "p for": format_p_value(row["p_for"]),
                "p against": format_p_value(row["p_against"]),
                "status": row["status"],
            }
            for row in row_dicts(comparisons)
        ],
        columns=["claim", "comparison", "seen", "n", "p for", "p against", "status"],
    )
    return make_table(
        "Table: comparisons",
        display,
        "Every elementary comparison, with one-sided p-values before any correction.",
    )
