"""Several looks at one comparison, of an adaptive study: p-values and levels that allow for them.

The numbers of seeds at which anybody may look are planned beforehand, K of them, and each look has
the K-th part of the level (Bonferroni). So the probability that any look rejects what is true is at
most the level, whichever looks are taken and for whatever reason seeds were added. Pocock's
constant level (Biometrika 64 (1977) 191; Jennison and Turnbull, Group Sequential Methods, 2000,
ch. 2) would be a little less strict, but it is for normal values with a known spread: with few
seeds it rejects too often (benchmarks/adaptive_error.py).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from resnest_bench.stats.intervals import MeanError
from resnest_bench.stats.summary import CONFIDENCE, Array


@dataclass(frozen=True)
class Looks:
    """`taken` of `planned` looks at one comparison. `errors` are those of the looks that had a
    spread to test with, in their order; they are as of `mean_error`, on the additive scale."""

    planned: int
    taken: int
    errors: tuple[MeanError, ...]

    @property
    def confidence(self) -> float:
        """Of an interval at one look, so that all looks together have 95 %.

        A repeated confidence interval (Jennison and Turnbull 2000, ch. 9): it holds whenever one stops.
        """
        return 1 - (1 - CONFIDENCE) / self.planned


def over_looks(
    looks: Looks, p_values: Callable[[MeanError], tuple[Array, Array]]
) -> tuple[float, float]:
    """`p_values` (for, against) of all looks together: K times the smallest one, at most 1.

    They never rise with another look, so that a verdict stays.
    """
    each = np.array([p_values(error) for error in looks.errors], dtype=float)
    corrected = np.asarray(corrected_p(each.T, looks.planned))
    return float(corrected[0]), float(corrected[1])


def corrected_p(p_L: Array | Sequence[float], planned: int) -> Array:
    """p over the looks of the last axis, `planned` in all, of which as many as there are were taken."""
    p: Array = np.minimum(planned * np.min(p_L, axis=-1), 1.0)
    return p
