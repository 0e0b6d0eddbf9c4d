"""Accuracies and latencies of simulated studies: what each interval, test and probability was worth.

interval_coverage.py runs these; simulated.py makes the studies.
"""

import functools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.special import expit, logit, nctdtr, stdtrit
from simulated import (
    ACCURACY,
    OWN_DIFFICULTY_SD,
    Row,
    Setting,
    Studies,
    Tally,
    calibrated,
    equal,
    simulate,
)

from resnest_bench.stats import intervals, multiplicity, p_values, paired
from resnest_bench.stats.summary import CONFIDENCE, FRACTION, POSITIVE, Bounds

BOOTSTRAPS, DRAWS = 200, 500


def accuracy_rows(setting: Setting, num_studies: int, rng: np.random.Generator) -> list[Row]:
    """One variant, and a pair of variants whose true accuracies are one point apart."""
    tally = Tally(
        "accuracy", n=setting.n, images=setting.num_images, seed_sd=setting.seed_sd_points
    )
    accuracies = equal(num_studies, 2) + np.array([0.01, 0.0])
    left = min(BOOTSTRAPS, num_studies)
    for made in simulate(accuracies, setting, rng):
        _one_variant(tally, setting, made)
        differences = made.bits[:, 0].astype(np.int8) - made.bits[:, 1].astype(np.int8)
        _a_pair(tally, setting, made, differences)
        for place in range(min(left, len(differences))):
            boot = crossed_bootstrap(differences[place], DRAWS, rng)
            truth = made.population[place, 0] - made.population[place, 1]
            tally.covered("pair, all: crossed bootstrap (not used)", boot, truth)
        left -= min(left, len(differences))
    return tally.rows()


def _one_variant(tally: Tally, setting: Setting, made: Studies) -> None:
    bits = made.bits[:, 0]
    tally.covered(
        "variant, seeds: t on the logit scale",
        intervals.seed_interval(bits.mean(axis=-1), bounds=FRACTION),
        made.on_images[:, 0],
    )
    crossed = intervals.two_way_interval(intervals.estimate_mean(bits), bounds=FRACTION)
    tally.covered("variant, all: Cochran", crossed, made.population[:, 0])
    tally.covered(
        "variant, all: t over seeds alone (wrong)",
        intervals.seed_interval(bits.mean(axis=-1)),
        made.population[:, 0],
    )


def _a_pair(tally: Tally, setting: Setting, made: Studies, differences: np.ndarray) -> None:
    on_images, population = (t[:, 0] - t[:, 1] for t in (made.on_images, made.population))
    of_networks = made.of_networks[:, 0] - made.of_networks[:, 1]
    per_seed = differences.mean(axis=-1)
    over_seeds = intervals.seed_interval(per_seed)
    tally.covered("pair, seeds: paired t", over_seeds, on_images)
    tally.covered("pair, all: paired t alone (wrong)", over_seeds, population)
    error = intervals.estimate_mean(differences)
    tally.covered("pair, all: Cochran", intervals.two_way_interval(error), population)
    tally.covered("pair, all: Satterthwaite (not used)", satterthwaite(error), population)
    images = intervals.image_interval(differences)
    tally.covered("pair, networks: normal over images", images, of_networks.mean(axis=-1))
    # The true probability that the next pair is better, as if differences were normal: their sd is
    # that of seeds and of each image's chance, and is known from the model only by simulation.
    mean, sd = on_images, _true_pair_sd(setting.num_images, setting.seed_sd_points, setting.own_sd)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.sqrt(setting.n) * per_seed.mean(axis=-1) / per_seed.std(axis=-1, ddof=1)
    below = nctdtr(setting.n - 1, np.sqrt(setting.n) * mean / sd, t)
    tally.add("coverage", "pair, seeds: P(next pair better)", (below > 0.025) & (below < 0.975))


@functools.cache
def _true_pair_sd(num_images: int, seed_sd_points: float, own_sd: float) -> float:
    """Standard deviation over seeds of a difference of accuracies on given images: of 400 pairs."""
    many = Setting(400, num_images, seed_sd_points, own_sd)
    found = [
        (made.bits[:, 0].mean(axis=-1) - made.bits[:, 1].mean(axis=-1)).var(axis=-1, ddof=1)
        for made in simulate(equal(10, 2), many, np.random.default_rng(99))
    ]
    return float(np.sqrt(np.concatenate(found).mean()))


def crossed_bootstrap(
    values_SN: np.ndarray, draws: int, rng: np.random.Generator, confidence: float = CONFIDENCE
) -> intervals.Interval:
    """Percentile bootstrap of a mean: seeds and images drawn with replacement, every draw's images
    shared by all seeds (Owen, The pigeonhole bootstrap, Ann. Appl. Stat. 1 (2007) 386).

    It counts what is neither seed nor image three times, and so
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
    return intervals.Interval(
        float(values.mean()),
        float(first),
        float(last),
        intervals.SEEDS_AND_IMAGES,
        "percentile bootstrap",
    )


def satterthwaite(error: intervals.MeanEstimate) -> intervals.Interval:
    """What the library could use instead of Cochran's weights, for comparison."""
    whole = error.seed_variance + error.image_variance
    free = (error.num_seeds - 1) * (whole / np.maximum(error.seed_variance, 1e-12 * whole)) ** 2
    half = stdtrit(free, 0.975) * np.sqrt(whole)
    return intervals.Interval(error.mean, error.mean - half, error.mean + half, "", "")


def bounded_accuracy_rows(
    n: int, accuracy: float, images: int, num_studies: int, rng: np.random.Generator
) -> list[Row]:
    """One variant whose accuracy is near 100 %: three intervals of its mean over seeds."""
    tally = Tally("near a bound, accuracy", n=n, images=images, accuracy=accuracy)
    for made in simulate(np.full((num_studies, 1), accuracy), Setting(n, images, 1.0), rng):
        values, truth = made.bits[:, 0].mean(axis=-1), made.on_images[:, 0]
        _three_scales(tally, values, truth, FRACTION, logit, expit)
    return tally.rows()


def bounded_latency_rows(
    n: int, log_sd: float, num_studies: int, rng: np.random.Generator
) -> list[Row]:
    """Lognormal latencies of a median of 1 ms: three intervals of their mean over rounds."""
    tally = Tally("near a bound, latency", n=n, log_sd=log_sd)
    values = np.exp(rng.normal(0, log_sd, (num_studies, n)))
    truth = np.full(num_studies, np.exp(log_sd**2 / 2))
    _three_scales(tally, values, truth, POSITIVE, np.log, np.exp)
    return tally.rows()


def _three_scales(
    tally: Tally,
    values_KS: np.ndarray,
    truth_K: np.ndarray,
    bounds: Bounds,
    carry: Callable,
    carry_back: Callable,
) -> None:
    """Plain t, t carried to the bounds' scale (used), and t of the values on that scale."""
    plain = intervals.seed_interval(values_KS)
    used = intervals.seed_interval(values_KS, bounds=bounds)
    with np.errstate(divide="ignore", invalid="ignore"):
        carried = intervals.seed_interval(carry(values_KS))
    of_values = replace(carried, low=carry_back(carried.low), high=carry_back(carried.high))
    for name, interval in (
        ("plain t (not used)", plain),
        ("t on the bounded scale, by the delta method (used)", used),
        ("t of the transformed values (not used)", of_values),
    ):
        tally.covered(name, interval, truth_K)
        tally.add("given at all", name, ~np.isnan(interval.low))
        outside = (interval.low < bounds.low) | (interval.high > bounds.high)
        tally.add("leaves the bounds", name, outside)


def one_seed_rows(
    images: int, seed_sd: float, num_studies: int, rng: np.random.Generator
) -> list[Row]:
    """Two variants, equally good, with one seed each."""
    tally = Tally("one seed", n=1, images=images, seed_sd=seed_sd)
    for made in simulate(equal(num_studies, 2), Setting(1, images, seed_sd), rng):
        bits = made.bits[:, :, 0].astype(np.int8)
        wilson = intervals.wilson_interval(bits[:, 0].sum(axis=-1), images)
        tally.covered("network, images: Wilson", wilson, made.of_networks[:, 0, 0])
        tally.covered("variant, all: Wilson (wrong)", wilson, made.population[:, 0])
        first, second = ((bits[:, 0] - bits[:, 1] == sign).sum(axis=-1) for sign in (1, -1))
        pair = paired.bonett_price_interval(first, second, images)
        of_networks = made.of_networks[:, 0, 0] - made.of_networks[:, 1, 0]
        tally.covered("pair, networks: Bonett and Price", pair, of_networks)
        tally.covered("pair, all: Bonett and Price (wrong)", pair, np.zeros(len(bits)))
        p = paired.mcnemar_p_value(first, second)
        figure = "false positives" if seed_sd == 0 else "rejected though the variants are equal"
        tally.add(figure, "McNemar", p < 0.05)
    return tally.rows()


def family_rows(setting: Setting, num_studies: int, rng: np.random.Generator) -> list[Row]:
    """Four variants that are equally good: how often is a difference found all the same?"""
    tally = Tally("tests", n=setting.n, images=setting.num_images, seed_sd=setting.seed_sd_points)
    couples = [(i, j) for i in range(4) for j in range(i)]
    for own_sd, name in ((OWN_DIFFICULTY_SD, "all"), (0.0, "seeds")):
        alike = Setting(setting.n, setting.num_images, setting.seed_sd_points, own_sd)
        for made in simulate(equal(num_studies, 4), alike, rng):
            bits = made.bits.astype(np.int8)
            apart = np.stack([bits[:, i] - bits[:, j] for i, j in couples], axis=1)
            if name == "all":
                p = np.asarray(p_values.two_way_p_value(intervals.estimate_mean(apart)))
            else:
                p = np.asarray(p_values.seed_p_value(apart.mean(axis=-1)))
            tally.add("false positives", f"one pair, {name}", (p[:, 0] < 0.05))
            tally.add("any of six", f"uncorrected, {name}", (p < 0.05).any(axis=1))
            tally.add("any of six", f"Holm, {name}", (multiplicity.holm(p) < 0.05).any(axis=1))
    return tally.rows()


def probability_rows(
    n: int, spread_points: float, num_studies: int, rng: np.random.Generator
) -> list[Row]:
    """Pairs whose true accuracies differ by chance: does A beat B as often as is said?"""
    # The last seed is the next pair: what is predicted.
    setting = Setting(n + 1, 10_000, 0.3)
    tally = Tally("probabilities", n=n, images=10_000, seed_sd=0.3, spread=spread_points)
    accuracies = ACCURACY + rng.normal(0, spread_points / 100, (num_studies, 2))
    for made in simulate(accuracies, setting, rng):
        bits = made.bits.astype(np.int8)
        apart = bits[:, 0] - bits[:, 1]
        past, following = apart[:, :n], apart[:, n].sum(axis=-1)
        per_seed = past.mean(axis=-1)
        error = intervals.estimate_mean(past)
        population, on_images = (t[:, 0] > t[:, 1] for t in (made.population, made.on_images))
        p_all, p_seeds = p_values.two_way_p_value(error), p_values.seed_p_value(per_seed)
        said_all, said = (
            np.asarray(p_values.probability_above(error.mean, p)) for p in (p_all, p_seeds)
        )
        calibrated(tally, "mean better, all", said_all, population)
        known = np.asarray(~np.isnan(p_seeds))
        calibrated(tally, "mean better, seeds", said[known], on_images[known])
        decided = (following != 0) & known
        better = np.asarray(paired.pair_probability(per_seed)[0])
        calibrated(tally, "next pair better", better[decided], following[decided] > 0)
    return tally.rows()
