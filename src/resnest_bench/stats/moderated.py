"""Welch's test of two variants whose variances borrow strength from the other variants.

Five seeds give four degrees of freedom, on which a difference must be large to be seen. The other
variants of the study say how much networks like these vary. A moderated variance uses that, unless
the variant varies more than the others do.
"""

import numpy as np
from scipy.special import betainc, digamma, fdtri, polygamma, zeta

from resnest_bench.stats.intervals import MeanEstimate, sample_variance
from resnest_bench.stats.summary import Array

# Fewer variants say too little about how variances vary: then each keeps its own.
MIN_VARIANTS = 4
# A variance of 0 is an accident of few seeds; Smyth's limma takes this share of the median too.
SMALLEST_SHARE = 1e-5
CORRELATION_CONFIDENCE = 0.9


def fit_prior(variances_K: np.ndarray, df_K: np.ndarray) -> tuple[Array, Array]:
    """Degrees of freedom d0 and scale s0^2 of the variances' scaled inverse chi-squared prior.

    They match the mean and the variance of log s^2 (Smyth, Stat. Appl. Genet. Mol. Biol. 3 (2004) 3,
    section 6.2): d0 is infinite where the logarithms vary no more than by chance.

    Args:
        variances_K: (..., K), sample variances, K >= 2.
        df_K: (..., K) or (K,), their degrees of freedom.

    Returns:
        d0 and s0^2, each in shape (...).

    Raises:
        ValueError: below two variances.

    >>> d0, scale = fit_prior(np.array([1.0, 2.0, 8.0, 0.5, 0.2]), np.array([9, 9, 9, 9, 9]))
    >>> round(float(d0), 2), round(float(scale), 3)
    (1.95, 0.68)
    """
    variances = np.asarray(variances_K, dtype=float)
    half_df = np.broadcast_to(np.asarray(df_K, dtype=float), variances.shape) / 2
    count = variances.shape[-1]
    if count < 2:
        raise ValueError(f"at least two variances are required, but got {count}")
    floor = SMALLEST_SHARE * np.median(variances, axis=-1, keepdims=True)
    # Where all are 0, so is the scale.
    positive = np.maximum(variances, np.maximum(floor, np.finfo(float).tiny))
    logs = np.log(positive) - digamma(half_df) + np.log(half_df)
    mean = logs.mean(axis=-1)
    excess = logs.var(axis=-1, ddof=1) - polygamma(1, half_df).mean(axis=-1)
    half_prior = inverse_trigamma(np.maximum(excess, 1e-12))
    finite = excess > 0
    correction = np.where(finite, digamma(half_prior) - np.log(half_prior), 0.0)
    return np.where(finite, 2 * half_prior, np.inf), np.exp(mean + correction)


def inverse_trigamma(x: Array) -> Array:
    """y with trigamma(y) = x > 0, by Newton's method (Smyth 2004, appendix).

    >>> round(float(inverse_trigamma(polygamma(1, 3.0))), 6)
    3.0
    """
    target = np.asarray(x, dtype=float)
    y = 0.5 + 1 / target
    for _ in range(50):
        value = polygamma(1, y)
        # The second derivative of digamma, negative: psi_2(y) = -2 zeta(3, y).
        step = value * (1 - value / target) / (-2 * zeta(3, y))
        y = y + step
        if np.all(np.abs(step) <= 1e-10 * y):
            break
    return y


def moderate_variances(variances_V: np.ndarray, df_V: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Variances moved towards what the other variants have, with their degrees of freedom.

    The prior of a variant is fitted to the others. It counts as min(d0, d) degrees of freedom times
    min(1, 2 P(F(d, d0) > s^2 / s0^2)): at most as many as the variant's own, and none if the variant
    varies more than the others do. That a noisy variant is left out follows Phipson et al. (Ann. Appl.
    Stat. 10 (2016) 946).

    Args:
        variances_V: (..., V), the variance of each variant over its seeds.
        df_V: (..., V) or (V,), their degrees of freedom.

    Returns:
        Moderated variances (w s0^2 + d s^2) / (w + d), and w + d, each in shape (..., V). Below
        MIN_VARIANTS they are the variances and degrees of freedom that came in.

    >>> variances, df = moderate_variances(np.array([1.0, 1.2, 0.8, 30.0]), np.array([4, 4, 4, 4]))
    >>> variances.round(2).tolist(), df.round(1).tolist()
    ([1.13, 1.25, 1.04, 30.0], [5.3, 5.2, 5.3, 4.0])
    """
    variances = np.asarray(variances_V, dtype=float)
    df = np.broadcast_to(np.asarray(df_V, dtype=float), variances.shape)
    count = variances.shape[-1]
    if count < MIN_VARIANTS:
        return variances, df.copy()
    moderated, total = np.empty_like(variances), np.empty_like(variances)
    for index in range(count):
        others = np.delete(np.arange(count), index)
        prior_df, scale = fit_prior(variances[..., others], df[..., others])
        own, own_df = variances[..., index], df[..., index]
        ratio = np.divide(own, scale, out=np.zeros_like(own), where=scale > 0)
        weight = np.minimum(prior_df, own_df) * np.minimum(1, 2 * _f_tail(own_df, prior_df, ratio))
        total[..., index] = weight + own_df
        moderated[..., index] = (weight * scale + own_df * own) / (weight + own_df)
    return moderated, total


def _f_tail(numerator: Array, denominator: Array, ratio: Array) -> Array:
    """P(F(numerator, denominator) > ratio); the denominator may be infinite."""
    # A million is as good as infinity here, and betainc takes it.
    finite = np.minimum(denominator, 1e6)
    tail: Array = betainc(finite / 2, numerator / 2, finite / (finite + numerator * ratio))
    return tail


def seed_correlation(values_VS: np.ndarray, confidence: float = CORRELATION_CONFIDENCE) -> Array:
    """Lower confidence limit of the correlation that a seed gives to all variants; at least 0.

    Each variant's deviations from its mean are scaled to unit length. Then the mean correlation of two
    variants is the intraclass correlation (F - 1) / (F + V - 1) of a two-way layout, and its limit
    comes from the F distribution (Shrout and Fleiss, Psychol. Bull. 86 (1979) 420, ICC(3,1)).

    Args:
        values_VS: (..., V, S), the values of V variants with the same S seeds.
        confidence: of the one-sided limit, as a fraction.

    Returns:
        The limit in shape (...): 0 below two variants or three seeds, or if a variant does not vary.

    >>> seed = np.array([0.3, -0.1, 0.4, -0.2, 0.1])
    >>> values = np.stack([seed, 2 * seed + [0.05, 0, 0, 0, -0.05], seed + [0, 0, 0.1, 0, 0]])
    >>> round(float(seed_correlation(values)), 2)
    0.98
    """
    values = np.asarray(values_VS, dtype=float)
    num_variants, num_seeds = values.shape[-2:]
    none: Array = np.zeros(values.shape[:-2])
    if num_variants < 2 or num_seeds < 3:
        return none
    deviations = values - values.mean(axis=-1, keepdims=True)
    lengths = np.sqrt((deviations**2).sum(axis=-1, keepdims=True))
    varies = np.all(sample_variance(values) > 0, axis=-1)
    scaled = np.divide(deviations, lengths, out=np.zeros_like(values), where=lengths > 0)
    # 1 + (V - 1) r for the mean correlation r.
    between = (scaled.sum(axis=-2) ** 2).sum(axis=-1) / num_variants
    within = np.maximum(num_variants - between, 1e-12)
    observed = between * (num_variants - 1) / within
    rest = (num_variants - 1) * (num_seeds - 1)
    lowest = observed / fdtri(num_seeds - 1, rest, confidence)
    limit = (lowest - 1) / (lowest + num_variants - 1)
    return np.where(varies, np.maximum(limit, 0.0), 0.0)[()]


def welch_difference(
    difference: Array,
    variances: tuple[Array, Array],
    df: tuple[Array, Array],
    num_seeds: tuple[Array, Array],
    num_shared: Array = 0,
    correlation: Array = 0.0,
    image_variance: Array = 0.0,
) -> MeanEstimate:
    """The difference of two means, each over its own seeds, with Satterthwaite's degrees of freedom.

    With a = s^2 / n of either side and c = r m / sqrt(n n') for a correlation r over m shared seeds,
    its variance is a + a' - 2 c sqrt(a a'), with (a + a' - 2 c sqrt(a a'))^2 divided by the sum of
    (a - c sqrt(a a'))^2 / df as degrees of freedom (Satterthwaite, Biometrics Bull. 2 (1946) 110;
    Welch, Biometrika 34 (1947) 28, where c is 0). The correlation is taken as known.

    Args:
        difference: of the two means, any shape.
        variances: of both sides over seeds, in the shape of the difference.
        df: their degrees of freedom.
        num_seeds: of both sides, numbers or arrays.
        num_shared: seeds that both have.
        correlation: of two values with the same seed, from `seed_correlation`.
        image_variance: what new test images add to the variance of the difference.

    Returns:
        The estimate; `num_seeds` is the smaller number.

    >>> estimate = welch_difference(0.03, (4e-4, 1e-4), (4, 4), (5, 5))
    >>> round(float(estimate.standard_error), 4), round(float(estimate.seed_df), 2)
    (0.01, 5.88)
    """
    n, other_n = (np.asarray(number, dtype=float) for number in num_seeds)
    first, second = np.asarray(variances[0]) / n, np.asarray(variances[1]) / other_n
    shared = correlation * num_shared / np.sqrt(n * other_n)
    common = shared * np.sqrt(first * second)
    variance = first + second - 2 * common
    spread = (first - common) ** 2 / df[0] + (second - common) ** 2 / df[1]
    found = np.divide(
        variance**2, spread, out=np.full(np.shape(variance), np.inf), where=spread > 0
    )
    smaller = np.minimum(*num_seeds)
    return MeanEstimate(difference, variance, image_variance, smaller, found[()])
