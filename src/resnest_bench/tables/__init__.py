"""Records to tables (floor 5): pandas, never torch."""

from resnest_bench.tables.aggregate import (
    cells_frame,
    cells_of,
    collect,
    epochs_frame,
    epochs_of,
    runs_of,
    samples_frame,
    samples_of,
)
from resnest_bench.tables.outcomes import (
    Outcome,
    outcomes,
    prepared_fingerprints,
    unlisted_records,
)
from resnest_bench.tables.render import make_tables, summary_text, table_markdown, write_tables
from resnest_bench.tables.statistics import (
    binomial_standard_error,
    paired_difference,
    pareto_front,
    summarise,
)
from resnest_bench.tables.tables import ablation_table, tradeoff_table, transfer_table

__all__ = [
    "Outcome",
    "ablation_table",
    "binomial_standard_error",
    "cells_frame",
    "cells_of",
    "collect",
    "epochs_frame",
    "epochs_of",
    "make_tables",
    "outcomes",
    "paired_difference",
    "pareto_front",
    "prepared_fingerprints",
    "runs_of",
    "samples_frame",
    "samples_of",
    "summarise",
    "summary_text",
    "table_markdown",
    "tradeoff_table",
    "transfer_table",
    "unlisted_records",
    "write_tables",
]
