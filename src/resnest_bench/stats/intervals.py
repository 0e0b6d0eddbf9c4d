"""Intervals that say what they are about: new seeds, new test images, or both.

Arrays end in _S (seeds) or _SN (seeds, images); axes before those are separate studies and are
kept. Accuracies and differences of accuracies are fractions. `bounds` is what the quantity can be:
FRACTION for an accuracy, UNBOUNDED for a difference.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtr, stdtrit

from resnest_bench.stats.summary import (
    CONFIDENCE,
    FEWEST_FOR_INTERVAL,
    UNBOUNDED,
    Array,
    Bounds,
    are_alike,
    interval_ends,
    mean_ends,
)

# What an interval speaks about: what would be drawn anew if the study were repeated. The training
# images are the same in all of them.
SEEDS = "new seeds, these test images"
IMAGES = "these trained networks, new test images"
SEEDS_AND_IMAGES = "new seeds, new test images"
ROUNDS = "new rounds on this machine"

# Why there is none.
TWO_VALUES = "none: two seeds"
ALL_ALIKE = "none: every seed has the same accuracy"

# Below this a two-sided p-value is not computed any further.
LEAST_P = 1e-15


@dataclass(frozen=True)
class Interval:
    """An estimate with the ends of its interval, in its own unit; arrays where studies were.

    `about` is the population, one of this module's constants, and `method` the formula's name.
    The ends are NaN where the data can't give them.
    """

    estimate: Array
    low: Array
    high: Array
    about: str
    method: str


@dataclass(frozen=True)
class MeanError:
    """A mean over seeds and images, and the two parts of its squared standard error.

    `seed_part` has `num_seeds` - 1 degrees of freedom. `image_part` is known as well as many images
    tell it, and taken as known.
    """

    mean: Array
    seed_part: Array
    image_part: Array
    num_seeds: int


def wilson_interval(
    num_correct: Array, num_images: int, confidence: float = CONFIDENCE
) -> Interval:
    """Wilson's score interval of one network's accuracy over new test images, as a fraction.

    (p + z^2 / 2n +- z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n); Wilson, JASA 22 (1927)
    209; recommended by Brown, Cai and DasGupta, Statistical Science 16 (2001) 101. It speaks of this
    one network: nothing of what another seed would give. Raises ValueError unless
    0 <= num_correct <= num_images and num_images >= 1.
    """
    counts = np.asarray(num_correct, dtype=float)
    if num_images < 1 or np.any(counts < 0) or np.any(counts > num_images):
        raise ValueError(f"{num_correct} correct of {num_images} images is no count of images")
    p, z = counts / num_images, _normal_quantile(confidence)
    shrunk = 1 + z**2 / num_images
    middle = (p + z**2 / (2 * num_images)) / shrunk
    half = z * np.sqrt(p * (1 - p) / num_images + (z / (2 * num_images)) ** 2) / shrunk
    # At 0 and n correct the ends are 0 and 1 but for rounding.
    return Interval(
        p,
        np.maximum(middle - half, 0.0),
        np.minimum(middle + half, 1.0),
        IMAGES,
        "binomial, Wilson",
    )


def seed_interval(
    values_S: np.ndarray,
    confidence: float = CONFIDENCE,
    about: str = SEEDS,
    bounds: Bounds = UNBOUNDED,
) -> Interval:
    """Student's t interval of a mean over seeds (or, so said in `about`, over rounds): `mean_ends`.

    The ends are NaN below three values, and where all are alike: accuracies on few images can be so
    by chance, and that is no sign of certainty.
    """
    values = np.asarray(values_S, dtype=float)
    n = values.shape[-1]
    mean = values.mean(axis=-1)
    if n < FEWEST_FOR_INTERVAL:
        return Interval(mean, mean * np.nan, mean * np.nan, about, f"none, {n} values")
    low, high = mean_ends(mean, np.sqrt(_variance(values)), n, bounds, confidence)
    return Interval(mean, low, high, about, f"t, {n - 1} degrees of freedom")


def image_interval(
    values_SN: np.ndarray, confidence: float = CONFIDENCE, bounds: Bounds = UNBOUNDED
) -> Interval:
    """Normal interval, over new test images, of the mean of these very networks.

    z sd / sqrt(N) to each side, on the scale of `bounds`, where sd is over images of each image's
    mean over the networks: they are held fixed, and only images are drawn anew. NaN where all images
    have the same mean.
    """
    values = np.asarray(values_SN)
    per_image = values.mean(axis=-2)
    mean = per_image.mean(axis=-1)
    error = np.sqrt(per_image.var(axis=-1, ddof=1) / values.shape[-1])
    half = _spread_seen(error, _normal_quantile(confidence) * error, np.nan)
    return Interval(mean, *interval_ends(mean, half, bounds), IMAGES, "normal over images")


def mean_error(values_SN: np.ndarray) -> MeanError:
    """What seeds and what images add to the squared standard error of a mean over both.

    All seeds see the same images: seeds and images are crossed. With y = mean + seed + image + rest
    the mean has variance s_seed^2 / S + s_image^2 / N + s_rest^2 / (S N) (Cornfield and Tukey, Ann.
    Math. Stat. 27 (1956) 907). `seed_part` is the variance over seeds of their means, divided by S;
    it holds the rest too. `image_part` is (MS_image - MS_rest) / (S N), from the two-way analysis
    of variance, and 0 where that is negative.

    Raises ValueError below two seeds or two images: then the parts can't be separated.
    """
    values = np.asarray(values_SN)
    num_seeds, num_images = values.shape[-2:]
    if num_seeds < 2 or num_images < 2:
        raise ValueError(f"needs two seeds and two images, but came {num_seeds} and {num_images}")
    per_seed, per_image = values.mean(axis=-1), values.mean(axis=-2)
    mean = per_seed.mean(axis=-1)
    seed_variance = _variance(per_seed)
    image_variance = per_image.var(axis=-1, ddof=1)
    # Sums of squares: total = seeds + images + rest.
    squares = np.einsum("...sn,...sn->...", values, values, dtype=float)
    total = squares - num_seeds * num_images * mean**2
    of_seeds = num_images * (num_seeds - 1) * seed_variance
    of_images = num_seeds * (num_images - 1) * image_variance
    rest = (total - of_seeds - of_images) / ((num_seeds - 1) * (num_images - 1))
    image_part = np.maximum(image_variance - rest / num_seeds, 0.0) / num_images
    return MeanError(mean, seed_variance / num_seeds, image_part, num_seeds)


def crossed_interval(
    error: MeanError, confidence: float = CONFIDENCE, bounds: Bounds = UNBOUNDED
) -> Interval:
    """Interval of a mean for new seeds on new test images; the training images stay the same.

    (t a + z b) / sqrt(a + b) to each side, on the scale of `bounds`, where a is the seed part with
    S - 1 degrees of freedom and b the image part: each standard error's own quantile, weighted by its
    share of the variance (Cochran, Biometrics 20 (1964) 191); but never shorter than Student's
    interval of the seeds alone, to which it comes down without an image part. NaN as in
    `seed_interval`. benchmarks/interval_coverage.py compares it with Satterthwaite's, which is too
    short below five seeds.
    """
    half = _two_part_quantile(error, (1 - confidence) / 2) * _whole_error(error)
    usable = error.seed_part if error.num_seeds >= FEWEST_FOR_INTERVAL else 0 * error.seed_part
    low, high = interval_ends(error.mean, _spread_seen(usable, half, np.nan), bounds)
    return Interval(
        error.mean,
        low,
        high,
        SEEDS_AND_IMAGES,
        "t over seeds and normal over images, Cochran's weights",
    )


def seed_p_value(values_S: np.ndarray) -> Array:
    """Two-sided p of Student's t that the mean over new seeds is 0; `seed_interval` covers 0 at p.

    1 where all values are 0. NaN below three values, as intervals are, and where all are alike but
    not 0.
    """
    values = np.asarray(values_S, dtype=float)
    n = values.shape[-1]
    mean = values.mean(axis=-1)
    if n < FEWEST_FOR_INTERVAL:
        gap: Array = mean * np.nan
        return gap
    error = np.sqrt(_variance(values) / n)
    t = _ratio(np.abs(mean), error)
    return _spread_seen(error, 2 * stdtr(n - 1, -t), _one_at_zero(mean))


def crossed_p_value(error: MeanError) -> Array:
    """Two-sided p that the mean is 0 for new seeds on new images; `crossed_interval` covers 0 at p.

    Cochran's quantile has no inverse in closed form: it is bisected. Not below 1e-15. Gaps as in
    `seed_p_value`.
    """
    if error.num_seeds < FEWEST_FOR_INTERVAL:
        gap: Array = np.asarray(error.mean) * np.nan
        return gap
    t = _ratio(np.abs(error.mean), _whole_error(error))
    return _spread_seen(error.seed_part, _two_part_tail(error, t), _one_at_zero(error.mean))


def probability_above(mean: Array, p_value: Array) -> Array:
    """Probability that the true mean is above 0: 1 - p / 2 where the mean is, p / 2 where it is not.

    The posterior probability under the reference prior that makes a t interval a credible one (flat
    in the mean and in log sd; Box and Tiao, Bayesian Inference in Statistical Analysis, 1973, 2.4).
    """
    return np.where(np.asarray(mean) > 0, 1 - np.asarray(p_value) / 2, np.asarray(p_value) / 2)


def _normal_quantile(confidence: float) -> float:
    return float(ndtri((1 + confidence) / 2))


def _whole_error(error: MeanError) -> Array:
    return np.sqrt(error.seed_part + error.image_part)


def _two_part_quantile(error: MeanError, tail: Array) -> Array:
    """Cochran's quantile that leaves `tail` above it."""
    whole = np.asarray(error.seed_part + error.image_part, dtype=float)
    share = np.divide(error.seed_part, whole, out=np.ones_like(whole), where=whole > 0)
    # Of the lower tail: 1 - tail would be 1 for a small one.
    t, z = -stdtrit(error.num_seeds - 1, tail), -ndtri(tail)
    return weighted_quantile(share, t, z)


def weighted_quantile(share: Array, t: Array, z: Array) -> Array:
    """Cochran's quantile, of which `share` of the variance takes t's and the rest the normal one's.

    At least sqrt(share) t: then the interval is no shorter than that of the seeds alone, which
    Cochran's can be at two and three seeds.
    """
    return np.maximum(share * t + (1 - share) * z, np.sqrt(share) * t)


def _two_part_tail(error: MeanError, t: Array) -> Array:
    """Two-sided tail beyond `t` of Cochran's quantile, by bisection of the logarithm of the tail."""
    low = np.full(np.shape(t), np.log(LEAST_P / 2))
    high = np.full(np.shape(t), np.log(0.5))
    for _ in range(60):
        middle = (low + high) / 2
        beyond = _two_part_quantile(error, np.exp(middle)) > t
        low, high = np.where(beyond, middle, low), np.where(beyond, high, middle)
    tail: Array = 2 * np.exp((low + high) / 2)
    return tail


def _variance(values_S: np.ndarray) -> Array:
    """Sample variance over the last axis; exactly 0 where all values are alike."""
    # Rounding leaves 1e-34 or so of (0.62, 0.62, 0.62), and 1e-17 of differences of accuracies.
    return np.where(are_alike(values_S), 0.0, values_S.var(axis=-1, ddof=1))


def _ratio(mean: Array, error: Array) -> Array:
    return np.divide(mean, error, out=np.zeros(np.shape(mean)), where=np.asarray(error) > 0)


def _one_at_zero(mean: Array) -> Array:
    return np.where(np.asarray(mean) == 0, 1.0, np.nan)


def _spread_seen(error: Array, value: Array, otherwise: Array) -> Array:
    """`value` where the error is above 0, `otherwise` elsewhere; a scalar of scalars."""
    return np.where(np.asarray(error) > 0, value, otherwise)[()]
