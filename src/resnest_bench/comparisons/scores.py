"""Other measures than accuracy, compared by their values per seed: what holds for new seeds on these images.

A measure like macro F1 is no mean over images, so there is no test for new images, and none for one seed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from resnest_bench.comparisons.accuracies import ACCURACY_COLUMNS
from resnest_bench.comparisons.differences import (
    ABOVE,
    BELOW,
    DIFFERENCE_COLUMNS,
    UNDECIDED,
    UNTESTED,
    Differences,
    Trainings,
    describe_status,
    list_pairs,
)
from resnest_bench.comparisons.pairs import (
    DEFAULT,
    MARGIN_COLUMNS,
    compare_pairs,
    correct_pairs,
    describe_seeds,
    plan_pair,
)
from resnest_bench.comparisons.standings import Comparison
from resnest_bench.formats import is_known, row_dicts
from resnest_bench.frames.fresh import keep_counted
from resnest_bench.frames.predictions import NOT_KEPT
from resnest_bench.frames.typed import make_frame
from resnest_bench.records.metrics import METRICS
from resnest_bench.specs.differences import DifferencesSpec
from resnest_bench.specs.scores import (
    TRAINED_METRICS,
    metric_column,
    metric_factor,
    metric_units,
)
from resnest_bench.stats.intervals import SEEDS, TWO_VALUES
from resnest_bench.stats.power import ALPHA
from resnest_bench.stats.seed_model import SeedModel, fit_seed_model
from resnest_bench.stats.summary import MIN_FOR_INTERVAL, summarise
from resnest_bench.tables.axes import metric_axis
from resnest_bench.tables.selection import Experiments

NO_IMAGES = "for new seeds on these test images: this measure is not tested for new images"
NO_IMAGE_RESULTS = (
    "for new seeds on these test images: not all results of single test images are known (imported results), "
    "so nothing is tested for new images"
)
ALIKE = "none: every seed has the same value"
PAIR_ABOVE = ("pair_above", "pair_above_low", "pair_above_high")
SCORE_COLUMNS = {
    **dict.fromkeys(["metric", "variant"], "str"),
    "n": "Int64",
    **dict.fromkeys(["mean", "std", "low", "high"], "float64"),
    "unit": "str",
    "better": "str",
    "num_images": "Int64",
    "seeds": "object",
    "values": "object",
    **dict.fromkeys(["about", "dataset_label", "status"], "str"),
}
SCORE_PAIR_COLUMNS = {
    **dict.fromkeys(["metric", "variant", "base", "verdict"], "str"),
    **dict.fromkeys(["n", "variant_n", "base_n", "num_shared_seeds"], "Int64"),
    **dict.fromkeys(["difference", "std", "low", "high"], "float64"),
    "unit": "str",
    **dict.fromkeys(
        ["p", "corrected_p", "mean_above", *MARGIN_COLUMNS, "effect_size", *PAIR_ABOVE], "float64"
    ),
    "least_detectable": "float64",
    **dict.fromkeys(["seeds_needed", "seeds_needed_low", "seeds_needed_high"], "Int64"),
    "seed_differences": "object",
    "stale": "boolean",
    **dict.fromkeys(["dataset_label", "status"], "str"),
}


@dataclass(frozen=True, eq=False)
class ScoreValues:
    """One measure of some variants, in its unit for readers: variant to seed to value.

    `variants` have a value, in the study's order; `stale` are those whose records are. `notes` say which
    have none.
    """

    metric: str
    by_variant: dict[str, dict[int, float]]
    stale: frozenset[str]
    num_images: int | None
    dataset_label: str
    notes: tuple[str, ...]

    @property
    def variants(self) -> tuple[str, ...]:
        return tuple(self.by_variant)


def collect_scores(trainings: Trainings, runs: pd.DataFrame, metric: str) -> ScoreValues:
    """The values of a measure (one of TRAINED_METRICS) in the rows of `runs` that count."""
    column, factor = metric_column(metric), metric_factor(metric)
    rows = Experiments(trainings.experiment, None).runs(runs)
    rows = keep_counted(rows[rows["variant"].isin(trainings.variants)], ["variant"])
    by_variant: dict[str, dict[int, float]] = {name: {} for name in trainings.variants}
    for row in row_dicts(rows[["variant", "seed", column]]):
        if is_known(row[column]):
            by_variant[row["variant"]][int(row["seed"])] = factor * row[column]
    known = {name: values for name, values in by_variant.items() if values}
    without = [name for name in by_variant if name not in known]
    usable = set(rows["variant"])
    notes = [
        f"{name} has no {metric}: "
        + (f"{NOT_KEPT}, or it isn't defined for them" if name in usable else "no current record")
        for name in without
    ]
    counts = rows["num_test"].dropna()
    return ScoreValues(
        metric,
        known,
        frozenset(rows.loc[rows["status"].eq("stale"), "variant"]),
        int(counts.iloc[0]) if len(counts) else None,
        str(rows["dataset_label"].iloc[0]) if len(rows) else trainings.experiment.dataset,
        tuple(notes),
    )


def scores_table(found: ScoreValues) -> pd.DataFrame:
    """One row per variant: mean, sample standard deviation and 95 % interval over its `n` seeds.

    The interval is Student's within the bounds of the measure, for new seeds on these test images (`about`,
    or why there is none). All are in `unit`; nothing is rounded.
    """
    bounds = metric_axis(metric_column(found.metric)).bounds
    rows = []
    for name, values in found.by_variant.items():
        summary = summarise(list(values.values()), bounds)
        missing = TWO_VALUES if summary.n < MIN_FOR_INTERVAL else ALIKE
        about = SEEDS if summary.low is not None else missing
        rows.append(
            {
                "metric": found.metric,
                "variant": name,
                "n": summary.n,
                "mean": summary.mean,
                "std": summary.std,
                "low": summary.low,
                "high": summary.high,
                "unit": metric_units(found.metric)[0],
                "better": METRICS[metric_column(found.metric)].better,
                "num_images": found.num_images,
                "seeds": list(values),
                "values": list(values.values()),
                "dataset_label": found.dataset_label,
                "about": about if summary.n > 1 else "none: one seed",
                "status": "stale" if name in found.stale else "ok",
            }
        )
    return make_frame(rows, SCORE_COLUMNS)


def score_pairs(
    found: ScoreValues, pairs: Sequence[tuple[str, str]], spec: DifferencesSpec = DEFAULT
) -> pd.DataFrame:
    """One row per pair (variant, base): the difference of the means over seeds, variant minus base.

    `p` is that of the test in `spec` and `corrected_p` its correction over this table; both require three
    seeds, as does the interval. `verdict` is ABOVE or BELOW where `corrected_p` is at most 5 %: a greater
    value, which is the worse one where less is better. `mean_above` is the probability that the variant's
    mean is greater, `pair_above` that the next pair's is. The other columns are those of `pairs_table`, with
    `probability_better` for a greater value. All are in `unit`; nothing is rounded.
    """
    names = list(found.variants)
    numbers = [(names.index(ours), names.index(base)) for ours, base in pairs]
    model = fit_scores(found, spec)
    rows: list[dict[str, Any]] = [
        {
            "metric": found.metric,
            "variant": ours,
            "base": base,
            "unit": metric_units(found.metric)[1],
            "stale": bool({ours, base} & found.stale),
            "dataset_label": found.dataset_label,
            **_rename(describe_seeds(model, *number, 1.0)),
        }
        for (ours, base), number in zip(pairs, numbers, strict=True)
    ]
    if rows:
        one, other = np.array(numbers).T
        compared = compare_pairs(model, one, other, np.zeros(len(rows)), spec.margin)
        estimate = compared["estimate"]
        for index, row in enumerate(rows):
            if row["n"] > 1:
                row |= plan_pair(estimate, index, len(rows))
            if row["n"] >= MIN_FOR_INTERVAL:
                row |= {
                    "low": compared["low"][index],
                    "high": compared["high"][index],
                    "p": compared["p"][index],
                    "mean_above": compared["better"][index],
                    **{name: compared[name][index] for name in MARGIN_COLUMNS if name in compared},
                }
    table = make_frame(rows, SCORE_PAIR_COLUMNS)
    table["corrected_p"] = correct_pairs(table["p"].to_numpy(), numbers, spec.correction)
    table["status"] = [describe_status(row) for row in row_dicts(table)]
    table["verdict"] = [_verdict(row) for row in row_dicts(table)]
    return table


def fit_scores(found: ScoreValues, spec: DifferencesSpec = DEFAULT) -> SeedModel:
    """How the variants vary over their seeds in one measure, in its unit for readers."""
    seeds = sorted({seed for values in found.by_variant.values() for seed in values})
    values = [[row.get(seed, math.nan) for seed in seeds] for row in found.by_variant.values()]
    return fit_seed_model(np.array(values).reshape(len(found.by_variant), len(seeds)), spec.method)


def _rename(row: dict[str, Any]) -> dict[str, Any]:
    return {SCORE_NAMES.get(name, name): value for name, value in row.items()}


def _verdict(row: dict[str, Any]) -> str:
    if not is_known(row["corrected_p"]):
        return UNTESTED
    if row["corrected_p"] > ALPHA:
        return UNDECIDED
    return ABOVE if row["difference"] > 0 else BELOW


def compare_scores(
    trainings: Trainings,
    runs: pd.DataFrame,
    metric: str,
    base: str | None = None,
    spec: DifferencesSpec = DEFAULT,
) -> Differences:
    """As `compute_differences`, for a share other than the accuracy: over seeds alone.

    The columns for new images (`all_*`, `networks_*`) are empty, and `verdict` is for new seeds on these
    test images.
    """
    found = collect_scores(trainings, runs, metric)
    notes: list[str] = []
    names = []
    if base is not None and base not in found.variants:
        notes.append(f"{base} has no {metric} to compare with")
    elif found.variants:
        names = list_pairs(found.variants, base)
    return compare_values(found, names, notes, spec, trainings.experiment.recipe)


def compare_values(
    found: ScoreValues,
    names: Sequence[tuple[str, str]],
    notes: Sequence[str],
    spec: DifferencesSpec,
    recipe: str,
) -> Differences:
    """The pairs `names` of values over seeds; `recipe` is what tables call it."""
    metric = found.metric
    about = NO_IMAGE_RESULTS if metric == "accuracy" else NO_IMAGES
    notes = [*found.notes, f"{metric}: {about}", *notes]
    table = score_pairs(found, names, spec)
    pairs = table.rename(columns=PAIR_NAMES).assign(
        num_images=found.num_images,
        dataset_label=found.dataset_label,
        recipe=recipe,
        without_images=metric == "accuracy",
    )
    scores = scores_table(found).rename(columns=ACCURACY_NAMES)
    scores = scores.assign(method=[f"t, {n - 1} degrees of freedom" for n in scores["n"]])
    higher, count = METRICS[metric_column(metric)].better == "higher", len(found.variants)
    comparison = Comparison(
        found.variants, fit_scores(found, spec), np.zeros((count, count)), spec, metric, higher
    )
    return Differences(
        make_frame(pairs, DIFFERENCE_COLUMNS),
        make_frame(scores, ACCURACY_COLUMNS),
        tuple(notes),
        spec,
        comparison,
    )


PAIR_NAMES = {
    "difference": "difference_points",
    "std": "std_points",
    "low": "seeds_low_points",
    "high": "seeds_high_points",
    "p": "seeds_p",
    "corrected_p": "seeds_corrected_p",
    "mean_above": "mean_better_seeds",
    "pair_above": "pair_better",
    "pair_above_low": "pair_better_low",
    "pair_above_high": "pair_better_high",
    "least_detectable": "least_detectable_points",
    "seed_differences": "seed_differences_points",
}
SCORE_NAMES = {
    "difference_points": "difference",
    "std_points": "std",
    "seed_differences_points": "seed_differences",
    "pair_better": "pair_above",
    "pair_better_low": "pair_above_low",
    "pair_better_high": "pair_above_high",
}
ACCURACY_NAMES = {
    "mean": "mean_percent",
    "std": "std_points",
    "low": "seeds_low_percent",
    "high": "seeds_high_percent",
}


def all_scores(trainings: Trainings, runs: pd.DataFrame) -> list[ScoreValues]:
    """Every measure of which a variant has a value."""
    every = (collect_scores(trainings, runs, metric) for metric in TRAINED_METRICS)
    return [found for found in every if found.by_variant]
