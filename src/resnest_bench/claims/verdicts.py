"""Claims and what the records say of them: supported, contradicted, undecided or untested.

A claim is a conjunction of elementary comparisons. It is supported by the largest of their p-values
for it (intersection-union test; Berger, Technometrics 24 (1982) 295), and contradicted by the
smallest one against it, times their number (Bonferroni): one comparison that is false is enough. Its
two-sided p is twice the smaller of the two, at most 1, and Holm's correction goes over all tested
claims of the study: the probability that any verdict of the table is wrong is at most 5 %.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from resnest_bench.claims.hypotheses import Comparison, list_comparisons
from resnest_bench.comparisons.evidence import Evidence, Measured, find_experiments
from resnest_bench.paths import Experiment, Job
from resnest_bench.specs import ClaimSpec, StudySpec
from resnest_bench.stats.multiplicity import holm
from resnest_bench.stats.power import ALPHA, POWER, RequiredSeeds, plan_seeds, required_seeds
from resnest_bench.stats.sequential import Looks
from resnest_bench.stats.summary import Array
from resnest_bench.status.outcomes import Outcome
from resnest_bench.tables.selection import Experiments

SUPPORTED, CONTRADICTED = "supported", "contradicted"
UNDECIDED, UNTESTED = "undecided", "untested"
VERDICTS = (SUPPORTED, CONTRADICTED, UNDECIDED, UNTESTED)


@dataclass(frozen=True)
class Plan:
    """How many paired seeds (or rounds), in all, would decide a claim at what was now seen.

    `comparison` is the one that needs them; `why_none` says why no number would do.
    """

    comparison: Comparison
    needed: RequiredSeeds | None
    why_none: str = ""


@dataclass(frozen=True)
class ClaimResult:
    """A claim, its comparisons and the verdict. `lead` is the comparison that the verdict hangs on:
    of an untested claim the first one that was measured, or None.

    `dataset` is that of its accuracy or latency, `label` what records call it.
    """

    claim: ClaimSpec
    about: Experiments
    label: str | None
    comparisons: tuple[Comparison, ...]
    p_for: float
    p_against: float
    p: float
    holm_p: float
    verdict: str
    lead: Comparison | None
    plan: Plan | None

    @property
    def timed(self) -> bool:
        """Whether it is about a latency: rounds, not seeds."""
        return self.claim.test.metric == "latency"

    @property
    def experiment(self) -> Experiment | None:
        return self.about.latency if self.timed else self.about.training

    @property
    def looks(self) -> Looks | None:
        """Those at the lead comparison; None: its seeds or rounds are fixed, or it has none."""
        return self.lead.measured.looks if self.lead and self.lead.measured else None

    @property
    def asked(self) -> list[Comparison]:
        """Comparisons that are part of the claim."""
        return [c for c in self.comparisons if not c.left_out]

    @property
    def tested(self) -> list[Comparison]:
        return [c for c in self.comparisons if c.tested]


def claim_jobs(study: StudySpec) -> list[Job]:
    """Trainings and fine-tunings whose records the claims need: those tell single images apart."""
    wanted: dict[Job, None] = {}
    jobs = study.jobs()
    for claim in study.claims:
        if claim.test.metric != "accuracy":
            continue
        training, names = find_experiments(study, claim).training, set(claim.test.variants_named)
        for job in jobs:
            if job.experiment == training and (not names or job.variant in names):
                wanted[job] = None
    return list(wanted)


def claim_results(
    study: StudySpec, runs: pd.DataFrame, cells: pd.DataFrame, found: Iterable[Outcome]
) -> list[ClaimResult]:
    """What the records say of each claim of the study, in its order.

    `runs` and `cells` are those of `Frames`, `found` the outcomes of `claim_jobs`. Of stale records the
    rule of all tables holds: they count only where a variant has no others, and are marked.
    """
    evidence = Evidence(study, runs, cells, found)
    experiments = [find_experiments(study, claim) for claim in study.claims]
    every = [
        list_comparisons(claim, evidence, about)
        for claim, about in zip(study.claims, experiments, strict=True)
    ]
    p_for, p_against = np.array([_claim_p_values(c) for c in every]).reshape(-1, 2).T
    two_sided = np.asarray(two_sided_p(p_for, p_against))
    corrected, words = map(np.asarray, verdicts(p_for, p_against))
    size = int(np.sum(np.isfinite(two_sided) & (two_sided > 0)))
    results = []
    for i, claim in enumerate(study.claims):
        verdict, plan = _concluded(every[i], str(words[i]), size)
        lead = plan.comparison if plan else _lead(every[i], verdict)
        about = experiments[i]
        chosen = about.latency if claim.test.metric == "latency" else about.training
        label = evidence.label(chosen and chosen.dataset)
        results.append(
            ClaimResult(
                claim,
                about,
                label,
                tuple(every[i]),
                p_for=float(p_for[i]),
                p_against=float(p_against[i]),
                p=float(two_sided[i]),
                holm_p=float(corrected[i]),
                verdict=verdict,
                lead=lead,
                plan=plan,
            )
        )
    return results


def conjunction_p(
    p_for_K: Array | Sequence[float], p_against_K: Array | Sequence[float]
) -> tuple[Array, Array]:
    """p for and against "all of them", along the last axis: the largest, and K times the smallest."""
    p_for, p_against = np.asarray(p_for_K), np.asarray(p_against_K)
    count = p_against.shape[-1]
    return p_for.max(axis=-1), np.minimum(count * p_against.min(axis=-1), 1.0)


def two_sided_p(p_for: Array, p_against: Array) -> Array:
    """Twice the smaller of the two, at most 1; NaN where there is no test."""
    p: Array = np.minimum(2 * np.minimum(p_for, p_against), 1.0)
    return p


def verdicts(p_for_C: Array, p_against_C: Array, alpha: float = ALPHA) -> tuple[Array, Array]:
    """Holm's p-values over the claims of the last axis, and the verdicts as words.

    NaN, of an untested claim, is out of the family. So is, in effect, a claim about counts: its p of 0
    takes Holm's first step, which leaves the others theirs.
    """
    corrected = holm(np.asarray(two_sided_p(p_for_C, p_against_C)))
    direction = np.where(np.less(p_for_C, p_against_C), SUPPORTED, CONTRADICTED)
    words = np.where(corrected <= alpha, direction, UNDECIDED)
    return corrected, np.where(np.isnan(corrected), UNTESTED, words)


def _claim_p_values(comparisons: Sequence[Comparison]) -> tuple[float, float]:
    """p of the conjunction. What is not tested may be false: it can't support, only the others can
    contradict."""
    asked = [c for c in comparisons if not c.left_out]
    known = [c for c in asked if c.tested]
    if not known:
        return math.nan, math.nan
    p_for, p_against = conjunction_p([c.p_for for c in known], [c.p_against for c in known])
    return (float(p_for) if len(known) == len(asked) else 1.0), float(p_against)


def _concluded(comparisons: list[Comparison], word: str, size: int) -> tuple[str, Plan | None]:
    """The verdict, and what would decide it: a claim that lacks a comparison needs no more seeds."""
    if word != UNDECIDED:
        return word, None
    if not all(c.tested or c.left_out for c in comparisons):
        return UNTESTED, None
    return UNDECIDED, _plan([c for c in comparisons if c.tested], size)


def _lead(comparisons: list[Comparison], verdict: str) -> Comparison | None:
    known = [c for c in comparisons if c.tested]
    if not known:
        return next((c for c in comparisons if c.measured), None)
    if verdict == CONTRADICTED:
        return min(known, key=lambda c: c.p_against)
    return max(known, key=lambda c: c.p_for)


def _plan(known: list[Comparison], size: int) -> Plan:
    """The seeds that the claim would need, were every difference what it now seems.

    Where all comparisons lean towards the claim, those of the most demanding one would support it.
    Else those of the least demanding of the others would contradict it. The level is Bonferroni's
    over the `size` claims that were tested, which is what Holm asks at most.
    """
    leaning = [c for c in known if not _inside(c)]
    if leaning:
        may_grow = [c for c in leaning if not _at_last_look(c)] or leaning
        plans = [_comparison_plan(c, ALPHA / (size * len(known)), POWER) for c in may_grow]
        return min(plans, key=_demand)
    # Where seeds are added, the most demanding comparison may be the one that has enough of them.
    unclear = [c for c in known if not _measured(c).looks or 2 * c.p_for > ALPHA / size] or known
    plans = [_comparison_plan(c, ALPHA / size, POWER) for c in unclear]
    return max(plans, key=_demand)


def _measured(comparison: Comparison) -> Measured:
    assert comparison.measured is not None, "what is tested was measured"
    return comparison.measured


def _at_last_look(comparison: Comparison) -> bool:
    looks = _measured(comparison).looks
    return looks is not None and looks.taken == looks.planned


def _inside(comparison: Comparison) -> bool:
    mean = float(_measured(comparison).error.mean)
    return comparison.question.low < mean < comparison.question.high


def _demand(plan: Plan) -> float:
    return math.inf if plan.needed is None or plan.needed.seeds is None else plan.needed.seeds


def _comparison_plan(comparison: Comparison, alpha: float, wanted: float) -> Plan:
    question, measured = comparison.question, _measured(comparison)
    error = measured.error
    ends = [end for end in (question.low, question.high) if math.isfinite(end)]
    distance = min(abs(float(error.mean) - end) for end in ends)
    sd = math.sqrt(error.seed_variance * error.num_seeds)
    if measured.same_predictions:
        return Plan(comparison, None, "they made the same predictions in every seed")
    if distance == 0:
        return Plan(comparison, None, "no difference was seen")
    if len(ends) > 1:
        if _inside(comparison):
            # Two tests must both succeed: each fails with half of the probability.
            wanted = 1 - (1 - wanted) / 2
        else:
            alpha /= 2
    image_error = math.sqrt(error.image_variance)
    if measured.looks:
        alpha /= measured.looks.planned
    needed = plan_seeds(distance, sd, error.num_seeds, image_error, alpha, wanted)
    if needed.seeds is None and required_seeds(distance, sd, 0.0, alpha, wanted) is not None:
        why = (
            f"no number of seeds would: the {measured.num_images:,} test images alone leave a standard "
            f"error of {image_error:.2g} points, too much for the {distance:.2g} points that decide"
        )
        return Plan(comparison, None, why)
    return Plan(comparison, needed)
