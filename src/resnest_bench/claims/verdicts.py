"""Verdicts on claims from the records: supported, contradicted, undecided or untested.

A claim is a conjunction of hypotheses. The p-value for it is the largest p-value for one of them
(intersection-union test; Berger, Technometrics 24 (1982) 295). The p-value against it is the smallest
one against a hypothesis, times their number (Bonferroni): a single false hypothesis is enough. The
two-sided p is twice the smaller of the two, at most 1. Holm's correction covers all tested claims of
the study: the probability that any verdict of the table is wrong is at most 5 %.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from resnest_bench.claims.hypotheses import HypothesisTest, run_tests
from resnest_bench.comparisons.evidence import Evidence, Measurement, find_experiments
from resnest_bench.comparisons.sides import Place, locate_sides
from resnest_bench.paths import Experiment, Job
from resnest_bench.specs import ClaimSpec, StudySpec
from resnest_bench.specs.scores import TRAINED_METRICS
from resnest_bench.stats.multiplicity import holm
from resnest_bench.stats.power import (
    ALPHA,
    MAX_SEEDS,
    POWER,
    RequiredSeeds,
    plan_seeds,
    required_seeds,
)
from resnest_bench.stats.sequential import Looks
from resnest_bench.stats.summary import Array
from resnest_bench.status.outcomes import Outcome
from resnest_bench.tables.selection import Experiments

SUPPORTED, CONTRADICTED = "supported", "contradicted"
UNDECIDED, UNTESTED = "undecided", "untested"
VERDICTS = (SUPPORTED, CONTRADICTED, UNDECIDED, UNTESTED)


@dataclass(frozen=True)
class Plan:
    """The paired seeds (or rounds), in total, that would decide a claim, given the observed difference.

    `test` is the one that requires them. `reason` says why no number is enough.
    """

    test: HypothesisTest
    required: RequiredSeeds | None
    reason: str = ""

    def describe(self, timed: bool) -> str:
        """'about 14 paired seeds in total (6 to 120)', or why no number of them is enough."""
        if self.required is None:
            return self.reason
        word = "rounds" if timed else "paired seeds"
        if self.required.seeds is None:
            return f"more than {MAX_SEEDS:,} {word}"
        low, high = (
            f"{limit:,}" if limit is not None else f"more than {MAX_SEEDS:,}"
            for limit in (self.required.at_low_sd, self.required.at_high_sd)
        )
        return f"about {self.required.seeds:,} {word} in total ({low} to {high})"


@dataclass(frozen=True)
class ClaimResult:
    """A claim, the tests of its hypotheses and the verdict.

    `deciding_test` is the test that the verdict depends on. For an untested claim it is the first test
    with a measurement, or None. `label` is the dataset's label in the records.
    """

    claim: ClaimSpec
    about: Experiments
    label: str | None
    tests: tuple[HypothesisTest, ...]
    p_for: float
    p_against: float
    p: float
    holm_p: float
    verdict: str
    deciding_test: HypothesisTest | None
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
        """The looks of the deciding test; None if its seeds or rounds are fixed, or without a test."""
        measurement = self.deciding_test and self.deciding_test.measurement
        return measurement.looks if measurement else None

    @property
    def required_tests(self) -> list[HypothesisTest]:
        """The tests of hypotheses that are part of the claim."""
        return [test for test in self.tests if not test.excluded]

    @property
    def completed_tests(self) -> list[HypothesisTest]:
        """The tests with a result."""
        return [test for test in self.tests if test.has_result]


def claim_jobs(study: StudySpec) -> list[Job]:
    """Trainings and fine-tunings whose records the claims need, since they hold per-image results."""
    needed: dict[Job, None] = {}
    jobs = study.jobs()
    for claim in study.claims:
        if claim.test.metric not in TRAINED_METRICS:
            continue
        about = find_experiments(study, claim)
        places = set(locate_sides(study, about, claim.test.sides))
        for job in jobs:
            named = Place(job.experiment, job.variant) in places
            if named or (not claim.test.sides and job.experiment == about.training):
                needed[job] = None
    return list(needed)


def claim_results(
    study: StudySpec,
    runs: pd.DataFrame,
    cells: pd.DataFrame,
    job_outcomes: Iterable[Outcome],
) -> list[ClaimResult]:
    """Test each claim of the study, in its order.

    `runs` and `cells` are those of `Frames`, `job_outcomes` those of `claim_jobs`. As in all tables, stale
    records count only if a variant has no others, and are marked.
    """
    evidence = Evidence(study, runs, cells, job_outcomes)
    experiments = [find_experiments(study, claim) for claim in study.claims]
    tests_by_claim = [
        run_tests(claim, evidence, about)
        for claim, about in zip(study.claims, experiments, strict=True)
    ]
    p_values = [_claim_p_values(tests) for tests in tests_by_claim]
    p_for, p_against = np.array(p_values).reshape(-1, 2).T
    two_sided = np.asarray(two_sided_p(p_for, p_against))
    corrected, words = map(np.asarray, decide_verdicts(p_for, p_against))
    num_tested = int(np.sum(np.isfinite(two_sided) & (two_sided > 0)))
    results = []
    for i, claim in enumerate(study.claims):
        tests, about = tests_by_claim[i], experiments[i]
        verdict, plan = _conclude(tests, str(words[i]), num_tested)
        deciding_test = plan.test if plan else _find_deciding_test(tests, verdict)
        experiment = about.latency if claim.test.metric == "latency" else about.training
        label = evidence.label(experiment and experiment.dataset)
        results.append(
            ClaimResult(
                claim,
                about,
                label,
                tuple(tests),
                p_for=float(p_for[i]),
                p_against=float(p_against[i]),
                p=float(two_sided[i]),
                holm_p=float(corrected[i]),
                verdict=verdict,
                deciding_test=deciding_test,
                plan=plan,
            )
        )
    return results


def combine_p_values(
    p_for_K: Array | Sequence[float], p_against_K: Array | Sequence[float]
) -> tuple[Array, Array]:
    """p for and against a conjunction of K hypotheses, along the last axis.

    For: the largest p-value. Against: K times the smallest one, at most 1.
    """
    p_for, p_against = np.asarray(p_for_K), np.asarray(p_against_K)
    count = p_against.shape[-1]
    return p_for.max(axis=-1), np.minimum(count * p_against.min(axis=-1), 1.0)


def two_sided_p(p_for: Array, p_against: Array) -> Array:
    """Twice the smaller of the two p-values, at most 1; NaN without a test."""
    p: Array = np.minimum(2 * np.minimum(p_for, p_against), 1.0)
    return p


def decide_verdicts(
    p_for_C: Array, p_against_C: Array, alpha: float = ALPHA
) -> tuple[Array, Array]:
    """Holm's p-values over the claims along the last axis, and the verdicts as words.

    An untested claim has NaN and is not in the family. Neither, in effect, is a claim about counts: its
    p of 0 takes Holm's first step and leaves the others theirs.
    """
    corrected = holm(np.asarray(two_sided_p(p_for_C, p_against_C)))
    direction = np.where(np.less(p_for_C, p_against_C), SUPPORTED, CONTRADICTED)
    words = np.where(corrected <= alpha, direction, UNDECIDED)
    return corrected, np.where(np.isnan(corrected), UNTESTED, words)


def _claim_p_values(tests: Sequence[HypothesisTest]) -> tuple[float, float]:
    """p of the conjunction. A hypothesis without a test may be false, so the claim can't be supported."""
    required = [test for test in tests if not test.excluded]
    completed = [test for test in required if test.has_result]
    if not completed:
        return math.nan, math.nan
    p_for, p_against = combine_p_values(
        [test.p_for for test in completed], [test.p_against for test in completed]
    )
    return (float(p_for) if len(completed) == len(required) else 1.0), float(p_against)


def _conclude(tests: list[HypothesisTest], word: str, num_claims: int) -> tuple[str, Plan | None]:
    """The verdict, and what would decide it. More seeds don't help a claim that lacks a test."""
    if word != UNDECIDED:
        return word, None
    if not all(test.has_result or test.excluded for test in tests):
        return UNTESTED, None
    return UNDECIDED, _plan_claim([test for test in tests if test.has_result], num_claims)


def _find_deciding_test(tests: list[HypothesisTest], verdict: str) -> HypothesisTest | None:
    completed = [test for test in tests if test.has_result]
    if not completed:
        return next((test for test in tests if test.measurement), None)
    if verdict == CONTRADICTED:
        return min(completed, key=lambda test: test.p_against)
    return max(completed, key=lambda test: test.p_for)


def _plan_claim(tests: list[HypothesisTest], num_claims: int) -> Plan:
    """The seeds that the claim requires if every true difference is the observed one.

    If all differences agree with the claim, the most demanding test must support it. Otherwise the
    least demanding of the other tests must contradict it. The level is Bonferroni's over the
    `num_claims` tested claims, the strictest level in Holm's correction.
    """
    contrary = [test for test in tests if not _agrees(test)]
    if contrary:
        extendable = [test for test in contrary if not _is_at_last_look(test)] or contrary
        alpha = ALPHA / (num_claims * len(tests))
        return min((_plan_test(test, alpha, POWER) for test in extendable), key=_demand)
    # In an adaptive study the most demanding test may already have enough seeds.
    alpha = ALPHA / num_claims
    unclear = [t for t in tests if not _get_measurement(t).looks or 2 * t.p_for > alpha] or tests
    return max((_plan_test(test, alpha, POWER) for test in unclear), key=_demand)


def _get_measurement(test: HypothesisTest) -> Measurement:
    assert test.measurement is not None, "a test with a result has a measurement"
    return test.measurement


def _is_at_last_look(test: HypothesisTest) -> bool:
    looks = _get_measurement(test).looks
    return looks is not None and looks.taken == looks.planned


def _agrees(test: HypothesisTest) -> bool:
    """Whether the observed mean is in the band of the hypothesis."""
    mean = float(_get_measurement(test).estimate.mean)
    return test.hypothesis.low < mean < test.hypothesis.high


def _demand(plan: Plan) -> float:
    """The required seeds; infinite if no number is enough."""
    if plan.required is None or plan.required.seeds is None:
        return math.inf
    return plan.required.seeds


def _plan_test(test: HypothesisTest, alpha: float, power: float) -> Plan:
    hypothesis, measurement = test.hypothesis, _get_measurement(test)
    estimate = measurement.estimate
    limits = [limit for limit in (hypothesis.low, hypothesis.high) if math.isfinite(limit)]
    distance = min(abs(float(estimate.mean) - limit) for limit in limits)
    sd = math.sqrt(estimate.seed_variance * estimate.num_seeds)
    if measurement.same_predictions:
        return Plan(test, None, "both made the same predictions in every seed")
    if distance == 0:
        return Plan(test, None, "the observed difference is 0")
    if len(limits) > 1:
        if _agrees(test):
            # Two one-sided tests must both succeed, so each may fail with half the probability.
            power = 1 - (1 - power) / 2
        else:
            alpha /= 2
    image_error = math.sqrt(estimate.image_variance)
    if measurement.looks:
        alpha /= measurement.looks.planned
    required = plan_seeds(distance, sd, estimate.num_seeds, image_error, alpha, power)
    if required.seeds is None and required_seeds(distance, sd, 0.0, alpha, power) is not None:
        reason = (
            f"no number of seeds is enough: the {measurement.num_images:,} test images alone leave a "
            f"standard error of {image_error:.2g} points, and the deciding distance is only "
            f"{distance:.2g} points"
        )
        return Plan(test, None, reason)
    return Plan(test, required)
