"""The hypotheses that a claim consists of, and the test of each: p-values for it and against it.

Every hypothesis says that a mean (or a difference of two) is in a band: above 0 for "greater", within
a margin for "equivalent". Scales are those of `evidence`.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtri

from resnest_bench.comparisons.evidence import COUNT_NAMES, Evidence
from resnest_bench.comparisons.factors import factor_groups
from resnest_bench.comparisons.measurement import Measurement, NotTestable
from resnest_bench.formats import format_significant
from resnest_bench.specs import ClaimSpec, StudySpec
from resnest_bench.specs.claims import (
    TIMED_METRICS,
    AtEqualTest,
    ClaimMetric,
    ClaimTest,
    EquivalentTest,
    GreaterTest,
    MonotoneTest,
    OrderedTest,
    SavesTest,
    Side,
    WithinTest,
)
from resnest_bench.specs.scores import TRAINED_METRICS, metric_units
from resnest_bench.specs.tables import TableSpec
from resnest_bench.stats.intervals import MeanEstimate
from resnest_bench.stats.p_values import SMALLEST_P, one_sided_p_value
from resnest_bench.stats.power import ALPHA
from resnest_bench.stats.sequential import combine_looks
from resnest_bench.stats.summary import MIN_FOR_INTERVAL, Array
from resnest_bench.tables.selection import Experiments

TIMED_UNITS = {"latency": "ms", "energy": "J", "cost": "", "memory": "MiB"}
ONE_SEED = "only one common seed, so the spread is unknown"
ONE_ROUND = "only one common round, so the spread is unknown"
ALIKE = "every {} has the same value, so the spread is unknown"


@dataclass(frozen=True)
class Hypothesis:
    """The first variant (minus the second, if there is one) is between `low` and `high`.

    `metric` is given where the hypotheses of a claim are about different ones.
    """

    text: str
    variants: tuple[Side, ...]
    low: float = 0.0
    high: float = math.inf
    metric: ClaimMetric | None = None

    def narrow(self, test: ClaimTest) -> ClaimTest:
        """The claim's test about the metric of this hypothesis."""
        return test if self.metric is None else test.model_copy(update={"metric": self.metric})


@dataclass(frozen=True)
class HypothesisTest:
    """The test of a hypothesis. A small `p_for` supports it, a small `p_against` contradicts it.

    Without a test both are NaN, with a `reason`. `excluded` says that the hypothesis is no part of the
    claim, since the sizes of the two variants differ.
    """

    hypothesis: Hypothesis
    measurement: Measurement | None = None
    p_for: float = math.nan
    p_against: float = math.nan
    reason: str = ""
    excluded: bool = False

    @property
    def has_result(self) -> bool:
        """Whether it has p-values."""
        return not self.reason


def run_tests(claim: ClaimSpec, evidence: Evidence, about: Experiments) -> list[HypothesisTest]:
    """Test every hypothesis of a claim as far as there are records; empty if there is none."""
    hypotheses = list(_list_hypotheses(claim.test, evidence.study, about))
    return [_test(hypothesis, claim.test, evidence, about) for hypothesis in hypotheses]


def _list_hypotheses(test: ClaimTest, study: StudySpec, about: Experiments) -> Iterator[Hypothesis]:
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
        text = f"{test.a} = {test.b} ± {_format_margin(test)}"
        yield Hypothesis(text, (test.a, test.b), -half, half)
    elif isinstance(test, SavesTest):
        yield from _list_savings(test)
    elif isinstance(test, WithinTest):
        half = _half_band(test)
        middle = test.value if test.metric in TRAINED_METRICS else math.log(test.value)
        text = f"{test.a} at {_format_value(test)} ± {_format_margin(test)}"
        yield Hypothesis(text, (test.a,), middle - half, middle + half)


def _list_savings(test: SavesTest) -> Iterator[Hypothesis]:
    """Not much worse, and much faster: latencies are logarithms, of which the ratio's is negative."""
    sides, unit = (test.a, test.b), metric_units(test.metric)[1]
    loss = f"{test.a} > {test.b} − {test.at_most:g} {unit}"
    yield Hypothesis(loss, sides, -test.at_most, metric=test.metric)
    saved = f"{test.a} at least {test.times:g} times as fast as {test.b}"
    if test.of != "latency":
        saved = f"{test.a} takes 1/{test.times:g} of the {test.of} of {test.b} at most"
    yield Hypothesis(saved, sides, -math.inf, -math.log(test.times), metric=test.of)


def _greater(a: Side, b: Side) -> Hypothesis:
    return Hypothesis(f"{a} > {b}", (a, b))


def _half_band(test: EquivalentTest | WithinTest) -> float:
    """Half the width of the band; for a ratio on the log scale, so that up and down are symmetric."""
    return test.margin if test.metric in TRAINED_METRICS else math.log1p(test.margin)


def _format_margin(test: EquivalentTest | WithinTest) -> str:
    if test.metric in TRAINED_METRICS:
        return f"{test.margin:g} {metric_units(test.metric)[1]}"
    return f"{100 * test.margin:g} %"


def _format_value(test: WithinTest) -> str:
    if test.metric in TRAINED_METRICS:
        return f"{test.value:g} {metric_units(test.metric)[0]}"
    if test.metric in TIMED_UNITS:
        return f"{test.value:g} {TIMED_UNITS[test.metric]}".rstrip()
    return f"{format_significant(test.value, 4)} {COUNT_NAMES[test.metric]}"


def _adjacent(test: MonotoneTest, study: StudySpec, about: Experiments) -> list[tuple[str, str]]:
    """Pairs (lower level, next level) of variants that differ only in the factor."""
    names = _list_measured(test, study, about)
    # A claim may name a recipe that the study lacks; here only its dropout matters.
    training = about.training
    recipe = training.recipe if training and training.recipe in study.all_recipes else None
    spec = TableSpec(dataset=training and training.dataset, recipe=recipe, variants=names)
    return [
        pair
        for group in factor_groups(study, spec)
        if group.factor == test.factor
        for pair in zip(group.variants, group.variants[1:], strict=False)
    ]


def _list_measured(test: MonotoneTest, study: StudySpec, about: Experiments) -> tuple[str, ...]:
    if test.variants != "all":
        return tuple(name for name in test.variants if name in study.variant_names)
    timed = test.metric in (*TIMED_METRICS, "macs") or about.training is None
    experiment = about.latency if timed else about.training
    measured = {job.variant for job in study.jobs() if job.experiment == experiment}
    return tuple(name for name in study.variant_names if name in measured)


def _test(
    hypothesis: Hypothesis, test: ClaimTest, evidence: Evidence, about: Experiments
) -> HypothesisTest:
    try:
        measurement = evidence.measure(hypothesis.narrow(test), about, hypothesis.variants)
        difference = _size_difference(hypothesis, test, evidence, about)
    except NotTestable as error:
        return HypothesisTest(hypothesis, reason=str(error))
    if difference:
        return HypothesisTest(hypothesis, measurement, reason=difference, excluded=True)
    return run_test(hypothesis, measurement)


def _size_difference(
    hypothesis: Hypothesis, test: ClaimTest, evidence: Evidence, about: Experiments
) -> str:
    """Why two variants are not of equal size; empty if they are, or if the test does not require it."""
    if not isinstance(test, AtEqualTest):
        return ""
    sizes = [evidence.count(test.equal, about, name) for name in hypothesis.variants]
    ratio = max(sizes) / min(sizes)
    if ratio <= 1 + test.within:
        return ""
    ours, base = (format_significant(size, 4) for size in sizes)
    return f"{ours} and {base} {COUNT_NAMES[test.equal]} differ by {100 * (ratio - 1):.0f} %"


def run_test(hypothesis: Hypothesis, measurement: Measurement) -> HypothesisTest:
    """Test a hypothesis: p-values, or the reason why there are none."""
    estimate, low, high = measurement.estimate, hypothesis.low, hypothesis.high
    if measurement.exact:
        holds = low < estimate.mean < high
        return HypothesisTest(hypothesis, measurement, float(not holds), float(holds))
    # An imported accuracy may come without a number of images.
    of_images = bool(measurement.num_images) or measurement.only_seeds
    repeat = "seed" if of_images else "round"
    if estimate.num_seeds < 2:
        reason = ONE_SEED if of_images else ONE_ROUND
        return HypothesisTest(hypothesis, measurement, reason=reason)
    if measurement.same_predictions:
        assert measurement.num_images is not None, "they are predictions of images"
        p_values = _same_predictions_p(hypothesis, measurement.num_images)
        return HypothesisTest(hypothesis, measurement, *p_values)
    if estimate.seed_variance == 0:
        return HypothesisTest(hypothesis, measurement, reason=ALIKE.format(repeat))
    if reason := _explain_hopeless(hypothesis, estimate):
        return HypothesisTest(hypothesis, measurement, reason=reason)
    if measurement.looks:
        combined = combine_looks(measurement.looks, lambda one: band_p_values(one, low, high))
        return HypothesisTest(hypothesis, measurement, *combined)
    p_for, p_against = band_p_values(estimate, low, high)
    return HypothesisTest(hypothesis, measurement, float(p_for), float(p_against))


def _explain_hopeless(hypothesis: Hypothesis, estimate: MeanEstimate) -> str:
    """Why no number of seeds could support an equivalence; empty if one could.

    Even without a spread over seeds, and with equal means, the test images alone leave an error. Such a
    claim is not tested, so that it takes nothing from the others.
    """
    if not (math.isfinite(hypothesis.low) and math.isfinite(hypothesis.high)):
        return ""
    margin = (hypothesis.high - hypothesis.low) / 2
    least = -ndtri(ALPHA) * math.sqrt(float(estimate.image_variance))
    if not margin <= least:
        return ""
    return (
        f"no number of seeds could support it: with these test images alone the margin would have to be above "
        f"{format_significant(least, 2)}"
    )


def _same_predictions_p(hypothesis: Hypothesis, num_images: int) -> tuple[float, float]:
    """p for and against, for two variants that agree on every image in every seed.

    There is no spread to test with. But two networks whose accuracies differ by d disagree on a share
    of at least d of all images. The probability that they agree on all of N images is at most
    (1 - d)^N. That is a p-value for these trained networks on new images, not for new seeds.
    """
    if not hypothesis.low < 0 < hypothesis.high:
        return 0.5, 0.5
    margin = min(-hypothesis.low, hypothesis.high) / 100
    return max((1 - min(margin, 1.0)) ** num_images, SMALLEST_P), 1.0


def band_p_values(estimate: MeanEstimate, low: float, high: float) -> tuple[Array, Array]:
    """p for and against a mean between `low` and `high`, either of which may be infinite.

    For: the mean must be above `low` and below `high`, so p is the larger of two one-sided p-values
    (TOST; Schuirmann, J. Pharmacokinet. Biopharm. 15 (1987) 657). Against: it may be outside on either
    side, so p is twice the smaller one if there are two sides (Bonferroni). With two seeds both are 1:
    nothing is decided.
    """
    if estimate.num_seeds < MIN_FOR_INTERVAL:
        undecided = np.ones(np.shape(estimate.mean))[()]
        return undecided, undecided
    mirrored = replace(estimate, mean=-estimate.mean)
    inside = [
        one_sided_p_value(side, end)
        for side, end in ((estimate, low), (mirrored, -high))
        if math.isfinite(end)
    ]
    outside = [
        one_sided_p_value(side, end)
        for side, end in ((mirrored, -low), (estimate, high))
        if math.isfinite(end)
    ]
    against: Array = np.minimum(len(outside) * np.minimum.reduce(np.asarray(outside)), 1.0)
    return np.maximum.reduce(np.asarray(inside)), against
