"""Which trials go on with more epochs, and which are confirmed. Only validation accuracies are compared."""

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from resnest_bench.search.results import TrialResult
from resnest_bench.specs.rounds import Finalist, TrialRun
from resnest_bench.specs.search import SearchSpec
from resnest_bench.stats.pareto import pareto_front


def order_by_accuracy(results: Sequence[TrialResult]) -> list[TrialResult]:
    """The most accurate first; of equal ones the earlier."""
    scored = [one for one in results if one.accuracy is not None]
    return sorted(scored, key=lambda one: (-(one.accuracy or 0.0), one.trial.number))


def promote(
    search: SearchSpec, runs: Sequence[TrialRun], results: Sequence[TrialResult], epochs: int
) -> list[TrialRun]:
    """Return the longer trainings that follow the last round's `runs` of one family.

    Of the trials that had equally many epochs, the best 1 / reduction go on.
    """
    rungs, by_number = search.rungs(epochs), {one.trial.number: one for one in results}
    found = []
    for rung, following in itertools.pairwise(rungs):
        group = [by_number[run.number] for run in runs if run.epochs == rung]
        assert search.halving
        count = -(-len(group) // search.halving.reduction)
        best = order_by_accuracy([one for one in group if one.status == "ok"])[:count]
        found += [
            TrialRun(family=one.trial.family, number=one.trial.number, epochs=following)
            for one in best
        ]
    return found


def find_front(results: Sequence[TrialResult]) -> list[TrialResult]:
    """Return the Pareto-optimal trials in accuracy and latency, the fastest first."""
    measured = [r for r in results if r.accuracy is not None and r.latency_ms is not None]
    measured = [r for r in measured if r.status == "ok"]
    if not measured:
        return []
    points = pd.DataFrame(
        [(r.latency_ms, r.accuracy) for r in measured], columns=["ms", "accuracy"]
    )
    best = pareto_front(points, "ms", "accuracy")
    front = [r for r, on_front in zip(measured, best, strict=True) if on_front]
    return sorted(front, key=lambda r: (r.latency_ms or 0.0, r.trial.number))


def choose_finalists(
    search: SearchSpec, family: str, results: Sequence[TrialResult], epochs: int
) -> list[Finalist]:
    """Return the finalists of one family, the most accurate first.

    For accuracy and latency they are Pareto-optimal, spread from the most accurate to the fastest.
    """
    whole = [r for r in results if r.status == "ok" and r.epochs == epochs]
    if search.latency:
        front = find_front(whole)[::-1]
        count = min(search.finalists, len(front))
        places = np.linspace(0, len(front) - 1, count).round().astype(int)
        best = [front[place] for place in places]
    else:
        best = order_by_accuracy(whole)[: search.finalists]
    return [
        Finalist(family=family, number=one.trial.number, rank=rank)
        for rank, one in enumerate(best, 1)
    ]
