"""The claims of a study: their verdicts and hypotheses."""

from dataclasses import replace

import pandas as pd

from resnest_bench.charts import claim_chart
from resnest_bench.claims.wording import figure_text
from resnest_bench.export.blocks import Block, Section, Table, make_figure, make_table
from resnest_bench.export.results import PageResults
from resnest_bench.formats import format_cell, format_p_value, row_dicts
from resnest_bench.frames.data_notes import data_notes
from resnest_bench.report.claims import claims_caption, claims_display, claims_notes, count_verdicts


def claims(results: PageResults) -> Section | None:
    """A table of all verdicts, then a chart for each claim with a measurement."""
    if not results.spec.claims:
        return None
    verdicts, hypotheses = results.claim_tables
    # A chart has the explanation of its claim.
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
        rows = hypotheses[hypotheses["name"] == row["name"]]
        if rows["estimate"].notna().any():
            figure = make_figure(claim_chart(rows, row["claim"]))
            verdict = f"{row['verdict'].capitalize()}: {row['explanation']}"
            blocks.append(replace(figure, lines=(verdict, *figure.lines)))
    blocks.append(_hypothesis_rows(hypotheses))
    return Section("claims", "Claims", (f"{count_verdicts(verdicts)}.",), tuple(blocks))


def _hypothesis_rows(hypotheses: pd.DataFrame) -> Table:
    display = pd.DataFrame(
        [
            {
                "claim": row["name"],
                "hypothesis": row["comparison"],
                "observed": figure_text(row),
                "n": format_cell(row["n"]),
                "p for": format_p_value(row["p_for"]),
                "p against": format_p_value(row["p_against"]),
                "status": row["status"],
            }
            for row in row_dicts(hypotheses)
        ],
        columns=["claim", "hypothesis", "observed", "n", "p for", "p against", "status"],
    )
    return make_table(
        "Table: hypotheses",
        display,
        "Every hypothesis, with one-sided p-values before any correction.",
    )
