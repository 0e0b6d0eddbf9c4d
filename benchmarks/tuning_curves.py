"""Coverage of intervals of the best of n trials of a random search, by simulation.

    python benchmarks/tuning_curves.py --searches 1000

The bootstrap's is of the mean best of n, ours of the median (stats/tuning.py). Rows: what a trial gives and the
number of trials N; columns: n.
"""

import argparse
from collections.abc import Callable

import numpy as np
from tabulate import tabulate

from resnest_bench.stats.tuning import expected_best, tuning_curve

RESAMPLES = 300
NUM_TRIALS = (12, 20, 60)
TRUTH_DRAWS = 400_000


def draw_beta(rng: np.random.Generator, size: int) -> np.ndarray:
    return rng.beta(8, 3, size)


def draw_peak(rng: np.random.Generator, size: int) -> np.ndarray:
    """A log-uniform learning rate with a best value and a cliff, and noise of a point."""
    away = (rng.uniform(-3, 0, size) + 1.3) / 0.7
    accuracies: np.ndarray = 0.1 + 0.7 * np.exp(-0.5 * away**2) + rng.normal(0, 0.01, size)
    return accuracies


def coverage(
    draw: Callable[[np.random.Generator, int], np.ndarray],
    count: int,
    searches: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the coverage (N,) of the bootstrap's interval of the mean, and of ours of the median."""
    many = draw(rng, TRUTH_DRAWS)
    n_N = np.arange(1, count + 1)
    means = np.array([many[: TRUTH_DRAWS // n * n].reshape(-1, n).max(axis=1).mean() for n in n_N])
    medians = np.quantile(many, 0.5 ** (1 / n_N))
    of_mean, of_median = np.zeros(count), np.zeros(count)
    for _ in range(searches):
        values = draw(rng, count)
        resampled = values[rng.integers(count, size=(RESAMPLES, count))]
        low, high = np.percentile(expected_best(resampled), [2.5, 97.5], axis=0)
        of_mean += (low <= means) & (means <= high)
        curve = tuning_curve(values)
        of_median += ~(curve.low > medians) & ~(curve.high < medians)
    return of_mean / searches, of_median / searches


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--searches", type=int, default=300)
    searches = parser.parse_args().searches
    rng, rows = np.random.default_rng(1), []
    for name, draw in {"beta": draw_beta, "peak": draw_peak}.items():
        for count in NUM_TRIALS:
            found = coverage(draw, count, searches, rng)
            for interval, covered in zip(("bootstrap, mean", "ours, median"), found, strict=True):
                at = (1, count // 4, count // 2, count)
                rows.append([name, count, interval, *(100 * covered[n - 1] for n in at)])
    print(tabulate(rows, ["trial", "N", "interval", "n=1", "N/4", "N/2", "N"], floatfmt=".1f"))


if __name__ == "__main__":
    main()
