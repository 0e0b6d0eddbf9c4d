"""Charts (floor 5): functions from a DataFrame to an altair chart, for files and the dashboard."""

from resnest_bench.charts.ablation import ablation_chart
from resnest_bench.charts.claims import claim_chart
from resnest_bench.charts.classes import class_differences_chart, confusion_chart
from resnest_bench.charts.coverage import coverage_chart
from resnest_bench.charts.curves import field_title, training_curves_chart, training_curves_panels
from resnest_bench.charts.data_labels import headline_label, trained_label
from resnest_bench.charts.datasets import profile_chart, ranks_chart
from resnest_bench.charts.deployment import deployment_chart
from resnest_bench.charts.device_ranking import device_ranking_chart
from resnest_bench.charts.differences import effects_chart, pairs_chart
from resnest_bench.charts.distillation import distillation_chart
from resnest_bench.charts.drift import drift_chart
from resnest_bench.charts.factors import TITLES as FACTOR_TITLES
from resnest_bench.charts.factors import factor_chart
from resnest_bench.charts.fastest import fastest_chart
from resnest_bench.charts.figures import make_figures, render_png, render_svg, write_figures
from resnest_bench.charts.forest import claim_forests
from resnest_bench.charts.head_to_head import (
    gaps_chart,
    latency_ratio_chart,
    quadrants_chart,
    seeds_chart,
)
from resnest_bench.charts.identity import LEGEND_NAMES
from resnest_bench.charts.latency import latency_distribution_chart, latency_distribution_panels
from resnest_bench.charts.modes import modes_chart
from resnest_bench.charts.paper import paper_chart
from resnest_bench.charts.plane_axes import shared_domains
from resnest_bench.charts.roofline import roofline_chart
from resnest_bench.charts.search import (
    confirmation_chart,
    search_front_chart,
    search_progress_chart,
    tuning_curve_chart,
)
from resnest_bench.charts.startup import startup_chart
from resnest_bench.charts.style import no_data_chart, split_title, themed
from resnest_bench.charts.sweep import SWEEP_FIELDS, batch_sweep_chart
from resnest_bench.charts.tradeoff import tradeoff_chart
from resnest_bench.charts.transfer import transfer_chart
from resnest_bench.charts.widths import needed_width

__all__ = [
    "FACTOR_TITLES",
    "LEGEND_NAMES",
    "SWEEP_FIELDS",
    "ablation_chart",
    "batch_sweep_chart",
    "claim_chart",
    "claim_forests",
    "class_differences_chart",
    "confirmation_chart",
    "confusion_chart",
    "coverage_chart",
    "deployment_chart",
    "device_ranking_chart",
    "distillation_chart",
    "drift_chart",
    "effects_chart",
    "factor_chart",
    "fastest_chart",
    "field_title",
    "gaps_chart",
    "headline_label",
    "latency_distribution_chart",
    "latency_distribution_panels",
    "latency_ratio_chart",
    "make_figures",
    "modes_chart",
    "needed_width",
    "no_data_chart",
    "pairs_chart",
    "paper_chart",
    "profile_chart",
    "quadrants_chart",
    "ranks_chart",
    "render_png",
    "render_svg",
    "roofline_chart",
    "search_front_chart",
    "search_progress_chart",
    "seeds_chart",
    "shared_domains",
    "split_title",
    "startup_chart",
    "themed",
    "tradeoff_chart",
    "trained_label",
    "training_curves_chart",
    "training_curves_panels",
    "transfer_chart",
    "tuning_curve_chart",
    "write_figures",
]
