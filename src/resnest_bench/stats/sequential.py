"""Interim analyses of one comparison, as an adaptive study makes them.

An interim analysis, "look" for short, tests a comparison before all of its seeds are trained. The
numbers of seeds at which this happens are planned beforehand, K of them. Each look has a K-th of the
level (Bonferroni), so the probability that any look rejects a true hypothesis is at most the level.
That holds whichever looks are taken and for whatever reason seeds are added. Pocock's constant level
(Biometrika 64 (1977) 191; Jennison and Turnbull, Group Sequential Methods, 2000, ch. 2) would be a
little less strict. But it assumes normal values with a known spread, and with few seeds it rejects
too often (benchmarks/adaptive_error.py).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from resnest_bench.stats.intervals import MeanEstimate
from resnest_bench.stats.summary import CONFIDENCE, Array


@dataclass(frozen=True)
class Looks:
    """The interim analyses of one comparison: `taken` of `planned`.

    `estimates` are those of the looks that had a spread to test with, in their order.

    >>> Looks(planned=4, taken=1, estimates=()).confidence
    0.9875
    """

    planned: int
    taken: int
    estimates: tuple[MeanEstimate, ...]

    @property
    def confidence(self) -> float:
        """Confidence of the interval at one look, so that the intervals of all looks hold together at 95 %.

        Such a repeated confidence interval holds whenever one stops (Jennison and Turnbull, Group
        Sequential Methods, 2000, ch. 9).
        """
        return 1 - (1 - CONFIDENCE) / self.planned


def combine_looks(
    looks: Looks, p_values: Callable[[MeanEstimate], tuple[Array, Array]]
) -> tuple[float, float]:
    """Combine the p-values of all looks: K times the smallest one, at most 1.

    Another look never makes a combined p-value larger, so that a verdict stays.

    Args:
        looks: the interim analyses, with an estimate for each.
        p_values: the test; it returns the p-value for the claim and the one against it.

    Returns:
        The combined p-values for and against.

    >>> looks = Looks(2, 2, (MeanEstimate(1.0, 0.25, 0.0, 5), MeanEstimate(2.0, 0.25, 0.0, 5)))
    >>> combine_looks(looks, lambda estimate: (0.05 / estimate.mean, 0.9))
    (0.05, 1.0)
    """
    p_by_look = np.array([p_values(estimate) for estimate in looks.estimates], dtype=float)
    corrected = np.asarray(correct_for_looks(p_by_look.T, looks.planned))
    return float(corrected[0]), float(corrected[1])


def correct_for_looks(p_L: Array | Sequence[float], planned: int) -> Array:
    """Correct the p-values of one comparison for all of its planned looks (Bonferroni).

    Args:
        p_L: (..., looks), a p-value for each look that was taken.
        planned: the number of looks planned, K.

    Returns:
        K times the smallest p-value, at most 1, in shape (...).

    >>> round(float(correct_for_looks([0.3, 0.01], planned=3)), 4)
    0.03
    """
    p: Array = np.minimum(planned * np.min(p_L, axis=-1), 1.0)
    return p
