"""Where the spread over seeds comes from, and whether more seeds or more test images help.

Accuracies are fractions. Shape suffixes as in the rest of `stats`: S seeds, N images.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtri

from resnest_bench.stats.summary import CONFIDENCE, Array


@dataclass(frozen=True)
class CorrectnessVariance:
    """The components of the variance of one answer (right is 1, wrong is 0), for random seeds and images.

    `seed_variance` is that of a network's accuracy on infinitely many test images. `image_variance` is that
    of an image's mean over infinitely many seeds, and `rest_variance` that of single answers beyond both.
    Estimates of the first two may be negative by chance. `observed_variance` is the sample variance of the
    accuracies on these `num_images` images over `num_seeds` seeds.
    """

    seed_variance: Array
    image_variance: Array
    rest_variance: Array
    observed_variance: Array
    num_seeds: int
    num_images: int

    @property
    def test_set_share(self) -> Array:
        """Which share of the observed variance over seeds is due to the finite test set, from 0 to 1.

        NaN if all seeds have the same accuracy.
        """
        observed = np.asarray(self.observed_variance, dtype=float)
        share = self.rest_variance / self.num_images / np.where(observed > 0, observed, np.nan)
        return np.minimum(share, 1.0)

    def mean_variance(self, num_seeds: Array, num_images: Array) -> Array:
        """Return the variance of the mean accuracy of so many new seeds on so many new images."""
        seed, image = np.maximum(self.seed_variance, 0.0), np.maximum(self.image_variance, 0.0)
        return seed / num_seeds + image / num_images + self.rest_variance / (num_seeds * num_images)


def decompose_correctness(correct_SN: np.ndarray) -> CorrectnessVariance:
    """Estimate the components from which test images each seed classifies correctly.

    With MS the mean squares of the two-way layout without replication, seeds x images: the variance of the
    rest is MS_rest, that of seeds (MS_seeds - MS_rest) / N, and that of images (MS_images - MS_rest) / S
    (Searle, Casella and McCulloch, Variance Components, 1992, section 4.3). The observed variance over seeds
    is MS_seeds / N, so MS_rest / N is the part of the finite test set. The seeds' component equals the
    unbiased estimate of the variance on the whole distribution in Jordan, Calibrated Chaos, ICLR 2024
    (arXiv:2304.01910): N / (N - 1) (s^2 - mean_i(s_i^2) / N), with the variances s_i^2 of single images.

    Args:
        correct_SN: booleans, any leading axes, at least two seeds and two images.

    Returns:
        The components in the shape of the leading axes.

    >>> answers = np.array([[1, 1, 0, 1], [1, 0, 0, 1], [1, 1, 0, 0]])
    >>> parts = decompose_correctness(answers)
    >>> round(float(parts.observed_variance), 4), round(float(parts.rest_variance), 4)
    (0.0208, 0.1944)
    """
    num_seeds, num_images = correct_SN.shape[-2:]
    if num_seeds < 2 or num_images < 2:
        raise ValueError(
            f"at least two seeds and two images are needed, but got {num_seeds} and {num_images}"
        )
    per_seed_S = correct_SN.mean(axis=-1)
    per_image_N = correct_SN.mean(axis=-2)
    mean = per_seed_S.mean(axis=-1)
    # Of answers x in {0, 1}, sum x^2 = sum x: no array of the size of the answers is needed.
    total = num_seeds * num_images * mean * (1 - mean)
    observed = per_seed_S.var(axis=-1, ddof=1)
    ms_seeds = num_images * observed
    ms_images = num_seeds * per_image_N.var(axis=-1, ddof=1)
    rest = total - (num_seeds - 1) * ms_seeds - (num_images - 1) * ms_images
    ms_rest = np.maximum(rest, 0.0) / ((num_seeds - 1) * (num_images - 1))
    return CorrectnessVariance(
        seed_variance=(ms_seeds - ms_rest) / num_images,
        image_variance=(ms_images - ms_rest) / num_seeds,
        rest_variance=ms_rest,
        observed_variance=observed,
        num_seeds=num_seeds,
        num_images=num_images,
    )


@dataclass(frozen=True)
class NeededForHalf:
    """What halves the interval of a mean accuracy, for new seeds and new images.

    `seeds` and `images` are the total numbers if only this one grows; infinite if no number is enough.
    """

    seeds: Array
    images: Array


def plan_half_width(parts: CorrectnessVariance) -> NeededForHalf:
    """Return how many seeds, or how many test images, make the standard error of the mean half as large.

    Solves v(S', N) = v(S, N) / 4, or v(S, N') = v(S, N) / 4, for
    v(S, N) = seed_variance / S + image_variance / N + rest_variance / (S N), with negative estimates as 0.
    More seeds don't reduce the second term, nor more images the first.

    Args:
        parts: components with any leading axes.

    Returns:
        Numbers in the shape of the leading axes, not rounded.

    >>> parts = CorrectnessVariance(4e-4, 0.02, 0.1, 5e-4, num_seeds=5, num_images=1000)
    >>> needed = plan_half_width(parts)
    >>> round(float(needed.seeds), 1), float(needed.images)
    (50.0, inf)
    """
    seed, image = np.maximum(parts.seed_variance, 0.0), np.maximum(parts.image_variance, 0.0)
    s, n, rest = parts.num_seeds, parts.num_images, parts.rest_variance
    target = parts.mean_variance(s, n) / 4
    return NeededForHalf(
        seeds=_solve(seed + rest / n, target - image / n, s),
        images=_solve(image + rest / s, target - seed / s, n),
    )


def _solve(per_unit: Array, target: Array, now: int) -> np.ndarray:
    """Return x with per_unit / x = target; infinite for a target that can't be reached."""
    reachable = np.asarray(target) > 0
    needed = per_unit / np.where(reachable, target, 1.0)
    return np.maximum(np.where(reachable, needed, math.inf), now)


def std_interval(std: Array, n: Array) -> tuple[Array, Array]:
    """Return the limits of the 95 % interval of a standard deviation, for normal values.

    std sqrt((n - 1) / chi^2), with the quantiles of chi-square for n - 1 degrees of freedom (Snedecor and
    Cochran, Statistical Methods, 8th edition, section 5.11).

    Args:
        std, n: sample standard deviation and sample size, at least 2; one shape, or scalars.

    >>> low, high = std_interval(2.0, 5)
    >>> round(float(low), 2), round(float(high), 2)
    (1.2, 5.75)
    """
    df, tail = np.asarray(n, dtype=float) - 1, (1 - CONFIDENCE) / 2
    return std * np.sqrt(df / chdtri(df, tail)), std * np.sqrt(df / chdtri(df, 1 - tail))
