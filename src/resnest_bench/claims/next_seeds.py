"""Which seeds to train next, of an adaptive study: the decision that the workflow goes on by.

It follows from the records alone: the same records give the same decision.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from resnest_bench.claims.verdicts import (
    UNDECIDED,
    UNTESTED,
    ClaimResult,
    Plan,
    claim_jobs,
    claim_results,
)
from resnest_bench.comparisons.evidence import SETTLED, Measured
from resnest_bench.errors import UserError
from resnest_bench.frames.cache import load_frames
from resnest_bench.paths import Experiment, Job, StudyPaths
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
)
from resnest_bench.stats.power import ALPHA
from resnest_bench.stats.sequential import Looks
from resnest_bench.status.fingerprints import read_fingerprints
from resnest_bench.status.outcomes import Outcome, outcomes

ALL_DECIDED = "every claim on a trained accuracy is decided"
NONE_WORTH = "no undecided claim is worth a seed"
WAITING = "a claim waits for a record that is missing or can't be read"
WAITS = "has to wait"
NO_BUDGET = "the budget is used up: the next step of no undecided claim fits in what is left"


@dataclass(frozen=True)
class Offer:
    """The next step of one claim: its trainings, and what deciding it may cost in minutes."""

    jobs: tuple[Job, ...]
    minutes_to_decide: float


class Costs:
    """Minutes that one more training of a variant takes: the mean of those that have ended."""

    def __init__(self, found: Iterable[Outcome]) -> None:
        self._minutes: dict[tuple[str, str, str], list[float]] = {}
        self._of_job: dict[Job, float] = {}
        for outcome in found:
            if outcome.record and outcome.record.train:
                job, minutes = outcome.job, outcome.record.train.wall_seconds / 60
                self._of_job[job] = minutes
                self._minutes.setdefault((job.dataset, job.recipe, job.variant), []).append(minutes)

    def sum(self, jobs: Iterable[Job]) -> float:
        """Of those that are to come; of a variant of which none has ended 0."""
        return sum(
            fmean(self._minutes.get((job.dataset, job.recipe, job.variant), [0.0])) for job in jobs
        )

    def taken(self, jobs: Iterable[Job]) -> float:
        """Of those that have ended; one that failed has no time."""
        return sum(self._of_job.get(job, 0.0) for job in jobs)


def decide(study: StudySpec, paths: StudyPaths, number: int) -> Look:
    """Look `number` (from 0) at the records of the study and of the looks before it.

    Raises UserError where the study isn't adaptive or a look before it is missing.
    """
    if study.adaptive is None:
        raise UserError(
            f"study {study.study!r} has a fixed number of seeds: give it an adaptive block "
            "(config/README.md) to have seeds added where claims are undecided"
        )
    looks = read_looks(study, paths, before=number)
    if len(looks) < number:
        raise UserError(
            f"look {number} follows look {number - 1}, but {paths.look(len(looks))} is missing, or is "
            "of another study, or the looks ended before it: run the workflow, which takes them in turn"
        )
    whole, fingerprints = extended(study, looks), read_fingerprints(study)
    frames = load_frames(whole, paths, fingerprints)
    found = outcomes(whole, paths, fingerprints, jobs=claim_jobs(whole))
    results = claim_results(whole, frames.runs, frames.cells, found)
    previous = file_digest(paths.look(number - 1)) if number else None
    return Look(
        study=study.study,
        look=number,
        previous=previous,
        num_looks=planned_looks(study),
        nominal_level=ALPHA / planned_looks(study),
        records={paths.record_name(o.job): file_digest(o.path) for o in found if o.record},
        **decision(study, looks, results, found, lambda job: paths.record(job).exists()),
    )


def decision(
    study: StudySpec,
    looks: Sequence[Look],
    results: Sequence[ClaimResult],
    found: Sequence[Outcome],
    is_trained: Callable[[Job], bool] = lambda job: False,
) -> dict[str, Any]:
    """The fields `claims`, `wanted`, `budget` and `stop` of a Look.

    Claims are served in the order of what deciding them would cost at what was seen, the cheapest
    first, each with the next step of the comparison that its verdict hangs on, while it fits in the
    budget. `is_trained` tells which of the seeds that may be added have a record already, of looks that
    were taken before the claims were edited.
    """
    costs, statuses = Costs(found), {outcome.job: outcome.status for outcome in found}
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
            reasons[i] = f"gets {seeds_text(offer.jobs)}"
        else:
            reasons[i] = (
                f"its next step ({len(new)} trainings, about {costs.sum(new):.3g} minutes) does not fit "
                "in what is left of the budget"
            )
    return {
        "claims": tuple(map(_at_look, results, reasons)),
        "wanted": _grouped(granted),
        "budget": budget,
        "stop": "" if granted else _stop(results, reasons, bool(offers)),
    }


def next_step(
    study: StudySpec,
    result: ClaimResult,
    statuses: Mapping[Job, str],
    costs: Costs,
    is_trained: Callable[[Job], bool],
) -> Offer | str:
    """What more seeds of a claim's lead comparison would be, or why it gets none."""
    if not _is_adaptive(result):
        return "its seeds or rounds are fixed"
    if result.verdict == UNTESTED:
        reasons = dict.fromkeys(c.reason for c in result.comparisons if c.reason)
        return f"can't be tested: {'; '.join(reasons) or 'nothing to compare'}"
    if result.plan is None:
        return f"decided: {result.verdict}"
    asked = _open_claim(study, result.plan, result.about.training)
    hindrance = asked.hindrance(statuses)
    if hindrance:
        return hindrance
    jobs = tuple(job for job in asked.next_jobs() if job not in statuses)
    if asked.measured.stale and not all(map(is_trained, jobs)):
        return "not worth a seed: its records are stale, and new ones would not be like them"
    return Offer(jobs, asked.seeds_to_decide() * costs.sum(asked.jobs([0])))


@dataclass(frozen=True)
class OpenClaim:
    """An undecided claim: the comparison that it hangs on, and what would decide it."""

    limits: AdaptiveSpec
    own_seeds: tuple[int, ...]
    experiment: Experiment
    plan: Plan
    measured: Measured
    looks: Looks

    def jobs(self, seeds: Iterable[int]) -> list[Job]:
        names = self.plan.comparison.question.variants
        return [Job(*self.experiment, name, seed) for name in names for seed in seeds]

    def next_jobs(self) -> list[Job]:
        """All added seeds up to those of the next look, those that were asked for among them."""
        steps = self.limits.steps(self.own_seeds)[: self.looks.taken]
        return self.jobs([seed for step in steps for seed in step])

    def seeds_to_decide(self) -> int:
        """How many more at what was seen: one at least, and not more than there may be."""
        most, needed = self.limits.max_seeds, self.plan.needed
        wanted = most if needed is None or needed.seeds is None else min(needed.seeds, most)
        return max(wanted - self.measured.error.num_seeds, 1)

    def hindrance(self, statuses: Mapping[Job, str]) -> str:
        """Why it is not worth a seed, or has to wait; empty where nothing is in the way."""
        most = self.limits.max_seeds
        if self.looks.taken >= self.looks.planned:
            return f"undecided at the last look, with {most} seeds"
        if self.plan.needed is None:
            return f"not worth a seed: {self.plan.why_none}"
        least = self.plan.needed.at_low_sd
        if least is None or least > most:
            return (
                f"not worth a seed: at the difference seen it would need more than max_seeds = {most}, even "
                f"if seeds vary as little as they may ({'no number is enough' if least is None else least})"
            )
        for job in self.jobs(self.own_seeds) + self.next_jobs():
            if job in statuses and statuses[job] not in SETTLED:
                return f"{WAITS}: the record of {job} is {statuses[job]}"
        return ""


def _open_claim(study: StudySpec, plan: Plan, experiment: Experiment | None) -> OpenClaim:
    measured = plan.comparison.measured
    # A plan is of a comparison that was tested; looks are there where the seeds are not fixed.
    assert measured
    assert measured.looks
    assert study.adaptive
    assert experiment
    return OpenClaim(study.adaptive, study.seeds, experiment, plan, measured, measured.looks)


def _is_adaptive(result: ClaimResult) -> bool:
    return result.claim.test.metric == "accuracy" and _is_training(result.about.training)


def _is_training(experiment: Experiment | None) -> bool:
    return experiment is not None and experiment.kind == "train"


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
            None if limits.budget_minutes is None else max(limits.budget_minutes - minutes, 0.0)
        ),
    )


def _stop(results: Sequence[ClaimResult], reasons: Sequence[str], any_offer: bool) -> str:
    if any(reason.startswith(WAITS) for reason in reasons):
        return WAITING
    if any_offer:
        return NO_BUDGET
    open_ones = [r for r in results if _is_adaptive(r) and r.verdict in (UNDECIDED, UNTESTED)]
    return NONE_WORTH if open_ones else ALL_DECIDED


def _grouped(jobs: Iterable[Job]) -> tuple[WantedSeeds, ...]:
    by_variant: dict[tuple[str, str, str], list[int]] = {}
    for job in jobs:
        by_variant.setdefault((job.dataset, job.recipe, job.variant), []).append(job.seed)
    return tuple(
        WantedSeeds(dataset=dataset, recipe=recipe, variant=variant, seeds=tuple(sorted(seeds)))
        for (dataset, recipe, variant), seeds in sorted(by_variant.items())
    )


def seeds_text(jobs: Iterable[Job]) -> str:
    """'seeds 3, 4 of B and seeds 3, 4 of A'."""
    by_variant: dict[str, list[str]] = {}
    for job in jobs:
        by_variant.setdefault(job.variant, []).append(str(job.seed))
    return " and ".join(
        f"seed{'s' if len(seeds) > 1 else ''} {', '.join(seeds)} of {name}"
        for name, seeds in by_variant.items()
    )


def _at_look(result: ClaimResult, reason: str) -> ClaimAtLook:
    lead = result.lead
    measured = lead and lead.measured
    return ClaimAtLook(
        name=result.claim.name,
        verdict=result.verdict,
        comparison=lead.question.text if lead else None,
        num_seeds=measured.error.num_seeds if measured and measured.num_images else None,
        look=result.looks.taken if result.looks else None,
        **{name: _finite(getattr(result, name)) for name in ("p_for", "p_against", "holm_p")},
        reason=reason,
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
