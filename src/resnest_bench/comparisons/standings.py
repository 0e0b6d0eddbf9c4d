"""Where each variant of an experiment stands: may it be the best, which ranks may it have?"""

import itertools
import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from resnest_bench.comparisons.pairs import compare_pairs, correct_pairs, plan_pair
from resnest_bench.frames.typed import make_frame
from resnest_bench.specs.differences import DifferencesSpec
from resnest_bench.stats.power import ALPHA
from resnest_bench.stats.ranking import best_p_values, group_letters, rank_intervals
from resnest_bench.stats.seed_model import SeedModel

BEST, MAY_BE_BEST, NOT_BEST = "best mean", "may be the best", "not the best"
UNTESTED = "not tested"
STANDING_COLUMNS = {
    **dict.fromkeys(["metric", "variant", "standing"], "str"),
    "n": "Int64",
    **dict.fromkeys(["mean", "best_p"], "float64"),
    **dict.fromkeys(["rank_low", "rank_high"], "Int64"),
    "groups": "str",
    "widely_spread": "boolean",
}


@dataclass(frozen=True, eq=False)
class Comparison:
    """V variants with their values of one metric over seeds, to say where each of them stands.

    `images_VV` (V, V) is what new test images add to the variance of each difference; 0 where verdicts are
    for these images. `spec` says how pairs are corrected.
    """

    variants: tuple[str, ...]
    model: SeedModel
    images_VV: np.ndarray
    spec: DifferencesSpec
    metric: str = "accuracy"
    higher_is_better: bool = True

    def standings(self, among: Collection[str] | None = None) -> pd.DataFrame:
        """One row per variant, the best mean first; with `among` as if there were only these.

        `mean` is in the unit of the model's values. `standing` is BEST for the best mean, MAY_BE_BEST where
        no other variant is shown to be better, NOT_BEST where one is, and UNTESTED without a test. The truly
        best variant has NOT_BEST in at most 5 % of studies: `best_p` is that of `best_p_values`. `rank_low`
        and `rank_high` are simultaneous 95 % intervals of the rank, and variants that share a letter in
        `groups` don't differ significantly; both come from the corrected p-values of all pairs, which answer
        more questions and so find less. `widely_spread` marks a variant that may be the best although one
        with a better mean is not: its own seeds vary too much to exclude it. A false discovery rate gives no
        simultaneous ranks, so Holm's procedure takes its place. Columns: STANDING_COLUMNS.
        """
        known = [
            index
            for index, name in enumerate(self.variants)
            if self.model.n_V[index] > 0 and (among is None or name in among)
        ]
        above_VV, corrected_VV = self._compare(known)
        sign = 1.0 if self.higher_is_better else -1.0
        means = sign * self.model.means_V[known]
        # Row i tests that another is above i.
        best_p = best_p_values(above_VV.T)
        low, high = rank_intervals(means, corrected_VV)
        letters = group_letters(means, corrected_VV)
        excluded = best_p <= ALPHA
        highest_excluded = means[excluded].max(initial=-np.inf)
        rows: list[dict[str, Any]] = []
        for place in np.argsort(-means, kind="stable"):
            index, tested = known[place], not np.isnan(best_p[place])
            standing = NOT_BEST if excluded[place] else MAY_BE_BEST
            standing = standing if tested else UNTESTED
            may_be = tested and not excluded[place]
            rows.append(
                {
                    "metric": self.metric,
                    "variant": self.variants[index],
                    "standing": standing if rows else BEST,
                    "n": int(self.model.n_V[index]),
                    "mean": float(self.model.means_V[index]),
                    "best_p": best_p[place],
                    "rank_low": low[place] if tested else None,
                    "rank_high": high[place] if tested else None,
                    "groups": letters[place] if tested else "",
                    "widely_spread": bool(may_be and means[place] < highest_excluded),
                }
            )
        return make_frame(rows, STANDING_COLUMNS)

    def find_best(self, subsets: Iterable[Collection[str]]) -> list[dict[str, str]]:
        """The standing of each variant within each of many subsets, as `standings` has it, the best first.

        Variants without a value are in none. All tests are made once: each of hundreds of budgets asks only
        for other ones.
        """
        return [self._find_best(set(names)) for names in subsets]

    def required_seeds(
        self, one: str, other: str, num_compared: int, on_new_images: bool = True
    ) -> int | None:
        """Seeds of each variant with which `standings` of so many variants would separate these two.

        That is with 80 % power at the level of the multiple comparison with the best: one-sided, 5 % divided
        by the others. Without `on_new_images` it is for new seeds on these test images. None where the seeds give no spread, the means are equal or too many are required.
        """
        index = np.array([self.variants.index(one)]), np.array([self.variants.index(other)])
        images = self.images_VV[index] if on_new_images else 0.0
        found = compare_pairs(self.model, *index, images, None)
        # A one-sided level is half of a two-sided one.
        plan = plan_pair(found["estimate"], 0, max(num_compared - 1, 1) / 2)
        seeds: int | None = plan.get("seeds_needed")
        return seeds

    @cached_property
    def _above_VV(self) -> np.ndarray:
        """(V, V): p-values that the first is above the second; NaN without a test."""
        known = [index for index in range(len(self.variants)) if self.model.n_V[index] > 0]
        whole_VV = np.full((len(self.variants), len(self.variants)), np.nan)
        whole_VV[np.ix_(known, known)] = self._test(known)[0]
        return whole_VV

    def _find_best(self, names: set[str]) -> dict[str, str]:
        sign = 1.0 if self.higher_is_better else -1.0
        means_V = sign * self.model.means_V
        inside = [
            index
            for index, name in enumerate(self.variants)
            if name in names and not math.isnan(means_V[index])
        ]
        inside.sort(key=lambda index: -means_V[index])
        if not inside:
            return {}
        best_p = best_p_values(self._above_VV[np.ix_(inside, inside)].T)
        verdicts = np.where(best_p <= ALPHA, NOT_BEST, MAY_BE_BEST)
        verdicts = np.where(np.isnan(best_p), UNTESTED, verdicts)
        found = [self.variants[index] for index in inside]
        return dict(zip(found, [BEST, *map(str, verdicts[1:])], strict=True))

    def _compare(self, known: list[int]) -> tuple[np.ndarray, np.ndarray]:
        """(K, K) each: one-sided p-values that the first is above the second, and corrected two-sided ones."""
        above_KK, p, places = self._test(known)
        corrected_KK = np.full(above_KK.shape, np.nan)
        if not len(p):
            return above_KK, corrected_KK
        i, j = places
        correction = "holm" if self.spec.correction == "fdr" else self.spec.correction
        corrected_KK[i, j] = corrected_KK[j, i] = correct_pairs(p, places.T.tolist(), correction)
        return above_KK, corrected_KK

    def _test(self, known: list[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One-sided p-values (K, K) as in `_compare`, and the two-sided ones (P,) of places (2, P)."""
        size = len(known)
        above_KK = np.full((size, size), np.nan)
        if size < 2:
            return above_KK, np.empty(0), np.empty((2, 0), int)
        places = np.array(list(itertools.combinations(range(size), 2))).T
        one, other = np.array(known)[places]
        found = compare_pairs(self.model, one, other, self.images_VV[one, other], None)
        sign = 1.0 if self.higher_is_better else -1.0
        p, mean = found["p"], sign * np.asarray(found["estimate"].mean)
        i, j = places
        above_KK[i, j] = np.where(mean > 0, p / 2, 1 - p / 2)
        above_KK[j, i] = np.where(mean > 0, 1 - p / 2, p / 2)
        return above_KK, p, places


def list_best(standings: pd.DataFrame) -> list[str]:
    """The variants that may be the best, without the one that has the best mean."""
    return standings.loc[standings["standing"].eq(MAY_BE_BEST), "variant"].tolist()
