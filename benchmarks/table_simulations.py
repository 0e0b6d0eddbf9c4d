"""What tables say of simulated studies: latencies, Pareto fronts, effects of factors, power.

interval_coverage.py runs these; simulated.py makes the studies.
"""

import numpy as np
import pandas as pd
from simulated import (
    ACCURACY,
    JOB_SD,
    ROUND_SD,
    TIMING_SD,
    Row,
    Setting,
    Tally,
    calibrated,
    latencies,
    reference_timings,
    simulate,
)

from resnest_bench.stats import intervals, mixed_model, p_values, paired, pareto, power
from resnest_bench.stats.summary import POSITIVE
from resnest_bench.tables import noise

DRAWS = 500


def latency_rows(n: int, num_studies: int, rng: np.random.Generator) -> list[Row]:
    tally = Tally("latency", n=n)
    measured = latencies(np.broadcast_to([2.0, 1.9], (num_studies, 2)), n, rng)
    # A lognormal's mean is above its median.
    factor = np.exp((ROUND_SD**2 + JOB_SD**2 + TIMING_SD**2) / 2)
    over_rounds = intervals.seed_interval(
        measured[:, 0], population=intervals.ROUNDS, bounds=POSITIVE
    )
    tally.add(
        "coverage",
        "mean over rounds: t on the log scale",
        (over_rounds.low <= 2 * factor) & (2 * factor <= over_rounds.high),
    )
    ratio, true = paired.ratio_interval(measured[:, 0], measured[:, 1]), 2 / 1.9
    tally.add("coverage", "ratio of two: t of logs", (ratio.low <= true) & (true <= ratio.high))
    for _ in range(num_studies):
        floor = noise.noise_floor(reference_timings(7, n, rng))
        ours, base = latencies(np.ones((1, 2)), n, rng)[0].mean(axis=1)
        tally.add(
            "false alarms",
            "equal, above the noise floor of 7 variants' jobs",
            not floor.covers(ours, base, n),
        )
    return tally.rows()


def front_rows(n: int, spread: float, num_studies: int, rng: np.random.Generator) -> list[Row]:
    """Six variants, their accuracies `spread` points apart and their latencies 5 % times that."""
    tally = Tally("front", n=n, images=1000, seed_sd=1.0, spread=spread)
    accuracies = ACCURACY + rng.normal(0, spread / 100, (num_studies, 6))
    base = np.exp(rng.normal(0, 0.05 * spread, (num_studies, 6)))
    measured = latencies(base, n, rng)
    start = 0
    for made in simulate(accuracies, Setting(n, 1000, 1.0), rng):
        for bits, true in zip(made.bits, made.population, strict=True):
            ms, x = measured[start], base[start]
            start += 1
            on_front = pareto.front_probabilities(x[None], true[None]) > 0.5
            per_seed = bits.mean(axis=-1)
            covariance = pareto.image_covariance(bits)
            drawn = (
                pareto.draw_means(ms, DRAWS, rng),
                pareto.draw_means(per_seed, DRAWS, rng, covariance),
            )
            calibrated(tally, "on the front", pareto.front_probabilities(*drawn), on_front)
            naive = _resampled(ms, rng), _resampled(per_seed, rng)
            calibrated(
                tally,
                "on the front, bootstrap of seeds (not used)",
                pareto.front_probabilities(*naive),
                on_front,
            )
    return tally.rows()


def _resampled(values_VS: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    n = values_VS.shape[1]
    means_VD: np.ndarray = values_VS[:, rng.integers(0, n, (DRAWS, n))].mean(axis=-1)
    return means_VD.T


# The paper's ablation: radix, cardinality, width, stem.
ABLATION = [
    (0, 1, 64, "conv7"),
    (1, 1, 64, "conv7"),
    (0, 1, 64, "deep"),
    (1, 1, 64, "deep"),
    (1, 1, 40, "deep"),
    (1, 2, 64, "deep"),
    (2, 1, 64, "deep"),
]
FACTORS = ("radix", "cardinality", "width", "stem")
TRUE_EFFECTS = {("radix", "1"): -1.0, ("radix", "2"): 0.5, ("stem", "deep"): 3.0}


def effect_rows(n: int, last_sd: float, num_studies: int, rng: np.random.Generator) -> list[Row]:
    """The mixed model on the seven ablation variants; half of the seeds' variance is shared.

    The last variant, with which the effect of radix 2 stands and falls, varies `last_sd` times as
    much as the others.
    """
    tally = Tally("effects", n=n, last_sd=last_sd)
    widths = np.where(np.arange(len(ABLATION)) == len(ABLATION) - 1, last_sd, 1.0)
    for _ in range(num_studies):
        own = rng.normal(0, 0.4, (len(ABLATION), n)) * widths[:, None]
        found = mixed_model.factor_effects(_ablation(rng.normal(0, 0.4, n) + own), FACTORS)
        keys = zip(found.table["factor"], found.table["level"], strict=True)
        truth = np.array([TRUE_EFFECTS.get(key, 0.0) for key in keys])
        for prefix, method in (("", "mixed model"), ("welch_", "Welch")):
            low, high = (found.table[f"{prefix}{end}"] for end in ("low", "high"))
            inside = ((low <= truth) & (truth <= high)).to_numpy()
            tally.add("coverage, all effects", method, inside.mean())
            tally.add("coverage, radix 2", method, inside[1])
            tally.add("width, radix 2", method, high[1] - low[1])
        tally.add("fell back", "mixed model", found.method != mixed_model.MIXED)
        if found.additivity_p is not None:
            tally.add("false positives", "additivity", found.additivity_p < 0.05)
        tally.add("found unequal", "Bartlett", (found.spread_p or 1) < 0.05)
    return tally.rows()


def _ablation(noise_VS: np.ndarray) -> pd.DataFrame:
    rows = []
    for levels, values in zip(ABLATION, noise_VS, strict=True):
        named = dict(zip(FACTORS, levels, strict=True))
        mean = 60 + sum(TRUE_EFFECTS.get((f, str(level)), 0) for f, level in named.items())
        rows += [
            {"variant": str(levels), "seed": seed, "value": mean + value, **named}
            for seed, value in enumerate(values)
        ]
    return pd.DataFrame(rows)


def power_rows(n: int, num_studies: int, rng: np.random.Generator) -> list[Row]:
    """At the minimum detectable difference 80 % of the studies must find it."""
    tally = Tally("power", n=n)
    for image_error, name in ((0.0, "seeds"), (0.3, "all, image error 0.3 sd")):
        difference = power.minimum_detectable_difference(1.0, n, image_error)
        seen = rng.normal(difference, 1.0, (num_studies, n))
        mean = seen.mean(axis=1) + rng.normal(0, image_error, num_studies)
        image_variance = np.full(num_studies, image_error**2)
        error = intervals.MeanEstimate(mean, seen.var(axis=1, ddof=1) / n, image_variance, n)
        p = p_values.two_way_p_value(error)
        tally.add("power at the minimum detectable difference", name, p < 0.05)
        tally.add("minimum detectable difference in sd", name, difference)
    return tally.rows()
