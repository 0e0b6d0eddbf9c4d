"""The effects of factors for readers."""

from typing import Any

import pandas as pd

from resnest_bench.comparisons.effects import effects_table
from resnest_bench.formats import GAP, format_p_value, format_significant, is_known
from resnest_bench.report.captions import Caption
from resnest_bench.stats.mixed_model import FactorEffects


def effects_caption(effects: FactorEffects | str) -> Caption:
    """The caption of the effects: what they are, and which assumptions they need."""
    if isinstance(effects, str):
        return Caption(f"No effects are estimated: {effects}")
    reason = f" (not the mixed model: {effects.reason})" if effects.reason else ""
    line = (
        "Effect of each level on the test accuracy, in percentage points, compared with the factor's "
        "lowest level"
    )
    method = [
        "The effects are estimated over all variants together, assuming that effects add up",
        "In brackets: the 95 % interval of Welch's contrast of the networks' means (none below three seeds), for new "
        "seeds on these training and test images",
        "It does not assume equal variances",
        f"Mixed model: the interval of a {effects.method}{reason}, with {effects.degrees_of_freedom} "
        "degrees of freedom",
        *describe_spread(effects),
    ]
    if effects.seed_sd is not None and effects.residual_sd is not None:
        method.append(
            f"The standard deviation of the seed effect is {format_significant(effects.seed_sd, 2)} points, "
            f"that of the residuals {format_significant(effects.residual_sd, 2)} points"
        )
    return Caption(line, tuple(method))


def describe_spread(effects: FactorEffects) -> list[str]:
    """Sentences: what the model assumes about the variants' spreads, and how much they differ here."""
    sentences = [
        "The mixed model assumes that all variants vary equally over seeds",
        "If one varies twice as much, intervals of effects that depend on it cover 83 to 85 % instead of 95 %",
    ]
    if effects.spread_ratio is None:
        return sentences
    test = f" (Bartlett's test: p = {format_p_value(effects.spread_p)})" if effects.spread_p else ""
    ratio = format_significant(effects.spread_ratio, 2)
    return [
        *sentences,
        f"Here the largest standard deviation over seeds is {ratio} times the smallest{test}",
    ]


def effects_display(effects: FactorEffects | str) -> pd.DataFrame:
    """The effects as rounded texts."""
    rows = [
        {
            "factor": row["factor"],
            "level": f"{row['level']} against {row['base_level']}",
            "effect (points)": _format_interval(row["effect"], row["welch_low"], row["welch_high"]),
            "p (Holm)": format_p_value(row["welch_holm_p"]),
            "mixed model": _format_interval(None, row["low"], row["high"]),
            "mixed model: p (Holm)": format_p_value(row["holm_p"]),
            "n": "" if isinstance(effects, str) else str(effects.num_seeds),
            "variants at this level": str(row["num_variants"]),
            "status": row["reason"] or "ok",
        }
        for row in effects_table(effects).to_dict("records")
    ]
    return pd.DataFrame(rows)


def _format_interval(mean: Any, low: Any, high: Any) -> str:
    first = f"{mean:+.2f}" if is_known(mean) else ""
    ends = f"[{low:+.2f}, {high:+.2f}]" if is_known(low) and is_known(high) else ""
    return " ".join(filter(None, [first, ends])) or GAP


def effects_notes(effects: FactorEffects | str) -> list[str]:
    """What these variants can't tell about the factors."""
    return [] if isinstance(effects, str) else effects.notes
