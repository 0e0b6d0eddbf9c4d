"""How the variants of one experiment vary over their seeds, and what that says of their differences."""

import math
from dataclasses import dataclass, replace

import numpy as np

from resnest_bench.stats.intervals import MeanEstimate, sample_variance
from resnest_bench.stats.moderated import moderate_variances, seed_correlation, welch_difference
from resnest_bench.stats.summary import Array

PAIRED_T, WELCH, MODERATED_WELCH = "paired_t", "welch", "moderated_welch"


@dataclass(frozen=True, eq=False)
class SeedModel:
    """Means and variances over seeds of V variants, and their number of seeds, each in shape (V,).

    `variances_V` are sample variances, or moderated ones, with `df_V` degrees of freedom; both are NaN
    below two seeds. `correlation` is what a seed gives to two variants alike. `values_VS` are the values,
    NaN where a variant lacks a seed. `method` is one of this module's constants.
    """

    values_VS: np.ndarray
    n_V: np.ndarray
    means_V: np.ndarray
    variances_V: np.ndarray
    df_V: np.ndarray
    correlation: float
    method: str

    def difference(self, ours: Array, base: Array, image_variance: Array = 0.0) -> MeanEstimate:
        """Estimate the mean of `ours` minus that of `base`, both variants' numbers from 0.

        By Welch's test each side has all of its seeds. By the paired t-test both have those that they
        share. `num_seeds` of the estimate is the smaller number of seeds, or that of the shared ones.

        Args:
            ours: one number or an array of them; `base` is in its shape.
            image_variance: what new test images add to the variance of the difference, in that shape.

        Returns:
            The estimate, each field in the shape of `ours`. Its seed variance is 0 where neither side
            varies, and NaN where a side has fewer than two seeds.
        """
        one, other = np.asarray(ours), np.asarray(base)
        shared = ~np.isnan(self.values_VS[one]) & ~np.isnan(self.values_VS[other])
        num_shared = shared.sum(axis=-1)
        if self.method == PAIRED_T:
            return self._paired(one, other, num_shared, image_variance)
        estimate = welch_difference(
            self.means_V[one] - self.means_V[other],
            (self.variances_V[one], self.variances_V[other]),
            (self.df_V[one], self.df_V[other]),
            (self.n_V[one], self.n_V[other]),
            num_shared,
            self.correlation,
            image_variance,
        )
        # Values that are all alike on both sides are an accident of few images or few seeds.
        varies = self._varies(one) | self._varies(other)
        variance = np.where(varies, estimate.seed_variance, 0 * estimate.seed_variance)
        return replace(estimate, seed_variance=variance[()])

    def contrast(self, weights_KV: np.ndarray) -> MeanEstimate:
        """Estimate K weighted sums of the variants' means, such as the effect of a factor.

        With g_i = w_i^2 a_i + sum over j of w_i w_j r m_ij sqrt(v_i v_j) / (n_i n_j), where a_i = v_i / n_i, r
        is the correlation and m_ij the seeds that two variants share, the variance is the sum of the g_i,
        with (sum g_i)^2 / sum(g_i^2 / df_i) degrees of freedom (Satterthwaite 1946). For two variants with
        weights 1 and -1 it is `difference` by Welch's test.

        Args:
            weights_KV: (K, V).

        Returns:
            The estimate, each field in shape (K,). `num_seeds` is the smallest of a variant with a weight.

        >>> model = fit_seed_model(np.array([[0.60, 0.62, 0.61], [0.70, 0.71, 0.75]]), WELCH)
        >>> estimate = model.contrast(np.array([[-1.0, 1.0]]))
        >>> estimate.mean.round(3).tolist(), estimate.seed_df.round(2).tolist()
        ([0.11], [2.56])
        """
        weights = np.asarray(weights_KV, dtype=float)
        known_VS = ~np.isnan(self.values_VS)
        shared_VV = (known_VS[:, None] & known_VS).sum(axis=-1)
        scale_V = np.sqrt(self.variances_V) / self.n_V
        covariance_VV = self.correlation * shared_VV * scale_V[:, None] * scale_V
        np.fill_diagonal(covariance_VV, self.variances_V / self.n_V)
        used = weights != 0
        # A variant without a weight may have no spread, and must not spoil the sums.
        covariance_VV = np.where(np.isnan(covariance_VV), 0.0, covariance_VV)
        parts = weights * (weights @ covariance_VV)
        variance = parts.sum(axis=-1)
        spread = (parts**2 / self.df_V).sum(axis=-1, where=used)
        df = np.divide(variance**2, spread, out=np.full(len(weights), np.inf), where=spread > 0)
        n = np.where(used, self.n_V, np.iinfo(int).max).min(axis=-1)
        means = np.where(used, weights * self.means_V, 0.0).sum(axis=-1)
        return MeanEstimate(means, np.where(n > 1, variance, np.nan), 0.0 * variance, n, df)

    def _paired(
        self, one: np.ndarray, other: np.ndarray, num_shared: np.ndarray, image_variance: Array
    ) -> MeanEstimate:
        gaps = self.values_VS[one] - self.values_VS[other]
        known = ~np.isnan(gaps)
        count = np.maximum(num_shared, 1)
        mean = np.where(known, gaps, 0.0).sum(axis=-1) / count
        squares = np.where(known, gaps - mean[..., None], 0.0) ** 2
        variance = squares.sum(axis=-1) / np.maximum(num_shared - 1, 1)
        spread = np.ptp(np.where(known, gaps, mean[..., None]), axis=-1)
        variance = np.where(spread > ALIKE * np.abs(mean), variance, 0.0)
        missing = np.where(num_shared < 2, np.nan, 1.0)
        return MeanEstimate(
            np.where(num_shared > 0, mean, np.nan)[()],
            (variance / count * missing)[()],
            image_variance,
            num_shared[()],
        )

    def _varies(self, index: np.ndarray) -> np.ndarray:
        values = self.values_VS[index]
        known = ~np.isnan(values)
        high = np.where(known, values, -np.inf).max(axis=-1)
        low = np.where(known, values, np.inf).min(axis=-1)
        varies: np.ndarray = high - low > ALIKE * np.abs(high)
        return varies


# Differences of accuracies that are equal differ by rounding alone.
ALIKE = 1e-9


def fit_seed_model(values_VS: np.ndarray, method: str = MODERATED_WELCH) -> SeedModel:
    """Estimate how each variant varies over its seeds, as `method` says.

    MODERATED_WELCH moderates the variances of the variants with two seeds or more (`moderate_variances`),
    and counts on the correlation over common seeds that the data show (`seed_correlation`). WELCH does
    neither. For PAIRED_T the variances are those of the variants, and only the differences matter.

    Args:
        values_VS: (V, S), NaN where a variant lacks a seed.
        method: one of this module's constants.

    Returns:
        The model.

    Raises:
        ValueError: for an unknown method.

    >>> values = np.array([[0.60, 0.62, 0.61], [0.70, 0.71, np.nan]])
    >>> model = fit_seed_model(values, WELCH)
    >>> estimate = model.difference(1, 0)
    >>> round(float(estimate.mean), 3), round(float(estimate.standard_error), 4)
    (0.095, 0.0076)
    """
    if method not in (PAIRED_T, WELCH, MODERATED_WELCH):
        raise ValueError(f"unknown method {method!r}")
    values = np.asarray(values_VS, dtype=float)
    n_V = (~np.isnan(values)).sum(axis=-1)
    means = np.array([_mean(row) for row in values])
    variances = np.array([_variance(row) for row in values])
    df = np.where(n_V > 1, n_V - 1.0, np.nan)
    correlation, known = 0.0, n_V > 1
    if method == MODERATED_WELCH and known.any():
        variances[known], df[known] = moderate_variances(variances[known], df[known])
        complete = ~np.isnan(values[known]).any(axis=0)
        correlation = float(seed_correlation(values[known][:, complete]))
    return SeedModel(values, n_V, means, variances, df, correlation, method)


def _mean(row: np.ndarray) -> float:
    known = row[~np.isnan(row)]
    return float(known.mean()) if len(known) else math.nan


def _variance(row: np.ndarray) -> float:
    known = row[~np.isnan(row)]
    return float(sample_variance(known)) if len(known) > 1 else math.nan


def image_variances(bits_VSN: np.ndarray, is_trained_VS: np.ndarray) -> np.ndarray:
    """What the choice of the test images adds to the variance of each difference of two variants.

    With d_i the difference of two variants' means over their seeds on image i, the variance of d_i over
    N images is that of the images and, from each side, the residual mean square of its seeds x images
    table divided by its number of seeds. The latter are subtracted; the rest is divided by N, and 0 where
    negative. For the same seeds on both sides and independent residuals, it is the image component of
    `estimate_mean` (Cornfield and Tukey, Ann. Math. Stat. 27 (1956) 907).

    Args:
        bits_VSN: (V, S, N), whether each image is classified correctly.
        is_trained_VS: (V, S), whether there is such a training.

    Returns:
        (V, V), in squared fractions; NaN where a side has no training.

    >>> bits = np.array([[[1, 1, 0, 1], [1, 0, 0, 1]], [[0, 1, 0, 1], [0, 1, 0, 1]]], dtype=bool)
    >>> image_variances(bits, np.ones((2, 2), dtype=bool)).round(3).tolist()
    [[0.0, 0.083], [0.083, 0.0]]
    """
    num_variants, _, num_images = bits_VSN.shape
    per_image = np.full((num_variants, num_images), np.nan)
    residual = np.full(num_variants, np.nan)
    for variant in range(num_variants):
        bits_SN = bits_VSN[variant, is_trained_VS[variant]].astype(float)
        n = len(bits_SN)
        if not n:
            continue
        per_image[variant] = bits_SN.mean(axis=0)
        if n == 1 or num_images < 2:
            # One seed can't tell its own part from the image's: all of it counts as the image's.
            residual[variant] = 0.0
            continue
        rest = bits_SN - bits_SN.mean(axis=1, keepdims=True) - per_image[variant] + bits_SN.mean()
        residual[variant] = (rest**2).sum() / ((n - 1) * (num_images - 1)) / n
    if num_images < 2:
        return np.zeros((num_variants, num_variants))
    centred = per_image - per_image.mean(axis=1, keepdims=True)
    covariance = centred @ centred.T / (num_images - 1)
    own = covariance.diagonal()
    variance = own[:, None] + own - 2 * covariance - residual[:, None] - residual
    found: np.ndarray = np.maximum(variance, 0.0) / num_images
    return found
