"""Verdicts on claims from the records: supported, contradicted, undecided or untested.

A claim is a conjunction of hypotheses. The p-value for it is the largest p-value for one of them
(intersection-union test; Berger, Technometrics 24 (1982) 295). The p-value against it is the smallest
one against a hypothesis, times their number (Bonferroni): a single false hypothesis is enough.

A claim is true or false, and only one verdict on it can be wrong: 'supported' if it is false,
'contradicted' if it is true. So its p is the smaller of the two, undoubled. In return the correction over
the claims is Bonferroni's: Holm's would rest on claims that have no true hypothesis to reject, and here
each has one. Claims on trained networks and claims on latencies are two families. In each the probability
that any verdict is wrong is at most 5 %. Primary claims come first; the others of their family are
decided only if all primary ones are (a fixed sequence; Maurer, Hothorn and Lehmacher, 1995).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from resnest_bench.claims.hypotheses import HypothesisTest, run_tests
from resnest_bench.comparisons.evidence import Evidence, find_experiments
from resnest_bench.comparisons.measurement import Measurement
from resnest_bench.comparisons.sides import Place, locate_sides
from resnest_bench.paths import Experiment, Job
from resnest_bench.specs import ClaimSpec, StudySpec
from resnest_bench.specs.claims import TIMED_METRICS
from resnest_bench.specs.scores import TRAINED_METRICS
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
TRAINED, TIMED, COUNTED = "trained networks", "latencies", "counts"


@dataclass(frozen=True)
class Plan:
    """The seeds of each network (or rounds) that would decide a claim, given the observed difference.

    `test` is the one that requires them. `reason` says why no number is enough.
    """

    test: HypothesisTest
    required: RequiredSeeds | None
    reason: str = ""

    def describe(self, timed: bool) -> str:
        """'about 14 seeds of each network (6 to 120)', or why no number of them is enough."""
        if self.required is None:
            return self.reason
        timed = timed or self.test.hypothesis.metric in TIMED_METRICS
        word = "rounds" if timed else "seeds of each network"
        if self.required.seeds is None:
            return f"more than {MAX_SEEDS:,} {word}"
        low, high = (
            f"{limit:,}" if limit is not None else f"more than {MAX_SEEDS:,}"
            for limit in (self.required.at_low_sd, self.required.at_high_sd)
        )
        return f"about {self.required.seeds:,} {word} ({low} to {high})"


@dataclass(frozen=True)
class ClaimResult:
    """A claim, the tests of its hypotheses and the verdict.

    `deciding_test` is the test that the verdict depends on. For an untested claim it is the first test
    with a measurement, or None. `label` is the dataset's label in the records. `family_size` claims of its
    `family` are corrected together with it.
    """

    claim: ClaimSpec
    about: Experiments
    label: str | None
    tests: tuple[HypothesisTest, ...]
    p_for: float
    p_against: float
    p: float
    corrected_p: float
    family: str
    family_size: int
    verdict: str
    deciding_test: HypothesisTest | None
    plan: Plan | None

    @property
    def timed(self) -> bool:
        """Whether it is measured in rounds, as a latency is, and not over seeds."""
        return self.claim.test.metric in TIMED_METRICS

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
    families = [find_family(claim) for claim in study.claims]
    primary = np.array([claim.primary for claim in study.claims], dtype=bool)
    corrected, words = decide_families(p_for, p_against, families, primary)
    results = []
    for i, claim in enumerate(study.claims):
        tests, about = tests_by_claim[i], experiments[i]
        alike = [family == families[i] for family in families]
        num_tested = int(np.sum(np.isfinite(p_for) & alike & (primary == primary[i])))
        verdict, plan = _conclude(tests, str(words[i]), num_tested)
        deciding_test = plan.test if plan else _find_deciding_test(tests, verdict)
        experiment = about.latency if claim.test.metric in TIMED_METRICS else about.training
        label = evidence.label(experiment and experiment.dataset)
        results.append(
            ClaimResult(
                claim,
                about,
                label,
                tuple(tests),
                p_for=float(p_for[i]),
                p_against=float(p_against[i]),
                p=float(smaller_p(p_for[i], p_against[i])),
                corrected_p=float(corrected[i]),
                family=families[i],
                family_size=num_tested,
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


def smaller_p(p_for: Array, p_against: Array) -> Array:
    """The p-value of a claim: the smaller of the two, since only one of its verdicts can be wrong."""
    p: Array = np.minimum(p_for, p_against)
    return p


def find_family(claim: ClaimSpec) -> str:
    """The claims that are corrected together; counts have no error, and no family."""
    if claim.test.metric in TRAINED_METRICS:
        return TRAINED
    return TIMED if claim.test.metric in TIMED_METRICS else COUNTED


def decide_verdicts(
    p_for_C: Array, p_against_C: Array, primary_C: Array | None = None, alpha: float = ALPHA
) -> tuple[Array, Array]:
    """Corrected p-values over one family of claims along the last axis, and the verdicts as words.

    Bonferroni's correction; an untested claim has NaN and is not counted. With primary claims these are
    corrected among themselves. The others have the largest corrected p-value of a tested primary claim at
    least.
    """
    p = np.asarray(smaller_p(p_for_C, p_against_C), dtype=float)
    tested = ~np.isnan(p)
    primary = np.broadcast_to(False if primary_C is None else primary_C, p.shape)
    corrected = np.full(p.shape, np.nan)
    gate = np.zeros(p.shape[:-1])
    for members in (primary & tested, ~primary & tested):
        count = members.sum(axis=-1)
        shared = np.minimum(count[..., None] * p, 1.0)
        corrected = np.where(members, np.maximum(shared, gate[..., None]), corrected)
        gate = np.where(members, corrected, 0.0).max(axis=-1, initial=0.0)
    direction = np.where(np.less(p_for_C, p_against_C), SUPPORTED, CONTRADICTED)
    words = np.where(corrected <= alpha, direction, UNDECIDED)
    return corrected, np.where(tested, words, UNTESTED)


def decide_families(
    p_for_C: np.ndarray, p_against_C: np.ndarray, families: Sequence[str], primary_C: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """`decide_verdicts` of each family; a claim about counts is what it is, without a correction."""
    corrected, words = np.full(len(families), np.nan), np.full(len(families), UNTESTED, object)
    for family in dict.fromkeys(families):
        for members in _split_family(family, families):
            found = decide_verdicts(p_for_C[members], p_against_C[members], primary_C[members])
            corrected[members], words[members] = found
    return corrected, words


def _split_family(family: str, families: Sequence[str]) -> list[list[int]]:
    members = [index for index, one in enumerate(families) if one == family]
    return [[index] for index in members] if family == COUNTED else [members]


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
    least demanding of the other tests must contradict it. The level is Bonferroni's over the `num_claims`
    tested claims of its family, and one-sided.
    """
    contrary = [test for test in tests if not _agrees(test)]
    if contrary:
        extendable = [test for test in contrary if not _is_at_last_look(test)] or contrary
        alpha = 2 * ALPHA / (num_claims * len(tests))
        return min((_plan_test(test, alpha, POWER) for test in extendable), key=_demand)
    # In an adaptive study the most demanding test may already have enough seeds.
    # The two-sided level of the power's formulas.
    alpha = 2 * ALPHA / num_claims
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
    estimate, n = measurement.estimate, int(measurement.estimate.num_seeds)
    if measurement.looks:
        # Sides may have different numbers of seeds: this is their mean.
        n = max(n, measurement.looks.schedule[measurement.looks.taken - 1])
    limits = [limit for limit in (hypothesis.low, hypothesis.high) if math.isfinite(limit)]
    distance = min(abs(float(estimate.mean) - limit) for limit in limits)
    sd = math.sqrt(float(estimate.seed_variance) * n)
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
        alpha *= measurement.looks.last_share
    ratio = float(estimate.degrees_of_freedom) / (n - 1)
    required = plan_seeds(distance, sd, n, image_error, alpha, power, ratio)
    alone = required_seeds(distance, sd, 0.0, alpha, power, df_ratio=ratio)
    if required.seeds is None and alone is not None:
        reason = (
            f"no number of seeds is enough: the {measurement.num_images:,} test images alone leave a "
            f"standard error of {image_error:.2g} points, and the deciding distance is only "
            f"{distance:.2g} points"
        )
        return Plan(test, None, reason)
    return Plan(test, required)
