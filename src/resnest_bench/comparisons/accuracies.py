"""Each variant's accuracy with its intervals: for new seeds, for new images, for both."""

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
    crossed_interval,
    image_interval,
    mean_error,
    seed_interval,
    wilson_interval,
)
from resnest_bench.stats.summary import FEWEST_FOR_INTERVAL, FRACTION

ACCURACY_COLUMNS = {
    "variant": "str",
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
    """One row for each variant: mean accuracy in % over its `n` seeds, with 95 % intervals in %.

    `seeds`: Student's on the logit scale, for new seeds on these test images. `all`: for new seeds on
    new test images. Both are NaN below three seeds. `networks`: for these trained networks on new test
    images; of one network it is the binomial interval of the test set (Wilson), and the only one there
    is. `about` and `method` name the one to show: `networks` with one seed, else `seeds`, or why there
    is none. Nothing is rounded.
    """
    rows = [{"variant": name, **_intervals(correct.of(name))} for name in correct.variants]
    return make_frame(rows, ACCURACY_COLUMNS)


def _intervals(bits_SN: np.ndarray) -> dict[str, Any]:
    n, num_images = bits_SN.shape
    per_seed = 100 * bits_SN.mean(axis=1)
    row = {"n": n, "num_images": num_images, "mean_percent": per_seed.mean()}
    if n == 1:
        binomial = wilson_interval(int(bits_SN.sum()), num_images)
        return {**row, **_ends("networks", binomial), "about": IMAGES, "method": binomial.method}
    seeds = seed_interval(bits_SN.mean(axis=1), bounds=FRACTION)
    missing = TWO_VALUES if n < FEWEST_FOR_INTERVAL else ALL_ALIKE
    return {
        **row,
        "std_points": per_seed.std(ddof=1),
        **_ends("seeds", seeds),
        **_ends("all", crossed_interval(mean_error(bits_SN), bounds=FRACTION)),
        **_ends("networks", image_interval(bits_SN, bounds=FRACTION)),
        "about": missing if np.isnan(seeds.low) else SEEDS,
        "method": seeds.method,
    }


def _ends(about: str, interval: Interval) -> dict[str, float]:
    return {
        f"{about}_low_percent": 100 * float(interval.low),
        f"{about}_high_percent": 100 * float(interval.high),
    }
