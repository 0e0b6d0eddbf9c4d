"""Tables to pictures (floor 5): functions DataFrame -> altair chart, for files and dashboard."""

from resnest_bench.charts.ablation import ablation_chart
from resnest_bench.charts.curves import training_curves_chart
from resnest_bench.charts.figures import make_figures, write_figures
from resnest_bench.charts.latency import latency_distribution_chart
from resnest_bench.charts.style import no_data_chart
from resnest_bench.charts.tradeoff import accuracy_latency_chart
from resnest_bench.charts.transfer import transfer_chart

__all__ = [
    "ablation_chart",
    "accuracy_latency_chart",
    "latency_distribution_chart",
    "make_figures",
    "no_data_chart",
    "training_curves_chart",
    "transfer_chart",
    "write_figures",
]
