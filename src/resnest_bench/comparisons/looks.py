"""Which seeds each interim analysis ("look") of a comparison has.

They follow from the records alone: from the spread at one look, the numbers of seeds at the next one
(docs/decisions/011-adaptive-seeds.md). So nothing that happens later changes an earlier look, and no
other claim does.
"""

import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

import numpy as np

from resnest_bench.specs import StudySpec
from resnest_bench.stats.intervals import sample_variance
from resnest_bench.stats.seed_model import PAIRED_T
from resnest_bench.stats.sequential import allocate_seeds

# The seeds of each side at one look.
SeedsAtLook = tuple[frozenset[int], ...]


def plan_looks(
    study: StudySpec,
    ended: Sequence[AbstractSet[int]],
    values: Sequence[Mapping[int, float]],
) -> tuple[list[SeedsAtLook], tuple[int, ...]]:
    """Find the looks that were taken: the study's own seeds, then each whole step whose trainings ended.

    A step under way is no look: at which numbers of seeds one looks must not depend on the moment.

    Args:
        study: an adaptive one.
        ended: of each side of the comparison, the seeds whose training ended, well or not.
        values: of each side, the value of each seed that has one.

    Returns:
        The seeds of each side at each look, and the number of seeds of each side at the next one: empty
        if all planned looks were taken.
    """
    assert study.adaptive
    order = study.adaptive.order(study.seeds)
    schedule = study.adaptive.schedule(len(study.seeds))
    counts = (schedule[0],) * len(ended)
    found: list[SeedsAtLook] = []
    for number, planned in enumerate(schedule):
        if number:
            counts = _next_counts(study, found[-1], values, planned)
        seeds = tuple(frozenset(order[:count]) for count in counts)
        if number and not all(one <= other for one, other in zip(seeds, ended, strict=True)):
            return found, counts
        found.append(seeds)
    return found, ()


def _next_counts(
    study: StudySpec, seeds: SeedsAtLook, values: Sequence[Mapping[int, float]], planned: int
) -> tuple[int, ...]:
    """`planned` seeds for each side on average."""
    assert study.adaptive
    if study.adaptive.allocation == "equal" or study.differences.method == PAIRED_T:
        return (planned,) * len(seeds)
    variances = [
        _variance([known[seed] for seed in sorted(one) if seed in known])
        for one, known in zip(seeds, values, strict=True)
    ]
    most = study.adaptive.max_seeds
    return allocate_seeds(variances, list(map(len, seeds)), planned * len(seeds), most)


def _variance(values: Sequence[float]) -> float:
    return float(sample_variance(np.array(values))) if len(values) > 1 else math.nan
