"""Corrections of p-values for multiple testing."""

import numpy as np


def holm(p_values: np.ndarray) -> np.ndarray:
    """Correct the p-values of a family of tests by Holm's step-down method.

    With the p-values sorted, the i-th smallest of m becomes the maximum of (m - j + 1) p_j over
    j <= i, at most 1 (Holm, Scand. J. Stat. 6 (1979) 65). Rejecting where the corrected p-value is
    below 0.05 keeps the probability of any false rejection below 0.05, however the tests depend on
    each other.

    Args:
        p_values: (..., m), one family along the last axis. A NaN does not count as a test.

    Returns:
        Corrected p-values in the same shape and order; NaN stays NaN.

    >>> holm(np.array([0.01, 0.04, 0.03, 0.005])).round(3).tolist()
    [0.03, 0.06, 0.06, 0.02]
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, axis=-1)  # NaN last
    count = np.sum(~np.isnan(p), axis=-1, keepdims=True)
    factors = np.maximum(count - np.arange(p.shape[-1]), 1)
    stepped = np.minimum(np.take_along_axis(p, order, axis=-1) * factors, 1.0)
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, np.maximum.accumulate(stepped, axis=-1), axis=-1)
    return adjusted
