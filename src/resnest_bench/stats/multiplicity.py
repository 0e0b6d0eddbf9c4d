"""Many tests at once: p-values that allow for all of them."""

import numpy as np


def holm(p_values: np.ndarray) -> np.ndarray:
    """Holm's step-down p-values of one family, along the last axis; a NaN is out of the family.

    The i-th smallest of m becomes the largest of (m - j + 1) p_j over j <= i, at most 1 (Holm, Scand.
    J. Stat. 6 (1979) 65). Rejecting where they are below 0.05 keeps the chance of any false rejection
    below 0.05, however the tests depend on each other.
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, axis=-1)  # NaN last
    count = np.sum(~np.isnan(p), axis=-1, keepdims=True)
    factors = np.maximum(count - np.arange(p.shape[-1]), 1)
    stepped = np.minimum(np.take_along_axis(p, order, axis=-1) * factors, 1.0)
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, np.maximum.accumulate(stepped, axis=-1), axis=-1)
    return adjusted
