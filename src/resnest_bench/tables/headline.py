"""The study's headline metric next to the accuracy, in tables and charts of one row per variant."""

from typing import Any

import pandas as pd

from resnest_bench.formats import is_known
from resnest_bench.records.metrics import METRICS
from resnest_bench.specs import StudySpec
from resnest_bench.specs.scores import metric_column
from resnest_bench.stats.intervals import ALL_ALIKE, SEEDS, TWO_VALUES
from resnest_bench.stats.summary import MIN_FOR_INTERVAL, PERCENT, summarise
from resnest_bench.tables.values import Rows, counted_rows

HEADLINE_COLUMNS = [
    "headline_metric",
    "headline_n",
    "headline_mean_percent",
    "headline_std_points",
    "headline_low_percent",
    "headline_high_percent",
    "headline_interval_about",
    "headline_seeds",
    "headline_seed_percent",
]
# Which column of the accuracy each takes the place of in a chart.
REPLACED = {
    "headline_n": "n",
    "headline_mean_percent": "accuracy_mean_percent",
    "headline_std_points": "accuracy_std_points",
    "headline_low_percent": "accuracy_low_percent",
    "headline_high_percent": "accuracy_high_percent",
    "headline_interval_about": "accuracy_interval_about",
    "headline_seeds": "seeds",
    "headline_seed_percent": "seed_accuracies_percent",
}


def metric_words(metric: str) -> str:
    """'test accuracy' for 'accuracy': the label of a measure within a sentence."""
    label = METRICS[metric_column(metric)].label
    return label if label[:2].isupper() else label[0].lower() + label[1:]


def headline_columns(study: StudySpec) -> list[str]:
    """HEADLINE_COLUMNS; none where the headline is the accuracy, which has columns of its own."""
    return [] if study.headline_metric == "accuracy" else HEADLINE_COLUMNS


def headline_values(study: StudySpec, rows: Rows) -> dict[str, Any]:
    """The headline metric of one variant over its seeds, in % and points; empty for the accuracy.

    The 95 % interval is Student's on the logit scale, for new seeds on these test images.
    """
    if study.headline_metric == "accuracy":
        return {}
    column = metric_column(study.headline_metric)
    seeds = {
        row["seed"]: 100 * row[column]
        for row in counted_rows(rows, ["status", "seed", column])
        if is_known(row[column])
    }
    summary = summarise(list(seeds.values()), PERCENT)
    missing = TWO_VALUES if summary.n < MIN_FOR_INTERVAL else ALL_ALIKE
    about = SEEDS if summary.low is not None else missing
    return {
        "headline_metric": study.headline_metric,
        "headline_n": summary.n,
        "headline_mean_percent": summary.mean,
        "headline_std_points": summary.std,
        "headline_low_percent": summary.low,
        "headline_high_percent": summary.high,
        "headline_interval_about": about if summary.n > 1 else None,
        "headline_seeds": list(seeds),
        "headline_seed_percent": list(summary.observed),
    }


def show_headline(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The table with its headline metric in the columns of the accuracy, and its name in words.

    Where no row has a value of it, the accuracy stays.
    """
    if "headline_metric" not in table or table["headline_mean_percent"].isna().all():
        return table, metric_words("accuracy")
    shown = table.assign(**{into: table[name] for name, into in REPLACED.items()})
    status = shown["status"].mask(
        shown["accuracy_mean_percent"].isna() & shown["status"].eq("ok"), "predictions not kept"
    )
    return shown.assign(status=status), metric_words(table["headline_metric"].dropna().iloc[0])
