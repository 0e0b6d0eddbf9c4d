"""Simulated studies: how often is a difference of two networks found, and how often wrongly?

Two tests of all pairs are compared: Student's paired t with Holm's correction, and Welch's t on
moderated variances (`stats/moderated.py`) with closed testing. Seeds vary, the test images stay. Then
whole studies, image by image: seven equal variants, for new seeds on new test images.

python benchmarks/difference_tests.py [--studies 4000] [--csv FILE]       (minutes on one core)

A column `error` is the share of studies with any wrong verdict, at a nominal 5 %; `found` is the share
of the true differences that are found. Their Monte Carlo standard error is at most 0.4 points for 4,000
studies at 5 %.
"""

import argparse
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import stdtr
from simulated import OWN_DIFFICULTY_SD, equal, moderated_error
from simulated import Setting as BitSetting
from simulated import simulate as simulate_bits

from resnest_bench.stats.intervals import two_way_interval
from resnest_bench.stats.moderated import moderate_variances, seed_correlation, welch_difference
from resnest_bench.stats.multiplicity import closed_pairs, holm
from resnest_bench.stats.p_values import seed_p_value, two_way_p_value

LEVEL = 0.05
STUDIES = 4000
NUM_SEEDS = (3, 5, 10)
NUM_VARIANTS = (3, 7, 16)
NUM_IMAGES = 1000
SEED_SD_POINTS = (0.3, 1.0)
# A difference of neighbouring groups of equals, in standard deviations of the quiet variants.
GAP = 2.0
NOISY = 3.0


@dataclass(frozen=True)
class Setting:
    """How the accuracies of a study vary over its seeds, in units of a quiet variant's deviation.

    Attributes:
        noisy: how many variants vary NOISY times as much as the others.
        common: share of the variance that a seed gives to all variants.
        draw: standardised deviations of a given shape.
    """

    noisy: int = 0
    common: float = 0.0
    draw: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray] = lambda generator, shape: (
        generator.normal(size=shape)
    )


def draw_heavy_tails(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Student's t with four degrees of freedom, with unit variance."""
    drawn: np.ndarray = generator.standard_t(4, size=shape) / np.sqrt(2)
    return drawn


def draw_failures(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Of the first variant one training of ten fails: it is ten deviations below the others."""
    drawn = generator.normal(size=shape)
    drawn[:, 0] -= 10 * (generator.uniform(size=drawn[:, 0].shape) < 0.1)
    # The mean over all seeds stays what it is.
    drawn[:, 0] += 1
    return drawn


SETTINGS = {
    "equal spreads": Setting(),
    "two noisy variants": Setting(noisy=2),
    "common seeds, r = 0.5": Setting(common=0.5),
    "two noisy, r = 0.5": Setting(noisy=2, common=0.5),
    "heavy tails (t, 4 df)": Setting(draw=draw_heavy_tails),
    "one variant fails at times": Setting(draw=draw_failures),
}


def simulate(
    setting: Setting,
    means_V: np.ndarray,
    num_seeds: int,
    studies: int,
    generator: np.random.Generator,
) -> np.ndarray:
    """Values (studies, V, seeds), in deviations of a quiet variant."""
    shape = (studies, len(means_V), num_seeds)
    own = np.sqrt(1 - setting.common) * setting.draw(generator, shape)
    common = np.sqrt(setting.common) * generator.normal(size=(studies, 1, num_seeds))
    scale_V = np.ones(len(means_V))
    scale_V[: setting.noisy] = NOISY
    values: np.ndarray = means_V[:, None] + scale_V[:, None] * (own + common)
    return values


def paired_holm(values_KVS: np.ndarray, pairs: list[tuple[int, int]]) -> np.ndarray:
    p = [seed_p_value(values_KVS[:, a] - values_KVS[:, b]) for a, b in pairs]
    return holm(np.stack(p, axis=-1))


def moderated_closed(values_KVS: np.ndarray, pairs: list[tuple[int, int]]) -> np.ndarray:
    n = values_KVS.shape[-1]
    means = values_KVS.mean(axis=-1)
    variances, df = moderate_variances(
        values_KVS.var(axis=-1, ddof=1), np.full(values_KVS.shape[1], n - 1)
    )
    correlation = seed_correlation(values_KVS)
    p = []
    for a, b in pairs:
        estimate = welch_difference(
            means[:, a] - means[:, b],
            (variances[:, a], variances[:, b]),
            (df[:, a], df[:, b]),
            (n, n),
            n,
            correlation,
        )
        t = np.abs(estimate.mean) / estimate.standard_error
        p.append(2 * stdtr(estimate.degrees_of_freedom, -t))
    return closed_pairs(np.stack(p, axis=-1), pairs)


METHODS = {"paired t, Holm": paired_holm, "moderated Welch, closed": moderated_closed}


def make_means(num_variants: int) -> dict[str, np.ndarray]:
    """All equal; and groups of equals, GAP apart, with the noisy variants in two of them."""
    groups = np.arange(num_variants) % min(3, num_variants)
    return {"all equal": np.zeros(num_variants), "three groups": GAP * groups}


def list_rows(studies: int) -> Iterator[dict[str, object]]:
    for count, (name, setting), num_seeds in itertools.product(
        NUM_VARIANTS, SETTINGS.items(), NUM_SEEDS
    ):
        pairs = list(itertools.combinations(range(count), 2))
        for truth, means_V in make_means(count).items():
            # The same numbers for every method and truth.
            generator = np.random.default_rng([count, num_seeds])
            values = simulate(setting, means_V, num_seeds, studies, generator)
            differs = np.array([means_V[a] != means_V[b] for a, b in pairs])
            sign = np.array([np.sign(means_V[a] - means_V[b]) for a, b in pairs])
            seen = np.sign(
                np.stack([(values[:, a] - values[:, b]).mean(axis=-1) for a, b in pairs], axis=-1)
            )
            for method, test in METHODS.items():
                significant = test(values, pairs) < LEVEL
                right = significant & differs & (seen == sign)
                yield {
                    "variants": count,
                    "setting": name,
                    "truth": truth,
                    "seeds": num_seeds,
                    "method": method,
                    "studies": studies,
                    "error": float((significant & ~right).any(axis=-1).mean()),
                    "found": float(right[:, differs].mean()) if differs.any() else np.nan,
                }


def list_bit_rows(studies: int) -> Iterator[dict[str, object]]:
    """Seven equal variants, image by image: how often is a verdict wrong, and do intervals cover?"""
    pairs = list(itertools.combinations(range(7), 2))
    for num_seeds, seed_sd, own_sd in itertools.product(
        NUM_SEEDS, SEED_SD_POINTS, (0.0, OWN_DIFFICULTY_SD)
    ):
        rng = np.random.default_rng([num_seeds, int(10 * seed_sd), int(10 * own_sd)])
        wrong, covered = [], []
        for made in simulate_bits(
            equal(studies, 7), BitSetting(num_seeds, NUM_IMAGES, seed_sd, own_sd), rng
        ):
            estimates = [moderated_error(made.bits, a, b) for a, b in pairs]
            p = np.stack([two_way_p_value(one) for one in estimates], axis=-1)
            wrong.append((closed_pairs(p, pairs) <= LEVEL).any(axis=-1))
            intervals = [two_way_interval(one) for one in estimates]
            covered.append(np.stack([(i.low <= 0) & (i.high >= 0) for i in intervals], axis=-1))
        yield {
            "seeds": num_seeds,
            "trainings vary by (points)": seed_sd,
            "hard images": "of each variant" if own_sd else "the same for all",
            "studies": studies,
            "error": float(np.concatenate(wrong).mean()),
            "coverage": float(np.concatenate(covered).mean()),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=STUDIES)
    parser.add_argument("--bit-studies", type=int, default=2000, help="Studies image by image")
    parser.add_argument("--csv", help="Also write the rows to this file")
    options = parser.parse_args()
    table = pd.DataFrame(list_rows(options.studies))
    if options.csv:
        table.to_csv(options.csv, index=False)
    for (count, truth), rows in table.groupby(["variants", "truth"], sort=False):
        for figure in ("error", "found") if truth != "all equal" else ("error",):
            print(f"\n{count} variants, {truth}: {figure} %")
            wide = rows.pivot_table(
                index="setting", columns=["seeds", "method"], values=figure, sort=False
            )
            print((100 * wide).round(1).to_string())
    bits = pd.DataFrame(list_bit_rows(options.bit_studies))
    print(
        "\n7 variants, image by image, all equal: any wrong verdict, and coverage of intervals, %"
    )
    shown = bits.assign(error=100 * bits["error"], coverage=100 * bits["coverage"])
    print(shown.round(2).to_string(index=False))


if __name__ == "__main__":
    main()
