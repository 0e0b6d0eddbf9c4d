"""The label of a trade-off's data: that of the drawn experiments, not of the whole study."""

import pandas as pd

from resnest_bench.charts.style import join_distinct
from resnest_bench.specs import StudySpec
from resnest_bench.tables.selection import Experiments, main_experiments


def trained_label(runs: pd.DataFrame, chosen: Experiments) -> str:
    """The data of the trainings of `chosen` or, without a training, of its latencies."""
    trained = join_distinct(chosen.runs(runs, ("train", "finetune")), "dataset_label")
    return trained or join_distinct(chosen.runs(runs), "dataset_label")


def headline_label(study: StudySpec, runs: pd.DataFrame) -> str:
    """`trained_label` for `headline_points`."""
    return trained_label(runs, main_experiments(study))
