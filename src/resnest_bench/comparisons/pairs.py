"""Differences of two variants, and what they generalise to. All networks share the test images.

Differences are ours minus base, in percentage points.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from resnest_bench.frames.correctness import Correctness
from resnest_bench.frames.typed import make_frame
from resnest_bench.specs.differences import Correction, DifferencesSpec
from resnest_bench.stats.intervals import (
    Interval,
    MeanEstimate,
    image_interval,
    sample_variance,
    two_way_interval,
)
from resnest_bench.stats.multiplicity import closed_pairs, holm
from resnest_bench.stats.p_values import one_sided_p_value, probability_above, two_way_p_value
from resnest_bench.stats.paired import bonett_price_interval, mcnemar_p_value, pair_probability
from resnest_bench.stats.power import ALPHA, minimum_detectable_difference, plan_seeds
from resnest_bench.stats.ranking import margin_probabilities
from resnest_bench.stats.seed_model import PAIRED_T, SeedModel, fit_seed_model, image_variances
from resnest_bench.stats.summary import MIN_FOR_INTERVAL, Array

POPULATIONS = ("seeds", "all", "networks")
MARGIN_COLUMNS = ("probability_worse", "probability_alike", "probability_better")
PLAN_COLUMNS = {
    "least_detectable_points": "float64",
    **dict.fromkeys(["seeds_needed", "seeds_needed_low", "seeds_needed_high"], "Int64"),
}
PAIR_COLUMNS = {
    **dict.fromkeys(["variant", "base"], "str"),
    **dict.fromkeys(["n", "variant_n", "base_n", "num_shared_seeds", "num_images"], "Int64"),
    "seed_differences_points": "object",
    **dict.fromkeys(
        ["difference_points", "std_points", "effect_size"]
        + [f"{about}_{end}_points" for about in POPULATIONS for end in ("low", "high")]
        + [f"{about}_{p}" for about in POPULATIONS for p in ("p", "corrected_p")]
        + [
            "mean_better_seeds",
            "mean_better_all",
            *MARGIN_COLUMNS,
            "pair_better",
            "pair_better_low",
            "pair_better_high",
        ],
        "float64",
    ),
    **PLAN_COLUMNS,
}
# The networks agree on every image. That says nothing about new seeds, so there is no interval.
SAME_PREDICTIONS = {
    **dict.fromkeys(["difference_points", "std_points", "effect_size"], 0.0),
    **dict.fromkeys(["seeds_p", "all_p"], 1.0),
    **dict.fromkeys(["mean_better_seeds", "mean_better_all"], 0.5),
}
DEFAULT = DifferencesSpec()


def pairs_table(
    correct: Correctness,
    pairs: Sequence[tuple[str, str]] | None = None,
    spec: DifferencesSpec = DEFAULT,
) -> pd.DataFrame:
    """One row per pair (variant, base): by default all pairs, with the earlier variant as the base.

    `variant_n` and `base_n` are the numbers of seeds, `n` the smaller of them: Welch's test needs no common
    seeds. For the paired t-test both sides and `n` are the common ones. `difference_points` is the
    difference of the means (variant minus base) in percentage points. `std_points` is the sample standard
    deviation of the differences with a common seed, which `seed_differences_points` lists. `effect_size`
    is the difference in units of the variants' standard deviation (the root of their mean variance).

    95 % intervals and p-values against 0 are for three populations: `seeds` (new seeds, these test images),
    `all` (new seeds, new test images) and `networks` (these trained networks, new test images). The
    training images stay the same in all. The first two require three seeds on each side. The `networks`
    p-value is McNemar's and requires exactly one seed. `corrected_p` is corrected over the rows of this
    table with a p-value of that kind, as `spec.correction` says; the intervals are for each pair alone.

    `mean_better_*` is the probability that the variant's mean is above the base's. `probability_worse`,
    `_alike` and `_better` are for the margin of `spec`, and NaN without one. `pair_better` is the probability
    that the variant wins in the next pair trained with one seed, on these images, with its 95 % interval.
    `least_detectable_points` and the required seeds of each variant are those of `plan_pair`. Values that
    the seeds don't give are NaN. If both made the same predictions in every seed, p-values are 1, and the
    only interval is that of `networks`: Bonett and Price's for no discordant image. Nothing is rounded.
    """
    if pairs is None:
        pairs = [(ours, base) for base, ours in itertools.combinations(correct.variants, 2)]
    model = fit_seed_model(correct.accuracies_VS, spec.method)
    images_VV = image_variances(correct.bits_VSN, correct.is_trained_VS)
    numbers = [tuple(map(correct.variants.index, pair)) for pair in pairs]
    alone = [_describe_pair(correct, model, *pair) for pair in numbers]
    rows: list[dict[str, Any]] = [
        {"variant": ours, "base": base, "num_images": correct.bits_VSN.shape[-1], **row}
        for (ours, base), row in zip(pairs, alone, strict=True)
    ]
    if rows:
        one, other = np.array(numbers).T
        image_P = images_VV[one, other]
        margin = None if spec.margin is None else spec.margin / 100
        about = {
            "seeds": compare_pairs(model, one, other, 0.0 * image_P, margin),
            "all": compare_pairs(model, one, other, image_P, margin),
        }
        for index, row in enumerate(rows):
            if "seeds_p" in row or row["n"] < 2:
                continue
            row |= _rename_plan(plan_pair(about["all"]["estimate"], index, len(rows)))
            if row["n"] >= MIN_FOR_INTERVAL:
                row |= _pick_tests(about, index)
    table = make_frame(rows, PAIR_COLUMNS)
    for population in POPULATIONS:
        p_values = table[f"{population}_p"].to_numpy()
        table[f"{population}_corrected_p"] = correct_pairs(p_values, numbers, spec.correction)
    return table


def correct_pairs(
    p_P: np.ndarray, pairs: Sequence[tuple[int, ...]], correction: Correction
) -> np.ndarray:
    """Correct the p-values of pairs of variants for their number; NaN is no test, and stays NaN."""
    if not len(pairs) or np.isnan(p_P).all():
        return p_P
    if correction == "holm":
        return holm(p_P)
    if correction == "closed":
        return closed_pairs(p_P, [(pair[0], pair[1]) for pair in pairs])
    # It takes half a second to import.
    from scipy.stats import false_discovery_control

    corrected, tested = p_P.copy(), ~np.isnan(p_P)
    corrected[tested] = false_discovery_control(p_P[tested])
    return corrected


def compare_pairs(
    model: SeedModel,
    one: np.ndarray,
    other: np.ndarray,
    image_variance: Array,
    margin: float | None,
) -> dict[str, Any]:
    """Estimate, interval and tests of many pairs at once, in the unit of the model's values.

    Args:
        model: of the variants.
        one: (P,), the numbers of the first variants.
        other: (P,), those of the second ones.
        image_variance: (P,), what new test images add to the variance of each difference.
        margin: of differences that count as alike, or None.

    Returns:
        The estimate, with arrays as fields, and arrays in shape (P,): the limits of the 95 % interval, the
        two-sided p-value against 0, the probability of better, and those of MARGIN_COLUMNS.
    """
    estimate = model.difference(one, other, image_variance)
    interval = two_way_interval(estimate)
    p = two_way_p_value(estimate)
    found = {
        "estimate": estimate,
        "low": interval.low,
        "high": interval.high,
        "p": p,
        "better": probability_above(estimate.mean, p),
    }
    if margin is not None:
        mirrored = replace(estimate, mean=-estimate.mean)
        above = one_sided_p_value(estimate, margin), one_sided_p_value(mirrored, margin)
        found |= dict(zip(MARGIN_COLUMNS, margin_probabilities(*above), strict=True))
    return found


def _pick_tests(about: dict[str, dict[str, Any]], index: int) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for population, found in about.items():
        row[f"{population}_low_points"] = 100 * found["low"][index]
        row[f"{population}_high_points"] = 100 * found["high"][index]
        row[f"{population}_p"] = found["p"][index]
        row[f"mean_better_{population}"] = found["better"][index]
    found = about["all"]
    return row | {name: found[name][index] for name in MARGIN_COLUMNS if name in found}


def _describe_pair(correct: Correctness, model: SeedModel, ours: int, base: int) -> dict[str, Any]:
    """What needs no test over seeds: numbers, the difference, and all about these trained networks."""
    bits, trained = correct.bits_VSN, correct.is_trained_VS
    row = describe_seeds(model, ours, base, 100.0)
    shared = np.flatnonzero(trained[ours] & trained[base])
    if row["n"] == 0:
        return row
    ours_S, base_S = (_pick_seeds(trained[one], shared, model.method) for one in (ours, base))
    if row["n"] == 1:
        # Any two trained networks can be compared; those of a common seed if there is one.
        seeds = (shared[0], shared[0]) if len(shared) else (ours_S[0], base_S[0])
        one, other = bits[ours, seeds[0]], bits[base, seeds[1]]
        only_ours, only_base = int((one & ~other).sum()), int((other & ~one).sum())
        networks = bonett_price_interval(only_ours, only_base, bits.shape[-1])
        row["difference_points"] = 100 * float(one.mean() - other.mean())
        return {
            **row,
            "networks_p": mcnemar_p_value(only_ours, only_base),
            **_ends("networks", networks),
        }
    same_seeds = len(shared) == len(ours_S) == len(base_S)
    if same_seeds and np.array_equal(bits[ours, shared], bits[base, shared]):
        networks = bonett_price_interval(0, 0, bits.shape[-1])
        settled = SAME_PREDICTIONS if row["n"] >= MIN_FOR_INTERVAL else {"difference_points": 0.0}
        return {**row, **settled, **_ends("networks", networks)}
    per_image = bits[ours, ours_S].mean(axis=0) - bits[base, base_S].mean(axis=0)
    return {**row, **_ends("networks", image_interval(per_image[None]))}


def _pick_seeds(trained_S: np.ndarray, shared: np.ndarray, method: str) -> np.ndarray:
    return shared if method == PAIRED_T else np.flatnonzero(trained_S)


def describe_seeds(model: SeedModel, ours: int, base: int, factor: float) -> dict[str, Any]:
    """Numbers of seeds and figures without a test, of two variants by number; `factor` times the values."""
    values = factor * model.values_VS[[ours, base]]
    known = ~np.isnan(values)
    shared = known.all(axis=0)
    gaps = values[0, shared] - values[1, shared]
    numbers = model.n_V[[ours, base]] if model.method != PAIRED_T else [len(gaps)] * 2
    n = int(min(numbers))
    row: dict[str, Any] = {
        "n": n,
        "variant_n": int(numbers[0]),
        "base_n": int(numbers[1]),
        "num_shared_seeds": len(gaps),
        "seed_differences_points": gaps.tolist(),
    }
    if n == 0:
        return row
    row["difference_points"] = factor * float(model.difference(ours, base).mean)
    if len(gaps) > 1:
        row["std_points"] = math.sqrt(float(sample_variance(gaps)))
    if n >= MIN_FOR_INTERVAL:
        spread = math.sqrt(float(model.variances_V[[ours, base]].mean()))
        row["effect_size"] = row["difference_points"] / (factor * spread) if spread else math.nan
    if len(gaps) >= MIN_FOR_INTERVAL:
        names = ("pair_better", "pair_better_low", "pair_better_high")
        row |= dict(zip(names, map(float, pair_probability(gaps)), strict=True))
    return row


def plan_pair(estimate: MeanEstimate, index: int, num_pairs: float) -> dict[str, Any]:
    """What the seeds can detect, and the seeds of each variant that the observed difference requires.

    Both are for 80 % power at 5 % divided by the number of pairs: the level at which a pair is tested first,
    before closed testing or Holm's procedure gives the others a greater one.

    Args:
        estimate: with arrays as fields, one value per pair.
        index: of the pair.
        num_pairs: in the table, or what else the level is divided by.

    Returns:
        `least_detectable` in the unit of the estimate, `seeds_needed`, and `seeds_needed_low` and `_high`
        for the limits of the 95 % interval of the spread; without a spread nothing, with two seeds only the
        required ones.
    """
    n = int(np.asarray(estimate.num_seeds)[index])
    variance = float(np.asarray(estimate.seed_variance)[index])
    if not variance > 0 or n < 2:
        return {}
    df = np.broadcast_to(np.asarray(estimate.degrees_of_freedom, float), np.shape(estimate.mean))
    ratio = float(df[index]) / (n - 1)
    image_error = math.sqrt(float(np.broadcast_to(estimate.image_variance, df.shape)[index]))
    sd, alpha = math.sqrt(variance * n), ALPHA / num_pairs
    row: dict[str, Any] = {}
    if n >= MIN_FOR_INTERVAL:
        row["least_detectable"] = minimum_detectable_difference(
            sd, n, image_error, alpha, df_ratio=ratio
        )
    if mean := float(np.asarray(estimate.mean)[index]):
        required = plan_seeds(mean, sd, n, image_error, alpha, df_ratio=ratio)
        row |= {
            "seeds_needed": required.seeds,
            "seeds_needed_low": required.at_low_sd,
            "seeds_needed_high": required.at_high_sd,
        }
    return row


def _rename_plan(plan: dict[str, Any]) -> dict[str, Any]:
    if "least_detectable" in plan:
        plan["least_detectable_points"] = 100 * plan.pop("least_detectable")
    return plan


def _ends(about: str, interval: Interval) -> dict[str, float]:
    return {
        f"{about}_low_points": 100 * float(interval.low),
        f"{about}_high_points": 100 * float(interval.high),
    }
