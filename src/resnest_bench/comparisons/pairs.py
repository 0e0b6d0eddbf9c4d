"""Differences of two variants, and what they generalise to. Seeds are paired, images are shared.

Differences are ours minus base, in percentage points.
"""

import itertools
import math
from typing import Any

import pandas as pd

from resnest_bench.frames.correctness import Correctness
from resnest_bench.frames.typed import make_frame
from resnest_bench.stats.intervals import (
    Interval,
    estimate_mean,
    image_interval,
    seed_interval,
    two_way_interval,
)
from resnest_bench.stats.multiplicity import holm
from resnest_bench.stats.p_values import probability_above, seed_p_value, two_way_p_value
from resnest_bench.stats.paired import bonett_price_interval, mcnemar_p_value, pair_probability
from resnest_bench.stats.summary import MIN_FOR_INTERVAL

POPULATIONS = ("seeds", "all", "networks")
PAIR_COLUMNS = {
    **dict.fromkeys(["variant", "base"], "str"),
    **dict.fromkeys(["n", "num_images"], "Int64"),
    "seed_differences_points": "object",
    **dict.fromkeys(
        ["difference_points", "std_points"]
        + [f"{about}_{end}_points" for about in POPULATIONS for end in ("low", "high")]
        + [f"{about}_{p}" for about in POPULATIONS for p in ("p", "holm_p")]
        + [
            "mean_better_seeds",
            "mean_better_all",
            "pair_better",
            "pair_better_low",
            "pair_better_high",
        ],
        "float64",
    ),
}

# The networks agree on every image. That says nothing about new seeds, so there is no interval.
SAME_PREDICTIONS = {
    **dict.fromkeys(["difference_points", "std_points"], 0.0),
    **dict.fromkeys(["seeds_p", "all_p"], 1.0),
    **dict.fromkeys(["mean_better_seeds", "mean_better_all"], 0.5),
}


NO_PROBABILITY = (math.nan, math.nan, math.nan)


def pairs_table(correct: Correctness, pairs: list[tuple[str, str]] | None = None) -> pd.DataFrame:
    """One row per pair (variant, base): by default all pairs, with the earlier variant as the base.

    `n` is the number of seeds that both have. `difference_points` is their mean difference (variant
    minus base) in percentage points, `std_points` its sample standard deviation over seeds, and
    `seed_differences_points` lists the differences. 95 % intervals and p-values against 0 are for
    three populations: `seeds` (new seeds, these test images), `all` (new seeds, new test images) and
    `networks` (these trained networks, new test images). The training images stay the same in all.
    The first two require three seeds. The `networks` p-value is McNemar's and requires exactly one seed.
    `holm_p` is corrected over the rows of this table with a p-value of that kind.

    `mean_better_*` is the probability that the variant's mean is above the base's. `pair_better` is the
    probability that the variant wins in the next pair trained with one seed, on these images, with its
    95 % interval. Values that the seeds don't give are NaN. If both made the same predictions in every
    seed, p-values are 1, and the only interval is that of `networks`: Bonett and Price's for no
    discordant image. Nothing is rounded.
    """
    if pairs is None:
        pairs = [(ours, base) for base, ours in itertools.combinations(correct.variants, 2)]
    rows = [{"variant": ours, "base": base, **_pair(correct, ours, base)} for ours, base in pairs]
    table = make_frame(rows, PAIR_COLUMNS)
    for about in POPULATIONS:
        table[f"{about}_holm_p"] = holm(table[f"{about}_p"].to_numpy())
    return table


def _pair(correct: Correctness, ours: str, base: str) -> dict[str, Any]:
    differences = correct.differences(ours, base)
    n, num_images = differences.shape
    row: dict[str, Any] = {"n": n, "num_images": num_images}
    if n == 0:
        return row
    per_seed = differences.mean(axis=1)
    row["difference_points"] = 100 * per_seed.mean()
    row["seed_differences_points"] = (100 * per_seed).tolist()
    if n == 1:
        only_ours, only_base = int((differences > 0).sum()), int((differences < 0).sum())
        networks = bonett_price_interval(only_ours, only_base, num_images)
        row["networks_p"] = mcnemar_p_value(only_ours, only_base)
        return {**row, **_ends("networks", networks)}
    if not differences.any():
        networks = bonett_price_interval(0, 0, num_images)
        return {**row, **_same_predictions(n), **_ends("networks", networks)}
    estimate = estimate_mean(differences)
    p_seeds, p_all = seed_p_value(per_seed), two_way_p_value(estimate)
    better, low, high = pair_probability(per_seed) if n >= MIN_FOR_INTERVAL else NO_PROBABILITY
    return {
        **row,
        "std_points": 100 * per_seed.std(ddof=1),
        **_ends("seeds", seed_interval(per_seed)),
        **_ends("all", two_way_interval(estimate)),
        **_ends("networks", image_interval(differences)),
        "seeds_p": p_seeds,
        "all_p": p_all,
        "mean_better_seeds": float(probability_above(estimate.mean, p_seeds)),
        "mean_better_all": float(probability_above(estimate.mean, p_all)),
        "pair_better": float(better),
        "pair_better_low": float(low),
        "pair_better_high": float(high),
    }


def _same_predictions(n: int) -> dict[str, float]:
    """Below three seeds there is no test, as for other predictions."""
    return SAME_PREDICTIONS if n >= MIN_FOR_INTERVAL else {"difference_points": 0.0}


def _ends(about: str, interval: Interval) -> dict[str, float]:
    return {
        f"{about}_low_points": 100 * float(interval.low),
        f"{about}_high_points": 100 * float(interval.high),
    }
