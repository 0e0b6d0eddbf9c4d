"""Elementary comparisons: what a claim comes down to, and the p-values for and against each.

Every comparison asks whether a mean (or a difference of two) lies in a band: above 0 for "greater",
within a margin for "alike". Scales are those of `evidence`.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from resnest_bench.comparisons.evidence import Evidence, Measured, NotTestable
from resnest_bench.comparisons.factors import factor_groups
from resnest_bench.formats import format_significant
from resnest_bench.specs import ClaimSpec, StudySpec
from resnest_bench.specs.claims import (
    AtEqualTest,
    ClaimTest,
    EquivalentTest,
    GreaterTest,
    MonotoneTest,
    OrderedTest,
    WithinTest,
)
from resnest_bench.specs.tables import TableSpec
from resnest_bench.stats.intervals import MeanEstimate
from resnest_bench.stats.p_values import SMALLEST_P, two_way_p_value
from resnest_bench.stats.sequential import combine_looks
from resnest_bench.stats.summary import MIN_FOR_INTERVAL, Array
from resnest_bench.tables.selection import Experiments

ONE_SEED = "one seed in common: nothing tells the spread"
ONE_ROUND = "one round in common: nothing tells the spread"
ALIKE = "every {} has the same value: nothing tells the spread"


@dataclass(frozen=True)
class Question:
    """Does the first variant (minus the second) lie between `low` and `high`?"""

    text: str
    variants: tuple[str, ...]
    low: float = 0.0
    high: float = math.inf


@dataclass(frozen=True)
class Comparison:
    """A question with what was measured. `p_for` is small where the band holds the mean, `p_against`
    where it doesn't; both NaN, with a `reason`, where there is no test.

    `left_out`: the claim doesn't ask for this pair after all, since its sizes aren't alike.
    """

    question: Question
    measured: Measured | None = None
    p_for: float = math.nan
    p_against: float = math.nan
    reason: str = ""
    left_out: bool = False

    @property
    def tested(self) -> bool:
        return not self.reason


def list_comparisons(claim: ClaimSpec, evidence: Evidence, about: Experiments) -> list[Comparison]:
    """All comparisons of a claim, tested as far as there are records. Empty: nothing to compare."""
    questions = list(_questions(claim.test, evidence.study, about))
    return [_compared(question, claim.test, evidence, about) for question in questions]


def _questions(test: ClaimTest, study: StudySpec, about: Experiments) -> Iterator[Question]:
    if isinstance(test, GreaterTest | AtEqualTest):
        for a in test.a:
            for b in test.b:
                yield _greater(a, b)
    elif isinstance(test, OrderedTest):
        for lower, upper in zip(test.variants, test.variants[1:], strict=False):
            yield _greater(upper, lower)
    elif isinstance(test, MonotoneTest):
        for lower, upper in _adjacent(test, study, about):
            yield _greater(upper, lower) if test.direction == "rising" else _greater(lower, upper)
    elif isinstance(test, EquivalentTest):
        half = _half_band(test)
        text = f"{test.a} = {test.b} ± {_margin_text(test)}"
        yield Question(text, (test.a, test.b), -half, half)
    elif isinstance(test, WithinTest):
        half = _half_band(test)
        middle = test.value if test.metric == "accuracy" else math.log(test.value)
        text = f"{test.a} at {_value_text(test)} ± {_margin_text(test)}"
        yield Question(text, (test.a,), middle - half, middle + half)


def _greater(a: str, b: str) -> Question:
    return Question(f"{a} > {b}", (a, b))


def _half_band(test: EquivalentTest | WithinTest) -> float:
    """Half of the band: a fraction's is that of its logarithm, so that up and down are alike."""
    return test.margin if test.metric == "accuracy" else math.log1p(test.margin)


def _margin_text(test: EquivalentTest | WithinTest) -> str:
    return f"{test.margin:g} points" if test.metric == "accuracy" else f"{100 * test.margin:g} %"


def _value_text(test: WithinTest) -> str:
    units = {"accuracy": " %", "latency": " ms", "params": " parameters", "macs": " MACs"}
    small = test.metric in ("accuracy", "latency")
    return (f"{test.value:g}" if small else format_significant(test.value, 4)) + units[test.metric]


def _adjacent(test: MonotoneTest, study: StudySpec, about: Experiments) -> list[tuple[str, str]]:
    """Pairs (lower level, next level) of variants that differ in the factor alone."""
    names = _measured_names(test, study, about)
    # A claim may name a recipe that this study lacks; it matters here for its dropout alone.
    training = about.training
    recipe = training.recipe if training and training.recipe in study.all_recipes else None
    spec = TableSpec(dataset=training and training.dataset, recipe=recipe, variants=names)
    return [
        pair
        for group in factor_groups(study, spec)
        if group.factor == test.factor
        for pair in zip(group.variants, group.variants[1:], strict=False)
    ]


def _measured_names(test: MonotoneTest, study: StudySpec, about: Experiments) -> tuple[str, ...]:
    if test.variants != "all":
        return tuple(name for name in test.variants if name in study.variant_names)
    timed = test.metric in ("latency", "macs") or about.training is None
    wanted = about.latency if timed else about.training
    asked = {job.variant for job in study.jobs() if job.experiment == wanted}
    return tuple(name for name in study.variant_names if name in asked)


def _compared(
    question: Question, test: ClaimTest, evidence: Evidence, about: Experiments
) -> Comparison:
    try:
        measured = evidence.measured(test, about, question.variants)
        unequal = _unequal(question, test, evidence, about)
    except NotTestable as why:
        return Comparison(question, reason=str(why))
    if unequal:
        return Comparison(question, measured, reason=unequal, left_out=True)
    return tested(question, measured)


def _unequal(question: Question, test: ClaimTest, evidence: Evidence, about: Experiments) -> str:
    """Why a pair is not one of those at equal size; empty where it is, or where none is asked for."""
    if not isinstance(test, AtEqualTest):
        return ""
    sizes = [evidence.count(test.equal, about, name) for name in question.variants]
    ratio = max(sizes) / min(sizes)
    if ratio <= 1 + test.within:
        return ""
    ours, base = (format_significant(size, 4) for size in sizes)
    return f"not at equal {test.equal}: {ours} against {base}, {100 * (ratio - 1):.0f} % apart"


def tested(question: Question, measured: Measured) -> Comparison:
    """The comparison with its p-values, or with the reason why it has none."""
    error, low, high = measured.error, question.low, question.high
    if measured.exact:
        holds = low < error.mean < high
        return Comparison(question, measured, float(not holds), float(holds))
    repeat = "seed" if measured.num_images else "round"
    if error.num_seeds < 2:
        reason = ONE_SEED if measured.num_images else ONE_ROUND
        return Comparison(question, measured, reason=reason)
    if measured.same_predictions:
        assert measured.num_images is not None, "they are predictions of images"
        return Comparison(question, measured, *_same_predictions(question, measured.num_images))
    if error.seed_variance == 0:
        return Comparison(question, measured, reason=ALIKE.format(repeat))
    if measured.looks:
        looked = combine_looks(measured.looks, lambda at_look: band_p_values(at_look, low, high))
        return Comparison(question, measured, *looked)
    p_for, p_against = band_p_values(error, low, high)
    return Comparison(question, measured, float(p_for), float(p_against))


def _same_predictions(question: Question, num_images: int) -> tuple[float, float]:
    """p for and against, of two variants that no image distinguished in any seed.

    There is no spread to test with. But two networks whose accuracies differ by d are distinguished by
    a share d of all images at least: that none of N does has probability (1 - d)^N at most. That is a p
    for these trained networks on new images, and none for new seeds.
    """
    if not question.low < 0 < question.high:
        return 0.5, 0.5
    margin = min(-question.low, question.high) / 100
    return max((1 - min(margin, 1.0)) ** num_images, SMALLEST_P), 1.0


def one_sided_p(error: MeanEstimate, limit: float) -> Array:
    """p that the mean is `limit` or less: small where it was seen well above. `two_way_p_value`'s half."""
    moved = replace(error, mean=error.mean - limit)
    p = np.asarray(two_way_p_value(moved))
    return np.where(np.asarray(moved.mean) > 0, p / 2, 1 - p / 2)[()]


def band_p_values(error: MeanEstimate, low: float, high: float) -> tuple[Array, Array]:
    """p for and against a mean between `low` and `high`, either of which may be infinite.

    For: it must be above the one and below the other, so the larger of two one-sided p-values (TOST;
    Schuirmann, J. Pharmacokinet. Biopharm. 15 (1987) 657). Against: it may be outside on either
    side, so twice the smaller one where there are two sides (Bonferroni). Both are 1 of two seeds:
    they decide nothing.
    """
    if error.num_seeds < MIN_FOR_INTERVAL:
        undecided = np.ones(np.shape(error.mean))[()]
        return undecided, undecided
    mirrored = replace(error, mean=-error.mean)
    inside = [
        one_sided_p(side, end)
        for side, end in ((error, low), (mirrored, -high))
        if math.isfinite(end)
    ]
    outside = [
        one_sided_p(side, end)
        for side, end in ((mirrored, -low), (error, high))
        if math.isfinite(end)
    ]
    against: Array = np.minimum(len(outside) * np.minimum.reduce(np.asarray(outside)), 1.0)
    return np.maximum.reduce(np.asarray(inside)), against
