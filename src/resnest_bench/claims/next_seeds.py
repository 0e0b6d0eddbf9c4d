"""Which seeds an adaptive study trains next: the decision that the workflow follows.

It depends on the records alone: the same records give the same decision.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from resnest_bench.claims.forecast import decision_probability
from resnest_bench.claims.verdicts import (
    UNDECIDED,
    UNTESTED,
    ClaimResult,
    Plan,
    claim_jobs,
    claim_results,
)
from resnest_bench.comparisons.evidence import SETTLED
from resnest_bench.comparisons.measurement import Measurement
from resnest_bench.comparisons.sides import Place, locate_sides
from resnest_bench.errors import UserError
from resnest_bench.frames.cache import load_frames
from resnest_bench.paths import Job, StudyPaths
from resnest_bench.specs import AdaptiveSpec, StudySpec
from resnest_bench.specs.looks import (
    ClaimAtLook,
    Look,
    Spent,
    WantedSeeds,
    extended,
    file_digest,
    planned_looks,
    read_looks,
    with_teachers,
)
from resnest_bench.specs.scores import TRAINED_METRICS
from resnest_bench.stats.power import ALPHA
from resnest_bench.stats.sequential import Looks, nominal_levels
from resnest_bench.status.fingerprints import read_fingerprints
from resnest_bench.status.outcomes import Outcome, outcomes

ALL_DECIDED = "every claim on a trained accuracy is decided"
NONE_WORTH = "no undecided claim is worth more seeds"
WAITING = "a claim waits for a record that is missing or can't be read"
WAITS = "waits"
NO_BUDGET = "the budget is used up: no next step of an undecided claim fits into the rest"


@dataclass(frozen=True)
class Offer:
    """The next step of one claim: its trainings, their minutes, and how probably they decide it.

    `minutes_to_decide` is for all the seeds that the observed difference requires.
    """

    jobs: tuple[Job, ...]
    minutes: float
    minutes_to_decide: float
    probability: float | None


class Costs:
    """Minutes of one more training of a variant: the mean of the finished ones."""

    def __init__(self, job_outcomes: Iterable[Outcome]) -> None:
        self._minutes: dict[tuple[str, str, str], list[float]] = {}
        self._by_job: dict[Job, float] = {}
        for outcome in job_outcomes:
            if outcome.record and outcome.record.train:
                job, minutes = outcome.job, outcome.record.train.wall_seconds / 60
                self._by_job[job] = minutes
                self._minutes.setdefault((job.dataset, job.recipe, job.variant), []).append(minutes)

    def sum(self, jobs: Iterable[Job]) -> float:
        """Estimated minutes of future jobs; 0 for a variant without a finished training."""
        return sum(
            fmean(self._minutes.get((job.dataset, job.recipe, job.variant), [0.0])) for job in jobs
        )

    def taken(self, jobs: Iterable[Job]) -> float:
        """Minutes of finished jobs; a failed one has no time."""
        return sum(self._by_job.get(job, 0.0) for job in jobs)


def decide(study: StudySpec, paths: StudyPaths, number: int) -> Look:
    """Take look `number` (from 0), an interim analysis of the study's records.

    Raises UserError if the study is not adaptive or an earlier look is missing.
    """
    if study.adaptive is None:
        raise UserError(
            f"study {study.study!r} has a fixed number of seeds: give it an adaptive block "
            "(config/README.md) to add seeds while claims are undecided"
        )
    looks = read_looks(study, paths, before=number)
    if len(looks) < number:
        raise UserError(
            f"look {number} follows look {number - 1}, but {paths.look(len(looks))} is missing, belongs to "
            "another study, or comes after the last look: run the workflow, which takes them in turn"
        )
    current, fingerprints = extended(study, looks), read_fingerprints(study)
    frames = load_frames(current, paths, fingerprints)
    # Teachers too: their trainings cost time, and those that were asked for are not asked for again.
    jobs = with_teachers(current, claim_jobs(current))
    job_outcomes = outcomes(current, paths, fingerprints, jobs=jobs)
    results = claim_results(current, frames.runs, frames.cells, job_outcomes)
    schedule = tuple(study.adaptive.schedule(len(study.seeds)))
    previous = file_digest(paths.look(number - 1)) if number else None
    return Look(
        study=study.study,
        look=number,
        previous=previous,
        num_looks=planned_looks(study),
        nominal_level=nominal_levels(schedule, 2 * ALPHA)[number] / 2,
        records={paths.record_name(o.job): file_digest(o.path) for o in job_outcomes if o.record},
        **decision(study, looks, results, job_outcomes, lambda job: paths.record(job).exists()),
    )


def decision(
    study: StudySpec,
    looks: Sequence[Look],
    results: Sequence[ClaimResult],
    job_outcomes: Sequence[Outcome],
    is_trained: Callable[[Job], bool] = lambda job: False,
) -> dict[str, Any]:
    """The fields `claims`, `wanted`, `budget` and `stop` of a Look.

    The claim with the lowest estimated cost to decide comes first. Each gets the next step of its
    deciding test while that fits into the budget. `is_trained` says which of the possible seeds already
    have a record, from looks before the claims were edited.
    """
    costs = Costs(job_outcomes)
    statuses = {outcome.job: outcome.status for outcome in job_outcomes}
    answers = [next_step(study, result, statuses, costs, is_trained) for result in results]
    reasons = [answer if isinstance(answer, str) else "" for answer in answers]
    offers = [(i, answer) for i, answer in enumerate(answers) if isinstance(answer, Offer)]
    assert study.adaptive
    budget = _spent(study.adaptive, looks, costs)
    granted: dict[Job, None] = {}
    for i, offer in sorted(offers, key=lambda each: (each[1].minutes_to_decide, each[0])):
        new = [job for job in offer.jobs if job not in granted]
        if _fits(budget, [*granted, *new], costs):
            granted |= dict.fromkeys(new)
            reasons[i] = f"gets {describe_seeds(offer.jobs)}"
        else:
            reasons[i] = (
                f"its next step ({len(new)} trainings, about {costs.sum(new):.3g} minutes) does not fit "
                "into the rest of the budget"
            )
    return {
        "claims": tuple(map(_record_claim, results, reasons, answers)),
        "wanted": _group_seeds(granted),
        "budget": budget,
        "stop": "" if granted else _stop(study, results, reasons, bool(offers)),
    }


def next_step(
    study: StudySpec,
    result: ClaimResult,
    statuses: Mapping[Job, str],
    costs: Costs,
    is_trained: Callable[[Job], bool],
) -> Offer | str:
    """The next step of a claim's deciding test, or why it gets no more seeds."""
    if not _is_adaptive(study, result):
        return "its seeds or rounds are fixed"
    if result.verdict == UNTESTED:
        reasons = dict.fromkeys(test.reason for test in result.tests if test.reason)
        return f"can't be tested: {'; '.join(reasons) or 'nothing to compare'}"
    if result.plan is None:
        return f"decided: {result.verdict}"
    places = locate_sides(study, result.about, result.plan.test.hypothesis.variants)
    open_claim = _open_claim(study, result.plan, places)
    obstacle = open_claim.find_obstacle(statuses)
    if obstacle:
        return obstacle
    needed = with_teachers(study, open_claim.next_jobs())
    jobs = tuple(job for job in needed if job not in statuses)
    if open_claim.measurement.stale and not all(map(is_trained, jobs)):
        return "not worth more seeds: its records are stale, and new ones would not be comparable"
    plan = result.plan
    step = costs.sum(with_teachers(study, open_claim.jobs(study.seeds[:1])))
    return Offer(
        jobs,
        costs.sum(jobs),
        open_claim.seeds_to_decide() * step,
        decision_probability(
            plan.test, open_claim.looks, result.family_size, len(result.required_tests)
        ),
    )


@dataclass(frozen=True)
class OpenClaim:
    """An undecided claim: its deciding test with the trainings that it compares, and the plan to decide it."""

    limits: AdaptiveSpec
    own_seeds: tuple[int, ...]
    places: Sequence[Place]
    plan: Plan
    measurement: Measurement
    looks: Looks

    def jobs(self, seeds: Iterable[int]) -> list[Job]:
        return [place.job(seed) for place in self.places for seed in seeds]

    def next_jobs(self) -> list[Job]:
        """All added seeds up to the next look, including those that are already requested."""
        order, num_own = self.limits.order(self.own_seeds), len(self.own_seeds)
        counts = self.looks.next_counts
        return [
            place.job(seed)
            for place, count in zip(self.places, counts, strict=True)
            for seed in order[num_own:count]
        ]

    def seeds_to_decide(self) -> int:
        """How many more seeds the observed difference requires: at least one, at most `max_seeds`."""
        limit, required = self.limits.max_seeds, self.plan.required
        total = limit if required is None or required.seeds is None else min(required.seeds, limit)
        return max(total - self.looks.schedule[self.looks.taken - 1], 1)

    def find_obstacle(self, statuses: Mapping[Job, str]) -> str:
        """Why it is not worth more seeds, or has to wait; empty without an obstacle."""
        limit = self.limits.max_seeds
        if self.looks.taken >= self.looks.planned:
            return f"undecided at the last look, with {limit} seeds"
        if self.plan.required is None:
            return f"not worth more seeds: {self.plan.reason}"
        optimistic = self.plan.required.at_low_sd
        if optimistic is None or optimistic > limit:
            number = "no number is enough" if optimistic is None else optimistic
            return (
                f"not worth more seeds: the observed difference requires more than max_seeds = {limit}, "
                f"even with the smallest plausible spread over seeds ({number})"
            )
        for job in self.jobs(self.own_seeds) + self.next_jobs():
            if job in statuses and statuses[job] not in SETTLED:
                return f"{WAITS} for the record of {job}, which is {statuses[job]}"
        return ""


def _open_claim(study: StudySpec, plan: Plan, places: Sequence[Place]) -> OpenClaim:
    measurement = plan.test.measurement
    # A test with a plan has a measurement, and one of an adaptive study has looks.
    assert measurement
    assert measurement.looks
    assert study.adaptive
    return OpenClaim(study.adaptive, study.seeds, places, plan, measurement, measurement.looks)


def _is_adaptive(study: StudySpec, result: ClaimResult) -> bool:
    """Whether all that the claim compares are trainings: fine-tunings have the study's seeds."""
    test, training = result.claim.test, result.about.training
    if test.metric not in TRAINED_METRICS or training is None:
        return False
    places = locate_sides(study, result.about, test.sides)
    return all(one.kind == "train" for one in [p.experiment for p in places] or [training])


def _fits(budget: Spent, jobs: Sequence[Job], costs: Costs) -> bool:
    in_seeds = budget.left_seeds is None or len(jobs) <= budget.left_seeds
    return in_seeds and (budget.left_minutes is None or costs.sum(jobs) <= budget.left_minutes)


def _spent(limits: AdaptiveSpec, looks: Sequence[Look], costs: Costs) -> Spent:
    jobs = {job for look in looks for job in look.jobs}
    minutes = costs.taken(jobs)
    return Spent(
        used_seeds=len(jobs),
        used_minutes=minutes,
        left_seeds=None if limits.budget_seeds is None else max(limits.budget_seeds - len(jobs), 0),
        left_minutes=(
            None if limits.minutes_limit is None else max(limits.minutes_limit - minutes, 0.0)
        ),
    )


def _stop(
    study: StudySpec, results: Sequence[ClaimResult], reasons: Sequence[str], any_offer: bool
) -> str:
    if any(reason.startswith(WAITS) for reason in reasons):
        return WAITING
    if any_offer:
        return NO_BUDGET
    open_ones = [
        r for r in results if _is_adaptive(study, r) and r.verdict in (UNDECIDED, UNTESTED)
    ]
    return NONE_WORTH if open_ones else ALL_DECIDED


def _group_seeds(jobs: Iterable[Job]) -> tuple[WantedSeeds, ...]:
    by_variant: dict[tuple[str, str, str], list[int]] = {}
    for job in jobs:
        by_variant.setdefault((job.dataset, job.recipe, job.variant), []).append(job.seed)
    return tuple(
        WantedSeeds(dataset=dataset, recipe=recipe, variant=variant, seeds=tuple(sorted(seeds)))
        for (dataset, recipe, variant), seeds in sorted(by_variant.items())
    )


def describe_seeds(jobs: Iterable[Job]) -> str:
    """'seeds 3, 4 of B and seeds 3, 4 of A', with the recipes where there are several."""
    jobs = list(jobs)
    several = len({job.recipe for job in jobs}) > 1
    by_variant: dict[str, list[str]] = {}
    for job in jobs:
        name = f"{job.variant} by {job.recipe}" if several else job.variant
        by_variant.setdefault(name, []).append(str(job.seed))
    return " and ".join(
        f"seed{'s' if len(seeds) > 1 else ''} {', '.join(seeds)} of {name}"
        for name, seeds in by_variant.items()
    )


def _record_claim(result: ClaimResult, reason: str, answer: Offer | str) -> ClaimAtLook:
    offer = answer if isinstance(answer, Offer) else None
    test = result.deciding_test
    measurement = test and test.measurement
    return ClaimAtLook(
        name=result.claim.name,
        verdict=result.verdict,
        comparison=test.hypothesis.text if test else None,
        num_seeds=int(measurement.estimate.num_seeds)
        if measurement and measurement.num_images
        else None,
        look=result.looks.taken if result.looks else None,
        **{name: _finite(getattr(result, name)) for name in ("p_for", "p_against", "corrected_p")},
        reason=reason,
        minutes=offer.minutes if offer else None,
        probability=offer.probability if offer else None,
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
