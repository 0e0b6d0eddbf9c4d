"""The accuracy of each variant with its intervals: for new seeds, for new images and for both."""

from typing import Any

import numpy as np
import pandas as pd

from resnest_bench.frames.correctness import Correctness
from resnest_bench.frames.typed import make_frame
from resnest_bench.stats.intervals import (
    ALL_ALIKE,
    IMAGES,
    SEEDS,
    TWO_VALUES,
    Interval,
    estimate_mean,
    image_interval,
    seed_interval,
    two_way_interval,
    wilson_interval,
)
from resnest_bench.stats.summary import FRACTION, MIN_FOR_INTERVAL

ACCURACY_COLUMNS = {
    **dict.fromkeys(["metric", "variant"], "str"),
    **dict.fromkeys(["n", "num_images"], "Int64"),
    **dict.fromkeys(
        ["mean_percent", "std_points"]
        + [
            f"{about}_{end}_percent"
            for about in ("seeds", "all", "networks")
            for end in ("low", "high")
        ],
        "float64",
    ),
    **dict.fromkeys(["about", "method"], "str"),
}


def accuracy_intervals(correct: Correctness) -> pd.DataFrame:
    """One row per variant: mean accuracy in % over its `n` seeds, with 95 % intervals in %.

    `seeds` is Student's interval on the logit scale, for new seeds on these test images. `all` is for
    new seeds on new test images. Both are NaN below three seeds. `networks` is for these trained
    networks on new test images; for one network it is the binomial interval (Wilson), and the only one.
    `about` and `method` name the interval to show: `networks` with one seed, else `seeds`; or they say
    why there is none. Nothing is rounded.
    """
    rows = [
        {"metric": "accuracy", "variant": name, **_intervals(correct.select(name))}
        for name in correct.variants
    ]
    return make_frame(rows, ACCURACY_COLUMNS)


def _intervals(bits_SN: np.ndarray) -> dict[str, Any]:
    n, num_images = bits_SN.shape
    per_seed = 100 * bits_SN.mean(axis=1)
    row = {"n": n, "num_images": num_images, "mean_percent": per_seed.mean()}
    if n == 1:
        binomial = wilson_interval(int(bits_SN.sum()), num_images)
        return {**row, **_ends("networks", binomial), "about": IMAGES, "method": binomial.method}
    seeds = seed_interval(bits_SN.mean(axis=1), bounds=FRACTION)
    missing = TWO_VALUES if n < MIN_FOR_INTERVAL else ALL_ALIKE
    return {
        **row,
        "std_points": per_seed.std(ddof=1),
        **_ends("seeds", seeds),
        **_ends("all", two_way_interval(estimate_mean(bits_SN), bounds=FRACTION)),
        **_ends("networks", image_interval(bits_SN, bounds=FRACTION)),
        "about": missing if np.isnan(seeds.low) else SEEDS,
        "method": seeds.method,
    }


def _ends(about: str, interval: Interval) -> dict[str, float]:
    return {
        f"{about}_low_percent": 100 * float(interval.low),
        f"{about}_high_percent": 100 * float(interval.high),
    }
