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
from resnest_bench.tables.axes import Axis, axes_of, default_axes, metric_axis
from resnest_bench.tables.captions import caption, notes
from resnest_bench.tables.claim_files import (
    claims_caption,
    claims_display,
    claims_notes,
    counts_text,
    read_claims,
)
from resnest_bench.tables.claim_tables import claim_tables
from resnest_bench.tables.claim_texts import figure_text
from resnest_bench.tables.claims import VERDICTS, claim_jobs
from resnest_bench.tables.difference_files import (
    differences_caption,
    differences_display,
    differences_notes,
    effects_caption,
    effects_display,
    effects_notes,
    power_text,
    told_apart_text,
)
from resnest_bench.tables.differences import (
    Differences,
    difference_jobs,
    differences_of,
    experiment_of,
    headline_experiment,
)
from resnest_bench.tables.effects import FactorEffects
from resnest_bench.tables.factors import FactorGroup, factor_groups, factor_table
from resnest_bench.tables.formats import latex_of
from resnest_bench.tables.intervals import IMAGES
from resnest_bench.tables.latency_pairs import latency_ratios
from resnest_bench.tables.live import live_epochs, running_frame, running_jobs
from resnest_bench.tables.noise import NOISE_PARTS, floor_sentence, noise_table
from resnest_bench.tables.outcomes import (
    STATUSES,
    Outcome,
    outcomes,
    prepared_fingerprints,
    unlisted_records,
)
from resnest_bench.tables.panel_fronts import front_lines, front_notes
from resnest_bench.tables.paper_table import PRINTED_FACTS, paper_table
from resnest_bench.tables.points import (
    Experiments,
    best_within,
    experiments_of,
    headline_points,
    points_frame,
)
from resnest_bench.tables.render import (
    display_frame,
    make_tables,
    summary_text,
    table_markdown,
    write_tables,
)
from resnest_bench.tables.scan import scan_records
from resnest_bench.tables.statistics import (
    binomial_standard_error,
    paired_difference,
    pareto_front,
    summarise,
)
from resnest_bench.tables.store import Frames, load_frames, write_frames
from resnest_bench.tables.study_effects import effects_table, study_effects
from resnest_bench.tables.tables import ablation_table, tradeoff_table, transfer_table

__all__ = [
    "IMAGES",
    "NOISE_PARTS",
    "PRINTED_FACTS",
    "STATUSES",
    "VERDICTS",
    "Axis",
    "Differences",
    "Experiments",
    "FactorEffects",
    "FactorGroup",
    "Frames",
    "Outcome",
    "ablation_table",
    "axes_of",
    "best_within",
    "binomial_standard_error",
    "caption",
    "cells_frame",
    "cells_of",
    "claim_jobs",
    "claim_tables",
    "claims_caption",
    "claims_display",
    "claims_notes",
    "collect",
    "counts_text",
    "default_axes",
    "difference_jobs",
    "differences_caption",
    "differences_display",
    "differences_notes",
    "differences_of",
    "display_frame",
    "effects_caption",
    "effects_display",
    "effects_notes",
    "effects_table",
    "epochs_frame",
    "epochs_of",
    "experiment_of",
    "experiments_of",
    "factor_groups",
    "factor_table",
    "figure_text",
    "floor_sentence",
    "front_lines",
    "front_notes",
    "headline_experiment",
    "headline_points",
    "latency_ratios",
    "latex_of",
    "live_epochs",
    "load_frames",
    "make_tables",
    "metric_axis",
    "noise_table",
    "notes",
    "outcomes",
    "paired_difference",
    "paper_table",
    "pareto_front",
    "points_frame",
    "power_text",
    "prepared_fingerprints",
    "read_claims",
    "running_frame",
    "running_jobs",
    "runs_of",
    "samples_frame",
    "samples_of",
    "scan_records",
    "study_effects",
    "summarise",
    "summary_text",
    "table_markdown",
    "told_apart_text",
    "tradeoff_table",
    "transfer_table",
    "unlisted_records",
    "write_frames",
    "write_tables",
]
