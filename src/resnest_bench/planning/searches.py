"""What a search will still train: its networks are not known yet, so those that they start from stand for them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from resnest_bench.paths import Job
from resnest_bench.specs import StudySpec
from resnest_bench.specs.rounds import SearchRound
from resnest_bench.words import count_noun


@dataclass(frozen=True)
class SearchPlan:
    """What follows the rounds so far.

    Attributes:
        trainings: by family, trainings of all epochs that are left of the budget; None for one in minutes.
        minutes: by family, minutes that are left; None for a budget in trainings.
        confirming: trainings of finalists that are not known yet.
        jobs: of the base variants, as many as trainings are left, and those of the finalists: for a price.
    """

    trainings: dict[str, float] | None
    minutes: dict[str, float] | None
    confirming: int
    jobs: tuple[Job, ...]


def plan_search(study: StudySpec, rounds: Sequence[SearchRound]) -> SearchPlan | None:
    """Return what a search will ask for after its last round; None without a search or after its end."""
    search = study.search
    if search is None or (rounds and rounds[-1].stop):
        return None
    epochs = study.recipe(search.recipe).epochs
    jobs: list[Job] = []

    def add(kind: str, recipe: str, family: str, count: int) -> None:
        # Seeds beyond any of the study: these jobs only have a price.
        jobs.extend(
            Job(kind, search.dataset, recipe, family, 10**6 + len(jobs) + i) for i in range(count)
        )

    left = {}
    for family in search.family_names:
        used = [one for one in (rounds[-1].used if rounds else ()) if one.family == family]
        begun = [run.epochs for run in (rounds[-1].runs if rounds else ()) if run.family == family]
        if search.budget.trainings is not None:
            spent = sum(one.trainings for one in used) + sum(begun) / epochs
            left[family] = max(search.budget.trainings - spent, 0.0)
            add("train", search.recipe, family, math.ceil(left[family] - 1e-9))
        else:
            assert search.budget.minutes is not None
            left[family] = max(search.budget.minutes - sum(one.minutes for one in used), 0.0)
        add("train", search.recipe, family, search.finalists * len(study.seeds))
        for block in study.latency:
            if block.dataset == search.dataset:
                add("latency", block.protocol, family, search.finalists * block.rounds)
        if search.latency and search.budget.trainings is not None:
            add("latency", search.latency.protocol, family, math.ceil(left[family] - 1e-9))
    by_trainings = search.budget.trainings is not None
    confirming = len(search.families) * search.finalists * len(study.seeds)
    return SearchPlan(
        left if by_trainings else None, None if by_trainings else left, confirming, tuple(jobs)
    )


def describe_search_plan(study: StudySpec, plan: SearchPlan | None) -> list[str]:
    """Sentences of the plan; none for a study without a search."""
    search = study.search
    if search is None:
        return []
    num = len(search.families)
    head = (
        f"Search {search.name!r}: {num} {'family' if num == 1 else 'families'} by {search.sampler}, "
        f"{count_noun(search.trials_per_round, 'new trial')} each per round, selected on validation images."
    )
    if plan is None:
        return [f"Search {search.name!r}: ended; its finalists are among the jobs above."]
    unit, left = (
        ("trainings", plan.trainings) if plan.trainings is not None else ("minutes", plan.minutes)
    )
    assert left is not None
    each = ", ".join(f"{family} {amount:.3g}" for family, amount in left.items())
    epochs = study.recipe(search.recipe).epochs
    of_epochs = f" of {epochs} epochs" if unit == "trainings" else ""
    lines = [
        f"{head} Left of the budget, in {unit}{of_epochs}: {each}.",
        f"Then {count_noun(plan.confirming, 'training')} confirm at most {search.finalists} per family on test images.",
    ]
    if plan.trainings is not None:
        lines.append(
            "The estimate takes the networks and recipe that the families start from; the search may choose slower ones."
        )
    return lines
