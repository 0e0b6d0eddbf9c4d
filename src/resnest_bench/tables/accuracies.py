"""Each variant's accuracy with its intervals: for new seeds, for new images, for both."""

from typing import Any

import numpy as np
import pandas as pd

from resnest_bench.tables.correctness import Correctness
from resnest_bench.tables.intervals import (
    IMAGES,
    SEEDS,
    Interval,
    crossed_interval,
    image_interval,
    mean_error,
    seed_interval,
    wilson_interval,
)

ACCURACY_COLUMNS = {
    "variant": "str",
    **dict.fromkeys(["n", "num_images"], "Int64"),
    **dict.fromkeys(
        ["mean_percent", "std_points"]
        + [f"{about}_{end}_percent" for about in ("seeds", "all", "networks") for end in ("low", "high")],
        "float64",
    ),
    **dict.fromkeys(["about", "method"], "str"),
}  # fmt: skip


def accuracy_intervals(correct: Correctness) -> pd.DataFrame:
    """One row for each variant: mean accuracy in % over its `n` seeds, with 95 % intervals in %.

    `seeds`: Student's, for new seeds on these test images. `all`: for new seeds on new test images.
    `networks`: for these trained networks on new test images; of one network it is the binomial
    interval of the test set (Wilson), and the only one there is. `about` and `method` name the one
    to show: `seeds` where there are two, else `networks`. Nothing is rounded.
    """
    rows = [{"variant": name, **_intervals(correct.of(name))} for name in correct.variants]
    return pd.DataFrame(rows, columns=list(ACCURACY_COLUMNS)).astype(ACCURACY_COLUMNS)


def _intervals(bits_SN: np.ndarray) -> dict[str, Any]:
    n, num_images = bits_SN.shape
    per_seed = 100 * bits_SN.mean(axis=1)
    row = {"n": n, "num_images": num_images, "mean_percent": per_seed.mean()}
    if n == 1:
        binomial = wilson_interval(int(bits_SN.sum()), num_images)
        return {**row, **_ends("networks", binomial), "about": IMAGES, "method": binomial.method}
    seeds = seed_interval(bits_SN.mean(axis=1))
    return {
        **row,
        "std_points": per_seed.std(ddof=1),
        **_ends("seeds", seeds),
        **_ends("all", crossed_interval(mean_error(bits_SN))),
        **_ends("networks", image_interval(bits_SN)),
        "about": SEEDS,
        "method": seeds.method,
    }


def _ends(about: str, interval: Interval) -> dict[str, float]:
    return {
        f"{about}_low_percent": 100 * float(interval.low),
        f"{about}_high_percent": 100 * float(interval.high),
    }
