"""Which data a trade-off is about: that of the experiments drawn, and no other of the study."""

import pandas as pd

from resnest_bench.charts.style import distinct_text
from resnest_bench.specs import StudySpec
from resnest_bench.tables.selection import Experiments, main_experiments


def trained_label(runs: pd.DataFrame, chosen: Experiments) -> str:
    """The data that the networks of `chosen` were trained on, or without a training timed with."""
    trained = distinct_text(chosen.runs(runs, ("train", "finetune")), "dataset_label")
    return trained or distinct_text(chosen.runs(runs), "dataset_label")


def headline_label(study: StudySpec, runs: pd.DataFrame) -> str:
    """`trained_label` for `headline_points`."""
    return trained_label(runs, main_experiments(study))
