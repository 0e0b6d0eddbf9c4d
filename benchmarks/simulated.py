"""Whole studies whose truth is known, for interval_coverage.py: networks, seeds, images, rounds.

A network gets an image right where  quality + seed + image + noise > 0.  `image` is a difficulty that
all variants share, plus one of each variant's own; `seed` is a part that all variants share at that
seed, plus one of each training's own; all are normal (a crossed probit model). So what is true is
known in closed form: for new seeds on these images, for new seeds on new images, for these
networks on new images. Latencies are lognormal, with a factor for each round, job and timing.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from resnest_bench.stats.intervals import Interval, MeanEstimate
from resnest_bench.stats.moderated import moderate_variances, seed_correlation, welch_difference

ACCURACY = 0.62  # the paper's best rows
SHARED_DIFFICULTY_SD, OWN_DIFFICULTY_SD = 1.2, 0.5  # in units of the noise's standard deviation
# Of a training's own spread over seeds, what all variants of a seed share besides.
SHARED_SEED = 1 / 3
ROUND_SD, JOB_SD, TIMING_SD = 0.02, 0.01, 0.003  # of the logarithm of a latency
VALUES_AT_ONCE = 8_000_000

Row = dict[str, Any]


@dataclass(frozen=True)
class Setting:
    """How studies are made: seeds, images, spread of trainings, and of variants' own difficulties."""

    n: int
    num_images: int
    seed_sd_points: float
    own_sd: float = OWN_DIFFICULTY_SD

    @property
    def own_seed_sd(self) -> float:
        """In the model's units: a point there is that much accuracy here."""
        slope = np.exp(-(ndtri(ACCURACY) ** 2) / 2) / np.sqrt(2 * np.pi) / self.unseeded_sd
        return float(self.seed_sd_points / 100 / slope)

    @property
    def seed_sd(self) -> float:
        return self.own_seed_sd * math.sqrt(1 + SHARED_SEED**2)

    @property
    def unseeded_sd(self) -> float:
        return float(np.sqrt(1 + SHARED_DIFFICULTY_SD**2 + self.own_sd**2))

    @property
    def whole_sd(self) -> float:
        return float(np.hypot(self.unseeded_sd, self.seed_sd))


@dataclass(frozen=True, eq=False)
class Studies:
    """Simulated studies: bits (K, V, S, N), and what is true of them."""

    bits: np.ndarray
    population: np.ndarray  # (K, V): new seeds, new images
    on_images: np.ndarray  # (K, V): new seeds, these images
    of_networks: np.ndarray  # (K, V, S): these networks, new images


def simulate(
    accuracies_KV: np.ndarray, setting: Setting, rng: np.random.Generator
) -> Iterator[Studies]:
    """Studies of variants with these accuracies, a part of the K at a time."""
    num_studies, num_variants = accuracies_KV.shape
    step = max(1, VALUES_AT_ONCE // (num_variants * setting.n * setting.num_images))
    for start in range(0, num_studies, step):
        yield _simulate(accuracies_KV[start : start + step], setting, rng)


def _simulate(accuracies_KV: np.ndarray, setting: Setting, rng: np.random.Generator) -> Studies:
    (k, v), s, n = accuracies_KV.shape, setting.n, setting.num_images
    quality = setting.whole_sd * ndtri(accuracies_KV)
    image = SHARED_DIFFICULTY_SD * rng.standard_normal((k, 1, n))
    image = image + setting.own_sd * rng.standard_normal((k, v, n))
    shared = SHARED_SEED * rng.standard_normal((k, 1, s))
    seed = setting.own_seed_sd * (shared + rng.standard_normal((k, v, s)))
    noise_ = rng.standard_normal((k, v, s, n), dtype=np.float32)
    known = (quality[..., None, None] + seed[..., None]).astype(np.float32)
    known = known + image[:, :, None].astype(np.float32)
    on_images = ndtr((quality[..., None] + image) / np.hypot(1, setting.seed_sd)).mean(axis=-1)
    return Studies(
        bits=known + noise_ > 0,
        population=accuracies_KV,
        on_images=on_images,
        of_networks=ndtr((quality[..., None] + seed) / setting.unseeded_sd),
    )


def moderated_error(bits_KVSN: np.ndarray, first: int, second: int) -> MeanEstimate:
    """The library's default estimate of a difference, in points, of K studies at once."""
    num_seeds, num_images = bits_KVSN.shape[2:]
    per_seed = 100 * bits_KVSN.mean(axis=-1)
    df = np.full(per_seed.shape[1], num_seeds - 1)
    variances, moderated_df = moderate_variances(per_seed.var(axis=-1, ddof=1), df)
    both = bits_KVSN[:, [first, second]].astype(float)
    per_image = both.mean(axis=2)
    rest = both - both.mean(axis=3, keepdims=True) - per_image[:, :, None]
    rest += both.mean(axis=(2, 3), keepdims=True)
    residual = (rest**2).sum(axis=(2, 3)) / ((num_seeds - 1) * (num_images - 1)) / num_seeds
    image = (per_image[:, 0] - per_image[:, 1]).var(axis=-1, ddof=1) - residual.sum(axis=1)
    return welch_difference(
        per_seed[:, first].mean(axis=-1) - per_seed[:, second].mean(axis=-1),
        (variances[:, first], variances[:, second]),
        (moderated_df[:, first], moderated_df[:, second]),
        (num_seeds, num_seeds),
        num_seeds,
        seed_correlation(per_seed),
        1e4 * np.maximum(image, 0.0) / num_images,
    )


def equal(num_studies: int, num_variants: int) -> np.ndarray:
    return np.full((num_studies, num_variants), ACCURACY)


class Tally:
    """What came of each study, by name; then its mean and the Monte Carlo error of that."""

    def __init__(self, section: str, **about: Any):
        self.section, self.about = section, about
        self.seen: dict[tuple[str, str], list[np.ndarray]] = {}
        self.said: dict[tuple[str, str], list[float]] = {}

    def add(self, figure: str, method: str, values: ArrayLike, said: Iterable[float] = ()) -> None:
        """`said`: the probabilities that were given, where `values` are what came true."""
        self.seen.setdefault((figure, method), []).append(np.atleast_1d(values).astype(float))
        self.said.setdefault((figure, method), []).extend(said)

    def covered(self, method: str, interval: Interval, truth: np.ndarray) -> None:
        inside = (interval.low <= truth) & (truth <= interval.high)
        # Where no interval is given (no spread was seen), nothing is covered or missed.
        self.add("coverage", method, np.where(np.isnan(interval.low), np.nan, inside))
        self.add("width in points", method, 100 * (interval.high - interval.low))

    def rows(self) -> list[Row]:
        return [
            {
                "section": self.section,
                **self.about,
                "method": method,
                "figure": figure,
                **mean_and_error(np.concatenate(values)),
                **self._said(figure, method),
            }
            for (figure, method), values in self.seen.items()
        ]

    def _said(self, figure: str, method: str) -> Row:
        said = self.said[figure, method]
        return {"said": float(np.mean(said))} if said else {}


def mean_and_error(values: np.ndarray) -> Row:
    known = values[~np.isnan(values)]
    error = known.std() / np.sqrt(len(known)) if len(known) else np.nan
    return {"value": float(known.mean()), "error": float(error), "studies": len(known)}


BINS = ((0.5, 0.8), (0.8, 0.95), (0.95, 0.99), (0.99, 1.0))


def calibrated(tally: Tally, name: str, predicted: np.ndarray, true: np.ndarray) -> None:
    """Of what is said with such a probability, how much is true? Saying p of A is 1 - p of not A."""
    sure = np.maximum(predicted, 1 - predicted).ravel()
    right = np.where(predicted.ravel() >= 0.5, true.ravel(), ~true.ravel())
    for low, high in BINS:
        chosen = (sure >= low) & (sure < high if high < 1 else sure <= 1)
        if chosen.any():
            figure = f"true, of what is said at {100 * low:.0f}-{100 * high:.0f} %"
            tally.add(figure, name, right[chosen], sure[chosen])


def latencies(
    base_KV: np.ndarray, n: int, rng: np.random.Generator, job_sd: float = JOB_SD
) -> np.ndarray:
    """(K, V, rounds): each base, with its round's, its job's and its timing's factor."""
    k, v = base_KV.shape
    round_ = rng.normal(0, ROUND_SD, (k, 1, n))
    own = rng.normal(0, job_sd, (k, v, n)) + rng.normal(0, TIMING_SD, (k, v, n))
    return base_KV[..., None] * np.exp(round_ + own)


def reference_timings(num_variants: int, n: int, rng: np.random.Generator) -> pd.DataFrame:
    """As `noise.reference_frame` makes it: one job's two timings share the job's factor."""
    job = latencies(np.full((1, num_variants), 10.0), n, rng)[0]
    before, after = (job * np.exp(rng.normal(0, TIMING_SD, job.shape)) for _ in range(2))
    return pd.DataFrame(
        {
            "round": np.tile(np.arange(n), num_variants),
            "device_name": "simulated",
            "model": "r",
            "batch_size": 1,
            "before_ms": before.ravel(),
            "after_ms": after.ravel(),
        }
    )
