"""Verdicts in words: figures with their units, and the reason for each verdict."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from resnest_bench.claims.hypotheses import TIMED_UNITS, HypothesisTest
from resnest_bench.claims.verdicts import (
    CONTRADICTED,
    SUPPORTED,
    UNDECIDED,
    UNTESTED,
    ClaimResult,
)
from resnest_bench.formats import GAP, format_significant, is_known
from resnest_bench.specs.claims import (
    TIMED_METRICS,
    ClaimTest,
    EquivalentTest,
    MonotoneTest,
    Side,
    WithinTest,
)
from resnest_bench.specs.scores import (
    TRAINED_METRICS,
    UNITS,
    metric_column,
    metric_units,
)
from resnest_bench.stats.intervals import two_way_interval
from resnest_bench.stats.summary import CONFIDENCE, MIN_FOR_INTERVAL, UNBOUNDED, Array, Bounds
from resnest_bench.tables.axes import metric_axis
from resnest_bench.words import count_noun, list_names

LEVEL_UNITS = {**TIMED_UNITS, "params": "parameters", "macs": "MACs"}
COUNT_UNITS = ("parameters", "MACs")
MAX_REASONS = 3


def claim_unit(test: ClaimTest, variants: Sequence[Side]) -> str:
    """The unit of a difference of two variants, or of the value of one."""
    if test.metric in TRAINED_METRICS:
        return metric_units(test.metric)[min(len(variants), 2) - 1]
    return LEVEL_UNITS[test.metric] if len(variants) < 2 else "ratio"


def shown_value(test: ClaimTest, value: Array) -> float:
    """Transform a value from the additive scale to its unit."""
    return float(value) if test.metric in TRAINED_METRICS else float(np.exp(value))


def claim_figure(test: ClaimTest, hypothesis_test: HypothesisTest | None) -> dict[str, Any]:
    """Estimate, interval, unit and n of a hypothesis test; empty without a measurement.

    There is no interval for two seeds, nor for networks with the same predictions.
    """
    if hypothesis_test is None or hypothesis_test.measurement is None:
        return {}
    test = hypothesis_test.hypothesis.narrow(test)
    measurement = hypothesis_test.measurement
    mean = measurement.estimate.mean
    unit = claim_unit(test, hypothesis_test.hypothesis.variants)
    low = high = mean if measurement.exact else math.nan
    if not (measurement.exact or measurement.same_predictions):
        confidence = measurement.looks.confidence if measurement.looks else CONFIDENCE
        bounds = _level_bounds(test) if len(hypothesis_test.hypothesis.variants) < 2 else UNBOUNDED
        interval = two_way_interval(measurement.estimate, confidence, bounds)
        low, high = interval.low, interval.high
    return {
        "estimate": shown_value(test, mean),
        "low": shown_value(test, low),
        "high": shown_value(test, high),
        "unit": unit,
        "n": None if measurement.exact else measurement.estimate.num_seeds,
    }


def _level_bounds(test: ClaimTest) -> Bounds:
    """What the value of one variant can be; a latency's is a logarithm."""
    if test.metric not in TRAINED_METRICS:
        return UNBOUNDED
    return metric_axis(metric_column(test.metric)).bounds


def figure_text(row: Mapping[str, Any]) -> str:
    """'+1.74 points, 95 % interval [+0.31, +3.17]' for a row of either table; '–' without a figure."""
    if not is_known(row.get("estimate")):
        return GAP
    unit = row["unit"]
    texts = [_format_number(row[name], unit) for name in ("estimate", "low", "high")]
    words = "times" if unit == "ratio" else unit
    if not is_known(row["low"]):
        return f"{texts[0]} {words}"
    if not is_known(row.get("n")):
        return f"{texts[0]} {words}, counted"
    return f"{texts[0]} {words}, 95 % interval [{texts[1]}, {texts[2]}]"


def _format_number(value: Any, unit: str) -> str:
    if not is_known(value):
        return GAP
    if unit in UNITS.values():
        return f"{value:.4f}"
    if unit in ("points", "%"):
        return f"{value:{'+' if unit == 'points' else ''}.2f}"
    return format_significant(value, 4 if unit in COUNT_UNITS else 3)


def explain_verdict(result: ClaimResult, figure: Mapping[str, Any]) -> str:
    """One or several sentences: the test that decides, on which data, and from how many seeds."""
    if result.verdict == UNTESTED:
        return _explain_untested(result, figure)
    test, count = result.deciding_test, len(result.completed_tests)
    # A tested claim has both.
    assert test is not None
    assert test.measurement is not None
    observed = f"{test.hypothesis.text}: {figure_text(figure)}{_describe_origin(result)}"
    lead_in = {
        SUPPORTED: f"All {count} hypotheses hold; the least clear one is ",
        CONTRADICTED: f"Of {count} hypotheses, this one is contradicted most clearly: ",
        UNDECIDED: f"Of {count} hypotheses, this one decides: ",
    }[result.verdict]
    sentences = [observed if count == 1 else f"{lead_in}{observed}"]
    without_data = len(result.required_tests) - count
    if without_data:
        sentences.append(f"{without_data} more have no data")
    sentences += _describe_scope(test)
    if test.measurement.noise:
        sentences.append(f"{test.hypothesis.variants[0]} is {test.measurement.noise}")
    margin = least_margin(result)
    if result.verdict == UNDECIDED and is_known(margin):
        sentences.append(
            f"These data would support a margin of {_format_margin(result.claim.test, margin)} or more"
        )
    if result.plan:
        plan = result.plan.describe(result.timed)
        sentences.append(f"Required to decide it, given the observed difference: {plan}")
    return f"{'. '.join(sentences)}."


def least_margin(result: ClaimResult) -> float:
    """The smallest margin of an equivalence that the deciding data would support, as `margin` states it.

    It is the greater distance of the limits of the interval with confidence 1 - 2 alpha from the middle of
    the claimed band, with alpha divided by the claims of the family; NaN for other claims.
    """
    test, deciding = result.claim.test, result.deciding_test
    if not isinstance(test, EquivalentTest | WithinTest) or deciding is None:
        return math.nan
    measurement, hypothesis = deciding.measurement, deciding.hypothesis
    if measurement is None or measurement.exact or measurement.same_predictions:
        return math.nan
    level = 1 - CONFIDENCE if measurement.looks is None else 1 - measurement.looks.confidence
    interval = two_way_interval(measurement.estimate, 1 - 2 * level / max(result.family_size, 1))
    middle = (hypothesis.low + hypothesis.high) / 2
    margin = max(float(interval.high) - middle, middle - float(interval.low))
    # A latency is measured as a logarithm, and its margin is a fraction.
    return margin if test.metric in TRAINED_METRICS else math.expm1(margin)


def _format_margin(test: ClaimTest, margin: float) -> str:
    if test.metric in TRAINED_METRICS:
        return f"{format_significant(margin, 2)} {metric_units(test.metric)[1]}"
    return f"{100 * margin:.2g} %"


def _describe_scope(test: HypothesisTest) -> list[str]:
    """How the figure says less than a test for new seeds does."""
    assert test.measurement is not None
    if test.measurement.same_predictions:
        return [
            "Both made the same predictions in every seed. The verdict holds for these trained networks on "
            "new test images; for new seeds it was not tested"
        ]
    if test.measurement.only_seeds:
        return ["It is for new seeds on these test images: for new images it was not tested"]
    if not test.measurement.exact and test.measurement.estimate.num_seeds < MIN_FOR_INTERVAL:
        return ["Two seeds or rounds give no interval and no verdict"]
    return []


def _describe_origin(result: ClaimResult) -> str:
    """' (CIFAR-10, 10,000 test images, 5 seeds)' or ' (3 rounds, batch size 1, on CPU NAME)'."""
    assert result.deciding_test is not None
    assert result.deciding_test.measurement is not None
    measurement = result.deciding_test.measurement
    test = result.deciding_test.hypothesis.narrow(result.claim.test)
    n = int(measurement.estimate.num_seeds)
    stale = ["stale records"] if measurement.stale else []
    if test.metric in TRAINED_METRICS:
        counts = measurement.side_counts
        seeds = count_noun(n, "seed")
        if len(set(counts)) > 1:
            seeds = f"{' and '.join(map(str, counts))} seeds"
        looks = measurement.looks
        look = [f"look {looks.taken} of {looks.planned}"] if looks else []
        num = measurement.num_images
        images = "unknown number of" if num is None else f"{num:,}"
        parts = [str(result.label), f"{images} test images", seeds, *look]
    elif test.metric in TIMED_METRICS:
        device = measurement.device or "an unknown device"
        parts = [count_noun(n, "round"), f"batch size {test.batch_size}", f"on {device}"]
    else:
        return ""
    return f" ({', '.join(parts + stale)})"


def _explain_untested(result: ClaimResult, figure: Mapping[str, Any]) -> str:
    if not result.tests:
        return f"{_explain_no_hypothesis(result)}."
    reasons = list(dict.fromkeys(test.reason for test in result.tests if not test.has_result))
    text = list_names(reasons, MAX_REASONS, "; ")
    if len(result.required_tests) > 1:
        tested, required = len(result.completed_tests), len(result.required_tests)
        text = f"{tested} of {required} hypotheses tested: {text}"
    test = result.deciding_test
    if test and test.measurement:
        observed = f"{test.hypothesis.text}: {figure_text(figure)}{_describe_origin(result)}"
        text += f". Observed so far: {observed}"
    return f"{text}."


def _explain_no_hypothesis(result: ClaimResult) -> str:
    test = result.claim.test
    assert isinstance(test, MonotoneTest), "all other tests name what they compare"
    return f"no two measured variants differ only in {test.factor}"
