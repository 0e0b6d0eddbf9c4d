"""Verdicts in words: figures with their unit, and why a claim has its verdict."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from resnest_bench.claims.hypotheses import Comparison
from resnest_bench.claims.verdicts import CONTRADICTED, SUPPORTED, UNTESTED, ClaimResult, Plan
from resnest_bench.formats import GAP, format_significant, is_known
from resnest_bench.specs.claims import ClaimTest, MonotoneTest
from resnest_bench.stats.intervals import two_way_interval
from resnest_bench.stats.power import MAX_SEEDS
from resnest_bench.stats.summary import CONFIDENCE, MIN_FOR_INTERVAL, PERCENT, UNBOUNDED, Array
from resnest_bench.words import count_noun, list_names

LEVEL_UNITS = {"accuracy": "%", "latency": "ms", "params": "parameters", "macs": "MACs"}
COUNT_UNITS = ("parameters", "MACs")
MAX_REASONS = 3


def claim_unit(test: ClaimTest, variants: Sequence[str]) -> str:
    """Of a comparison of two variants, or of one with a given value."""
    if len(variants) < 2:
        return LEVEL_UNITS[test.metric]
    return "points" if test.metric == "accuracy" else "ratio"


def shown_value(test: ClaimTest, value: Array) -> float:
    """From the additive scale to the unit."""
    return float(value) if test.metric == "accuracy" else float(np.exp(value))


def claim_figure(test: ClaimTest, comparison: Comparison | None) -> dict[str, Any]:
    """Estimate, interval, unit and n of a comparison; empty where nothing was measured.

    Two seeds have no interval, nor have networks that made the same predictions.
    """
    if comparison is None or comparison.measured is None:
        return {}
    measured = comparison.measured
    mean = measured.error.mean
    unit = claim_unit(test, comparison.question.variants)
    low = high = mean if measured.exact else math.nan
    if not (measured.exact or measured.same_predictions):
        confidence = measured.looks.confidence if measured.looks else CONFIDENCE
        bounds = PERCENT if unit == "%" else UNBOUNDED
        interval = two_way_interval(measured.error, confidence, bounds)
        low, high = interval.low, interval.high
    return {
        "estimate": shown_value(test, mean),
        "low": shown_value(test, low),
        "high": shown_value(test, high),
        "unit": unit,
        "n": None if measured.exact else measured.error.num_seeds,
    }


def figure_text(row: Mapping[str, Any]) -> str:
    """'+1.74 points, 95 % from +0.31 to +3.17' of a row of either table; '–' without a figure."""
    if not is_known(row.get("estimate")):
        return GAP
    unit = row["unit"]
    texts = [_number(row[name], unit) for name in ("estimate", "low", "high")]
    words = "times" if unit == "ratio" else unit
    if not is_known(row["low"]):
        return f"{texts[0]} {words}"
    if not is_known(row.get("n")):
        return f"{texts[0]} {words}, counted"
    return f"{texts[0]} {words}, 95 % from {texts[1]} to {texts[2]}"


def _number(value: Any, unit: str) -> str:
    if not is_known(value):
        return GAP
    if unit in ("points", "%"):
        return f"{value:{'+' if unit == 'points' else ''}.2f}"
    return format_significant(value, 4 if unit in COUNT_UNITS else 3)


def decides_text(plan: Plan | None, timed: bool) -> str | None:
    """'about 14 paired seeds (6 to 120)', or why no number of them would decide."""
    if plan is None:
        return None
    if plan.needed is None:
        return plan.why_none
    word = "rounds" if timed else "paired seeds"
    if plan.needed.seeds is None:
        return f"more than {MAX_SEEDS:,} {word}"
    ends = [
        f"{end:,}" if end is not None else f"more than {MAX_SEEDS:,}"
        for end in (plan.needed.at_low_sd, plan.needed.at_high_sd)
    ]
    return f"about {plan.needed.seeds:,} {word} in all ({ends[0]} to {ends[1]})"


def explanation(result: ClaimResult, figure: Mapping[str, Any]) -> str:
    """One or two sentences: what the verdict hangs on, on which data, from how many seeds."""
    if result.verdict == UNTESTED:
        return _untested_text(result, figure)
    lead, count = result.lead, len(result.tested)
    # A tested claim has both.
    assert lead is not None
    assert lead.measured is not None
    seen = f"{lead.question.text}: {figure_text(figure)}{_origin_text(result)}"
    if result.verdict == SUPPORTED:
        text = (
            seen if count == 1 else f"All {count} comparisons hold; the least clear one is {seen}"
        )
    elif result.verdict == CONTRADICTED:
        text = seen if count == 1 else f"The clearest of {count} comparisons against it is {seen}"
    else:
        text = seen if count == 1 else f"Of {count} comparisons it hangs on {seen}"
    unheard = len(result.asked) - count
    if unheard:
        text += f". {unheard} more have no data"
    text += _scope_text(lead)
    if lead.measured.noise:
        text += f". {lead.question.variants[0]}: {lead.measured.noise}"
    if result.plan:
        text += f". To decide it at what was seen: {decides_text(result.plan, result.timed)}"
    return f"{text}."


def _scope_text(lead: Comparison) -> str:
    """Where the figure says less than a test for new seeds would."""
    assert lead.measured is not None
    if lead.measured.same_predictions:
        return (
            ". Both made the same predictions in every seed: that holds for these trained networks on "
            "new test images, and was not tested for new seeds"
        )
    if not lead.measured.exact and lead.measured.error.num_seeds < MIN_FOR_INTERVAL:
        return ". Two of them give no interval and no verdict"
    return ""


def _origin_text(result: ClaimResult) -> str:
    """' (CIFAR-10, 10,000 test images, 5 seeds)' or ' (3 rounds, batch 1, on CPU NAME)'."""
    assert result.lead is not None
    assert result.lead.measured is not None
    test, measured = result.claim.test, result.lead.measured
    n = measured.error.num_seeds
    stale = ["stale records"] if measured.stale else []
    if test.metric == "accuracy":
        seeds = count_noun(n, "seed")
        looks = measured.looks
        looked = [f"look {looks.taken} of {looks.planned}"] if looks else []
        parts = [str(result.label), f"{measured.num_images:,} test images", seeds, *looked]
    elif test.metric == "latency":
        rounds = count_noun(n, "round")
        parts = [rounds, f"batch {test.batch_size}", f"on {measured.device or 'an unknown device'}"]
    else:
        return ""
    return f" ({', '.join(parts + stale)})"


def _untested_text(result: ClaimResult, figure: Mapping[str, Any]) -> str:
    if not result.comparisons:
        return f"{_nothing_to_compare(result)}."
    gaps = [c for c in result.comparisons if not c.tested]
    reasons = list(dict.fromkeys(c.reason for c in gaps))
    text = list_names(reasons, MAX_REASONS, "; ")
    if len(result.asked) > 1:
        text = f"{len(result.tested)} of {len(result.asked)} comparisons tested: {text}"
    if result.lead and result.lead.measured:
        seen = f"{result.lead.question.text}: {figure_text(figure)}{_origin_text(result)}"
        text += f". Seen so far: {seen}"
    return f"{text}."


def _nothing_to_compare(result: ClaimResult) -> str:
    test = result.claim.test
    assert isinstance(test, MonotoneTest), "all others name what they compare"
    return f"no two variants measured here differ in {test.factor} alone"
