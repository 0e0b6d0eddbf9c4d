"""Two variants: is the difference real, and for whom? Seeds are paired, images are shared.

Differences are ours minus base. Accuracies are fractions; `pairs_table` turns them into points.
"""

import itertools
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import bdtr, nctdtrinc, ndtr, ndtri, stdtr

from resnest_bench.tables.correctness import Correctness
from resnest_bench.tables.intervals import (
    IMAGES,
    ROUNDS,
    SEEDS_AND_IMAGES,
    Array,
    Interval,
    crossed_interval,
    crossed_p_value,
    image_interval,
    mean_error,
    probability_above,
    seed_interval,
    seed_p_value,
)
from resnest_bench.tables.statistics import CONFIDENCE

POPULATIONS = ("seeds", "all", "networks")
PAIR_COLUMNS = {
    **dict.fromkeys(["variant", "base"], "str"),
    **dict.fromkeys(["n", "num_images"], "Int64"),
    **dict.fromkeys(
        ["difference_points", "std_points"]
        + [f"{about}_{end}_points" for about in POPULATIONS for end in ("low", "high")]
        + [f"{about}_{p}" for about in POPULATIONS for p in ("p", "holm_p")]
        + ["mean_better_seeds", "mean_better_all", "pair_better", "pair_better_low", "pair_better_high"],
        "float64",
    ),
}  # fmt: skip

# Two names of one network, trained alike: no image was ever told apart.
SAME_PREDICTIONS = {
    **dict.fromkeys(["difference_points", "std_points"], 0.0),
    **{f"{about}_{end}_points": 0.0 for about in POPULATIONS for end in ("low", "high")},
    **dict.fromkeys(["seeds_p", "all_p"], 1.0),
    **dict.fromkeys(["mean_better_seeds", "mean_better_all"], 0.5),
}


def discordant(ours_N: np.ndarray, base_N: np.ndarray) -> tuple[int, int]:
    """Number of images that only `ours` got right, and that only `base` did."""
    ours, base = np.asarray(ours_N, dtype=bool), np.asarray(base_N, dtype=bool)
    if ours.shape != base.shape:
        raise ValueError(f"{ours.shape} and {base.shape} are not the same images")
    return int((ours & ~base).sum()), int((base & ~ours).sum())


def mcnemar_p_value(only_ours: Array, only_base: Array) -> Array:
    """McNemar's exact test: two-sided p that two networks are equally accurate on new images.

    Of the images that one of them alone got right, each has it with probability 1/2: the p-value is
    2 P(X <= min(b, c)), X binomial (b + c, 1/2), and at most 1 (McNemar, Psychometrika 12 (1947) 153).
    It compares one trained network with one other. Two seeds of the *same* variant differ too: a
    small p does not say that the variants do.
    """
    fewer, both = np.minimum(only_ours, only_base), np.add(only_ours, only_base)
    p = np.minimum(2 * bdtr(np.asarray(fewer, dtype=float), both, 0.5), 1.0)
    return p if np.ndim(p) else float(p)


def bonett_price_interval(
    only_ours: Array, only_base: Array, num_images: int, confidence: float = CONFIDENCE
) -> Interval:
    """Interval of the difference in accuracy of two networks over new test images.

    With one image added to each kind of discordant pair, b' = (b + 1) / (n + 2) and
    c' = (c + 1) / (n + 2): b' - c' +- z sqrt((b' + c' - (b' - c')^2) / (n + 2)) (Bonett and Price, J.
    Educ. Behav. Stat. 37 (2012) 479). The estimate is (b - c) / n.
    """
    if num_images < 1 or np.any(np.add(only_ours, only_base) > num_images):
        raise ValueError(f"{only_ours} + {only_base} discordant images of {num_images}")
    ours, base = (np.add(count, 1.0) / (num_images + 2) for count in (only_ours, only_base))
    middle = ours - base
    error = np.sqrt((ours + base - middle**2) / (num_images + 2))
    half = ndtri((1 + confidence) / 2) * error
    estimate = np.subtract(only_ours, only_base, dtype=float) / num_images
    return Interval(
        estimate, np.maximum(middle - half, -1.0), np.minimum(middle + half, 1.0), IMAGES,
        "paired proportions, Bonett and Price",
    )  # fmt: skip


def pair_probability(
    differences_S: np.ndarray, confidence: float = CONFIDENCE
) -> tuple[Array, Array, Array]:
    """Probability that the next pair, trained with one new seed, is better on these test images.

    Returns the predictive probability, P(t(n - 1) < mean / (sd sqrt(1 + 1/n))), and the ends of the
    exact interval of P(difference > 0) = Phi(mu / sigma) under normal differences, which inverts the
    noncentral t of sqrt(n) mean / sd (Reiser and Guttman, Technometrics 28 (1986) 253). NaN below two
    seeds and where all differences are alike.
    """
    values = np.asarray(differences_S, dtype=float)
    n = values.shape[-1]
    mean = values.mean(axis=-1)
    sd = values.std(axis=-1, ddof=1) if n > 1 else mean * np.nan
    alike = np.ptp(values, axis=-1) == 0
    ratio = np.divide(mean, sd, out=np.full(np.shape(mean), np.nan), where=~alike & (sd > 0))
    expected = stdtr(n - 1, ratio / np.sqrt(1 + 1 / n)) if n > 1 else ratio
    tails = ((1 + confidence) / 2, (1 - confidence) / 2)
    low, high = (ndtr(nctdtrinc(max(n - 1, 1), q, np.sqrt(n) * ratio) / np.sqrt(n)) for q in tails)
    return expected, low, high


def probability_of_improvement(ours: np.ndarray, base: np.ndarray) -> float:
    """Share of all pairs of runs, whatever their seeds, in which `ours` is better; ties count half.

    P(X > Y) of Agarwal et al., Deep RL at the edge of the statistical precipice (arXiv:2108.13264,
    section 4.3; rliable): Mann and Whitney's U / (n m). Without a model, and without an interval: at
    three seeds each it can take ten values only. Raises ValueError without a run on each side.
    """
    ours, base = np.asarray(ours, dtype=float), np.asarray(base, dtype=float)
    if not ours.size or not base.size:
        raise ValueError("needs a run on each side")
    gaps = ours[:, None] - base[None, :]
    return float(((gaps > 0) + 0.5 * (gaps == 0)).mean())


def ratio_interval(
    ours_ms: np.ndarray, base_ms: np.ndarray, confidence: float = CONFIDENCE
) -> Interval:
    """Interval of ours / base of two latencies that were measured in the same rounds.

    exp of Student's interval of the mean of log(ours / base) over rounds, both (..., rounds) in ms:
    what slows a whole round down cancels. Raises ValueError for a latency of 0 or below.
    """
    ours, base = np.asarray(ours_ms, dtype=float), np.asarray(base_ms, dtype=float)
    if np.any(ours <= 0) or np.any(base <= 0):
        raise ValueError("a latency must be above 0 ms")
    logs = seed_interval(np.log(ours / base), confidence, ROUNDS)
    return Interval(
        np.exp(logs.estimate), np.exp(logs.low), np.exp(logs.high), ROUNDS,
        f"geometric mean, {logs.method}",
    )  # fmt: skip


def holm(p_values: np.ndarray) -> np.ndarray:
    """Holm's step-down p-values of one family, along the last axis; a NaN is out of the family.

    The i-th smallest of m becomes the largest of (m - j + 1) p_j over j <= i, at most 1 (Holm, Scand.
    J. Stat. 6 (1979) 65). Rejecting where they are below 0.05 keeps the chance of any false rejection
    below 0.05, however the tests depend on each other.
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, axis=-1)  # NaN last
    count = np.sum(~np.isnan(p), axis=-1, keepdims=True)
    factors = np.maximum(count - np.arange(p.shape[-1]), 1)
    stepped = np.minimum(np.take_along_axis(p, order, axis=-1) * factors, 1.0)
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, np.maximum.accumulate(stepped, axis=-1), axis=-1)
    return adjusted


def pairs_table(correct: Correctness, pairs: list[tuple[str, str]] | None = None) -> pd.DataFrame:
    """One row for each pair (variant, base): by default every two, the first to come as the base.

    `n` is the number of seeds that both have. `difference_points` is their mean difference (variant
    minus base) in percentage points, `std_points` its sample standard deviation over seeds. 95 %
    intervals and p-values against 0 are for three populations: `seeds` (new seeds, these test
    images), `all` (new seeds, new test images) and `networks` (these trained networks, new test
    images). The first two need two seeds; the `networks` p-value is McNemar's and needs exactly
    one. `holm_p` is corrected over the rows of this table that have a p-value of that kind.

    `mean_better_*`: probability that the variant's mean is above the base's; `pair_better`: that the
    next pair trained with one seed is, on these images, with its 95 % interval. Values that the
    seeds can't give are NaN. Where both made the same predictions in every seed, ends are 0 and
    p-values 1. Nothing is rounded.
    """
    if pairs is None:
        pairs = [(ours, base) for base, ours in itertools.combinations(correct.variants, 2)]
    rows = [{"variant": ours, "base": base, **_pair(correct, ours, base)} for ours, base in pairs]
    table = pd.DataFrame(rows, columns=list(PAIR_COLUMNS)).astype(PAIR_COLUMNS)
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
    if n == 1:
        only_ours, only_base = int((differences > 0).sum()), int((differences < 0).sum())
        networks = bonett_price_interval(only_ours, only_base, num_images)
        row["networks_p"] = mcnemar_p_value(only_ours, only_base)
        return {**row, **_ends("networks", networks)}
    if not differences.any():
        return {**row, **SAME_PREDICTIONS}
    error = mean_error(differences)
    p_seeds, p_all = seed_p_value(per_seed), crossed_p_value(error)
    better, low, high = pair_probability(per_seed)
    return {
        **row,
        "std_points": 100 * per_seed.std(ddof=1),
        **_ends("seeds", seed_interval(per_seed)),
        **_ends("all", crossed_interval(error)),
        **_ends("networks", image_interval(differences)),
        "seeds_p": p_seeds,
        "all_p": p_all,
        "mean_better_seeds": float(probability_above(error.mean, p_seeds)),
        "mean_better_all": float(probability_above(error.mean, p_all)),
        "pair_better": float(better),
        "pair_better_low": float(low),
        "pair_better_high": float(high),
    }


def _ends(about: str, interval: Interval) -> dict[str, float]:
    return {
        f"{about}_low_points": 100 * float(interval.low),
        f"{about}_high_points": 100 * float(interval.high),
    }


def crossed_bootstrap(
    values_SN: np.ndarray, draws: int, rng: np.random.Generator, confidence: float = CONFIDENCE
) -> Interval:
    """Percentile bootstrap of a mean: seeds and images drawn with replacement, every draw's images
    shared by all seeds (Owen, The pigeonhole bootstrap, Ann. Appl. Stat. 1 (2007) 386).

    Kept for comparison, not for tables. It counts what is neither seed nor image three times, and so
    is too wide where that rules; it sees (S - 1) / S of the seeds' variance and knows nothing of t's
    tails, and so is too short where seeds rule (benchmarks/interval_coverage.py). Values are whole numbers:
    bits, or their differences.
    """
    values = np.asarray(values_SN)
    num_seeds, num_images = values.shape
    # Images with one sum over the drawn seeds are alike: drawing how many of each is the same as
    # drawing images, and there are few different sums.
    weights = rng.multinomial(num_seeds, np.full(num_seeds, 1 / num_seeds), size=draws)
    sums = (weights.astype(np.float32) @ values.astype(np.float32)).astype(np.int32)
    low = sums.min()
    means = np.empty(draws)
    for place, row in enumerate(sums - low):
        counts = np.bincount(row)
        drawn = rng.multinomial(num_images, counts / num_images)
        means[place] = drawn @ np.arange(low, low + len(counts))
    means /= num_seeds * num_images
    first, last = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(
        float(values.mean()), float(first), float(last), SEEDS_AND_IMAGES, "percentile bootstrap"
    )
