"""Confidence intervals that say what they generalise to: new seeds, new test images, or both.

Accuracies and differences of accuracies are fractions. `bounds` says what a quantity can be: FRACTION
for an accuracy, UNBOUNDED for a difference.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtrit

from resnest_bench.stats.summary import (
    CONFIDENCE,
    MIN_FOR_INTERVAL,
    UNBOUNDED,
    Array,
    Bounds,
    all_equal,
    bounded_limits,
    confidence_limits,
)

# The population of an interval: what is drawn again if the study is repeated. The training images
# stay the same in all of them.
SEEDS = "new seeds, these test images"
IMAGES = "these trained networks, new test images"
SEEDS_AND_IMAGES = "new seeds, new test images"
ROUNDS = "new rounds on this machine"

# Why there is no interval.
TWO_VALUES = "none: two seeds"
ALL_ALIKE = "none: every seed has the same accuracy"


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence limits, in its own unit; arrays if there are several studies.

    `population` is one of this module's constants, `method` the name of the formula. The limits are
    NaN where the data don't give them.
    """

    estimate: Array
    low: Array
    high: Array
    population: str
    method: str


@dataclass(frozen=True)
class MeanEstimate:
    """A mean over seeds and images, and the two components of the variance of that mean.

    `seed_variance` has `seed_df` degrees of freedom, by default `num_seeds` - 1. `image_variance` comes
    from many images and is taken as known. Their sum is the squared standard error.
    """

    mean: Array
    seed_variance: Array
    image_variance: Array
    num_seeds: Array
    seed_df: Array | None = None

    @property
    def degrees_of_freedom(self) -> Array:
        return self.num_seeds - 1 if self.seed_df is None else self.seed_df

    @property
    def standard_error(self) -> Array:
        """For new seeds on new test images.

        >>> estimate = MeanEstimate(0.62, seed_variance=9e-6, image_variance=16e-6, num_seeds=5)
        >>> round(float(estimate.standard_error), 4)
        0.005
        """
        return np.sqrt(self.seed_variance + self.image_variance)


def wilson_interval(
    num_correct: Array, num_images: int, confidence: float = CONFIDENCE
) -> Interval:
    """Wilson's score interval of the accuracy of one network over new test images.

    (p + z^2 / 2n ± z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n); Wilson, JASA 22 (1927)
    209; recommended by Brown, Cai and DasGupta, Statistical Science 16 (2001) 101. It is about this
    network alone and says nothing about another seed.

    Args:
        num_correct: number of images that the network classifies correctly, any shape.
        num_images: number of test images.
        confidence: the coverage, as a fraction.

    Returns:
        The interval, as fractions in the shape of `num_correct`.

    Raises:
        ValueError: unless 0 <= num_correct <= num_images and num_images >= 1.

    >>> interval = wilson_interval(6264, 10_000)
    >>> round(float(interval.low), 4), round(float(interval.high), 4)
    (0.6169, 0.6358)
    """
    counts = np.asarray(num_correct, dtype=float)
    if num_images < 1 or np.any(counts < 0) or np.any(counts > num_images):
        raise ValueError(f"{num_correct} correct of {num_images} images is no count of images")
    p, z = counts / num_images, _normal_quantile(confidence)
    shrinkage = 1 + z**2 / num_images
    middle = (p + z**2 / (2 * num_images)) / shrinkage
    half_width = z * np.sqrt(p * (1 - p) / num_images + (z / (2 * num_images)) ** 2) / shrinkage
    # With 0 or n correct the limits are 0 or 1 up to rounding.
    return Interval(
        p,
        np.maximum(middle - half_width, 0.0),
        np.minimum(middle + half_width, 1.0),
        IMAGES,
        "binomial, Wilson",
    )


def seed_interval(
    values_S: np.ndarray,
    confidence: float = CONFIDENCE,
    population: str = SEEDS,
    bounds: Bounds = UNBOUNDED,
) -> Interval:
    """Student's t interval of a mean over seeds or, if `population` says so, over rounds.

    Args:
        values_S: (..., seeds).
        confidence: the coverage, as a fraction.
        population: what the interval generalises to.
        bounds: what the quantity can be.

    Returns:
        The interval of `confidence_limits` in shape (...). The limits are NaN below three values and
        where all are equal: accuracies on few images can be equal by chance.

    >>> interval = seed_interval(np.array([0.60, 0.61, 0.65]))
    >>> round(float(interval.low), 4), round(float(interval.high), 4)
    (0.5543, 0.6857)
    """
    values = np.asarray(values_S, dtype=float)
    n = values.shape[-1]
    mean = values.mean(axis=-1)
    if n < MIN_FOR_INTERVAL:
        return Interval(mean, mean * np.nan, mean * np.nan, population, f"none, {n} values")
    std = np.sqrt(sample_variance(values))
    low, high = confidence_limits(mean, std, n, bounds, confidence)
    return Interval(mean, low, high, population, f"t, {n - 1} degrees of freedom")


def image_interval(
    values_SN: np.ndarray, confidence: float = CONFIDENCE, bounds: Bounds = UNBOUNDED
) -> Interval:
    """Normal interval, over new test images, of the mean of exactly these trained networks.

    z sd / sqrt(N) to each side by the central limit theorem. The sd is over images, of each image's
    mean over the networks.

    Args:
        values_SN: (..., seeds, images), correct or not, or the difference of two such values.
        confidence: the coverage, as a fraction.
        bounds: what the quantity can be.

    Returns:
        The interval in shape (...); NaN where all images have the same mean.

    >>> correct_SN = np.array([[1, 1, 0, 1], [1, 0, 0, 1]])
    >>> interval = image_interval(correct_SN, bounds=Bounds(0, 1))
    >>> float(interval.estimate), round(float(interval.low), 3), round(float(interval.high), 3)
    (0.625, 0.184, 0.925)
    """
    values = np.asarray(values_SN)
    per_image = values.mean(axis=-2)
    mean = per_image.mean(axis=-1)
    error = np.sqrt(per_image.var(axis=-1, ddof=1) / values.shape[-1])
    half_width = where_positive(error, _normal_quantile(confidence) * error, np.nan)
    return Interval(mean, *bounded_limits(mean, half_width, bounds), IMAGES, "normal over images")


def estimate_mean(values_SN: np.ndarray) -> MeanEstimate:
    """Estimate a mean over seeds and images, and how much each contributes to its variance.

    All seeds see the same images: the design is crossed. With y = mean + seed + image + rest the
    mean has variance s_seed^2 / S + s_image^2 / N + s_rest^2 / (S N) (Cornfield and Tukey, Ann.
    Math. Stat. 27 (1956) 907). The seed component is the variance over seeds of their means, divided
    by S; it includes the rest. The image component is (MS_image - MS_rest) / (S N), from the two-way
    analysis of variance, and 0 where that is negative.

    Args:
        values_SN: (..., seeds, images), correct or not, or the difference of two such values.

    Returns:
        The estimate, each field in shape (...).

    Raises:
        ValueError: below two seeds or two images, where the components can't be separated.

    >>> correct_SN = np.array([[1, 1, 0, 1], [1, 0, 0, 1]])
    >>> estimate = estimate_mean(correct_SN)
    >>> float(estimate.mean), float(estimate.seed_variance), round(float(estimate.image_variance), 4)
    (0.625, 0.015625, 0.0417)
    """
    values = np.asarray(values_SN)
    num_seeds, num_images = values.shape[-2:]
    if num_seeds < 2 or num_images < 2:
        raise ValueError(
            f"two seeds and two images are required, but got {num_seeds} and {num_images}"
        )
    per_seed, per_image = values.mean(axis=-1), values.mean(axis=-2)
    mean = per_seed.mean(axis=-1)
    between_seeds = sample_variance(per_seed)
    between_images = per_image.var(axis=-1, ddof=1)
    # Sums of squares: total = seeds + images + rest.
    squares = np.einsum("...sn,...sn->...", values, values, dtype=float)
    total = squares - num_seeds * num_images * mean**2
    from_seeds = num_images * (num_seeds - 1) * between_seeds
    from_images = num_seeds * (num_images - 1) * between_images
    rest = (total - from_seeds - from_images) / ((num_seeds - 1) * (num_images - 1))
    image_variance = np.maximum(between_images - rest / num_seeds, 0.0) / num_images
    return MeanEstimate(mean, between_seeds / num_seeds, image_variance, num_seeds)


def two_way_interval(
    estimate: MeanEstimate, confidence: float = CONFIDENCE, bounds: Bounds = UNBOUNDED
) -> Interval:
    """Interval of a mean for new seeds on new test images; the training images stay the same.

    (t a + z b) / sqrt(a + b) to each side, where a is the seed variance, t its quantile with `seed_df`
    degrees of freedom, b the image variance and z the normal quantile: each quantile is weighted by
    its share of the variance (Cochran, Biometrics 20 (1964) 191). It is never shorter than Student's
    interval over the seeds alone, which it equals without an image variance.
    benchmarks/interval_coverage.py compares it with Satterthwaite's, which is too short below five
    seeds.

    Args:
        estimate: from `estimate_mean`.
        confidence: the coverage, as a fraction.
        bounds: what the quantity can be.

    Returns:
        The interval in the shape of the estimate; NaN as in `seed_interval`.

    >>> estimate = MeanEstimate(0.62, seed_variance=9e-6, image_variance=16e-6, num_seeds=5)
    >>> interval = two_way_interval(estimate, bounds=Bounds(0, 1))
    >>> round(float(interval.low), 4), round(float(interval.high), 4)
    (0.6087, 0.6312)
    """
    half_width = combined_quantile(estimate, (1 - confidence) / 2) * estimate.standard_error
    seed_variance = np.where(
        np.asarray(estimate.num_seeds) >= MIN_FOR_INTERVAL, estimate.seed_variance, 0.0
    )
    half_width = where_positive(seed_variance, half_width, np.nan)
    low, high = bounded_limits(estimate.mean, half_width, bounds)
    return Interval(
        estimate.mean,
        low,
        high,
        SEEDS_AND_IMAGES,
        "t over seeds and normal over images, Cochran's weights",
    )


def combined_quantile(estimate: MeanEstimate, tail: Array) -> Array:
    """Cochran's quantile, in standard errors, that leaves the probability `tail` above it.

    Args:
        estimate: from `estimate_mean`.
        tail: the one-sided probability, in the shape of the estimate or a scalar.

    Returns:
        The quantile of `weighted_quantile`, in the shape of the estimate.

    >>> estimate = MeanEstimate(0.62, seed_variance=9e-6, image_variance=16e-6, num_seeds=5)
    >>> round(float(combined_quantile(estimate, 0.025)), 3)
    2.254
    """
    variance = np.asarray(estimate.seed_variance + estimate.image_variance, dtype=float)
    share = np.divide(
        estimate.seed_variance, variance, out=np.ones_like(variance), where=variance > 0
    )
    # Of the lower tail: 1 - tail would be 1 for a small one.
    t, z = -stdtrit(estimate.degrees_of_freedom, tail), -ndtri(tail)
    return weighted_quantile(share, t, z)


def weighted_quantile(share: Array, t: Array, z: Array) -> Array:
    """Average of a t and a normal quantile, weighted by their shares of the variance (Cochran 1964).

    Args:
        share: the share of the variance that comes from seeds, 0 to 1.
        t: quantile of Student's t.
        z: quantile of the normal distribution. All three have one shape, or are scalars.

    Returns:
        The quantile, at least sqrt(share) t: then the interval is no shorter than that of the seeds
        alone, which Cochran's can be at two and three seeds.

    >>> round(float(weighted_quantile(0.36, t=2.776, z=1.960)), 3)
    2.254
    """
    return np.maximum(share * t + (1 - share) * z, np.sqrt(share) * t)


def sample_variance(values_S: np.ndarray) -> Array:
    """Sample variance over the last axis; exactly 0 where all values are equal.

    Args:
        values_S: (..., seeds), two seeds or more.

    Returns:
        sum((x - mean)^2) / (S - 1) in shape (...).

    >>> float(sample_variance(np.array([0.62, 0.62, 0.62])))
    0.0
    """
    # Rounding leaves 1e-34 or so of (0.62, 0.62, 0.62), and 1e-17 of differences of accuracies.
    return np.where(all_equal(values_S), 0.0, values_S.var(axis=-1, ddof=1))


def where_positive(error: Array, value: Array, otherwise: Array) -> Array:
    """`value` where `error` is above 0 and `otherwise` elsewhere; a scalar for scalars.

    >>> where_positive(np.array([0.0, 0.1]), 2.0, np.nan).tolist()
    [nan, 2.0]
    """
    return np.where(np.asarray(error) > 0, value, otherwise)[()]


def _normal_quantile(confidence: float) -> float:
    return float(ndtri((1 + confidence) / 2))
