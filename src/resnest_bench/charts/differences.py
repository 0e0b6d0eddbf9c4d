"""Differences of variants: a matrix of all pairs, or one row per variant against one base; and effects."""

import altair as alt
import pandas as pd

from resnest_bench.charts.palette import CELL_TEXT, DIVERGING, GREY, PALETTE
from resnest_bench.charts.style import WIDTH, no_data_chart, title
from resnest_bench.comparisons.differences import (
    ABOVE,
    BELOW,
    NETWORKS,
    UNDECIDED,
    UNTESTED,
    describe_population,
    find_over_seeds,
    name_measure,
    show_population,
)
from resnest_bench.formats import format_probability
from resnest_bench.stats.mixed_model import EFFECT_COLUMNS

CELL, ROW_HEIGHT = 58, 30
MAX_ROWS = 60
VERDICTS = {ABOVE: PALETTE[2], BELOW: PALETTE[1], UNDECIDED: GREY, UNTESTED: PALETTE[4]}
VERDICTS |= {text: VERDICTS[verdict] for verdict, text in NETWORKS.items()}
OPPOSITE = {
    ABOVE: BELOW,
    BELOW: ABOVE,
    NETWORKS[ABOVE]: NETWORKS[BELOW],
    NETWORKS[BELOW]: NETWORKS[ABOVE],
}
MODEL, WELCH = "equal spreads (mixed model)", "each network's own spread (Welch)"


def pairs_chart(pairs: pd.DataFrame) -> alt.LayerChart | alt.Chart:
    """All pairs as a matrix of row minus column, or one row per variant against one base.

    `pairs` is from `compute_differences`.
    """
    head = "Is the difference real?"
    drawn = show_population(pairs[pairs["difference_points"].notna()])
    if not len(drawn):
        return no_data_chart(head, ["No pair has a common seed"])
    if len(drawn["base"].unique()) == 1:
        return _rows_chart(drawn)
    return _square_chart(drawn)


def _subtitle(pairs: pd.DataFrame) -> list[str]:
    data = " and ".join(dict.fromkeys(pairs["dataset_label"]))
    images = " or ".join(f"{int(n):,}" for n in pairs["num_images"].dropna().unique())
    seeds = " or ".join(str(n) for n in sorted(pairs["n"].unique()))
    recipe = pairs["recipe"].iloc[0]
    count = f"{images} test images" if images else "unknown number of test images"
    return [f"{data}, {count}, recipe {recipe}, n={seeds} seeds"]


def _square_chart(pairs: pd.DataFrame) -> alt.LayerChart:
    both = pd.concat([pairs, _mirrored(pairs)], ignore_index=True)
    order = list(dict.fromkeys([*pairs["base"], *pairs["variant"]]))
    cells = both[
        [
            "variant",
            "base",
            "difference_points",
            "all_low_points",
            "all_high_points",
            "mean_better_all",
            "all_corrected_p",
            "n",
            "verdict",
        ]
    ].assign(
        text=[f"{value:+.1f}" for value in both["difference_points"]],
        better=both["mean_better_all"].map(format_probability),
    )
    lim = max(float(pairs["difference_points"].abs().max()), 0.1)
    x = alt.X(
        "base:N",
        sort=order,
        title="base",
        axis=alt.Axis(labelAngle=-35, labelLimit=0, labelOverlap=False),
    )
    y = alt.Y("variant:N", sort=order, title="variant", axis=alt.Axis(labelLimit=0))
    colour = alt.Color(
        "difference_points:Q",
        title=["significant:", "points"],
        scale=alt.Scale(domain=[-lim, 0, lim], range=DIVERGING),
    )
    significant = alt.datum.verdict == ABOVE
    significant |= alt.datum.verdict == BELOW
    tooltip = [
        alt.Tooltip("variant:N"),
        alt.Tooltip("base:N"),
        alt.Tooltip("verdict:N"),
        *_numbers(),
    ]
    # Two layers: a cell that is not significant must not look like a small difference.
    grid = alt.Chart(cells).encode(x=x, y=y, tooltip=tooltip)
    plain = grid.mark_rect(fill="transparent", stroke=GREY)
    coloured = grid.transform_filter(significant).mark_rect(stroke=GREY).encode(color=colour)
    quiet = grid.transform_filter(~significant).mark_text(fontStyle="italic")
    loud = grid.transform_filter(significant).mark_text(color=CELL_TEXT, fontWeight="bold")
    side = CELL * len(order)
    notes = [
        *_subtitle(pairs),
        f"Row minus column in {name_measure(pairs)} (percentage points). Coloured and bold: significant at "
        f"5 % for {describe_population(pairs)}, corrected over {len(pairs)} pairs",
    ]
    return alt.LayerChart(
        layer=[plain, coloured, quiet.encode(text="text:N"), loud.encode(text="text:N")]
    ).properties(
        title=title("Is the difference real? All pairs of networks", notes),
        width=max(side, 200),
        height=max(int(0.55 * side), 120),
    )


def _mirrored(pairs: pd.DataFrame) -> pd.DataFrame:
    """The same pairs with variant and base exchanged."""
    return pairs.assign(
        variant=pairs["base"],
        base=pairs["variant"],
        difference_points=-pairs["difference_points"],
        all_low_points=-pairs["all_high_points"],
        all_high_points=-pairs["all_low_points"],
        mean_better_all=1 - pairs["mean_better_all"],
        verdict=pairs["verdict"].replace(OPPOSITE),
    )


def _numbers() -> list[alt.Tooltip]:
    return [
        alt.Tooltip("difference_points:Q", title="difference (points)", format="+.2f"),
        alt.Tooltip("all_low_points:Q", title="95 % from", format="+.2f"),
        alt.Tooltip("all_high_points:Q", title="95 % to", format="+.2f"),
        alt.Tooltip("better:N", title="P(better)"),
        alt.Tooltip("all_corrected_p:Q", title="corrected p", format=".2~g"),
        alt.Tooltip("n:Q", title="seeds (n)"),
    ]


def _rows_chart(pairs: pd.DataFrame) -> alt.LayerChart:
    base, count = pairs["base"].iloc[0], len(pairs)
    rows = pairs.sort_values("difference_points", ascending=False, kind="stable").head(MAX_ROWS)
    rows = rows.assign(
        low=rows["all_low_points"].fillna(rows["networks_low_points"]),
        high=rows["all_high_points"].fillna(rows["networks_high_points"]),
        better=rows["mean_better_all"].map(format_probability),
    )
    # The interval of these networks is only for a single seed.
    rows.loc[rows["n"].ne(1) & rows["all_low_points"].isna(), ["low", "high"]] = float("nan")
    pair = rows[rows["n"].eq(2)].explode("seed_differences_points")
    values = pair[["variant", "seed_differences_points"]].astype({"seed_differences_points": float})
    x = alt.X(
        "difference_points:Q",
        title=f"{name_measure(pairs).capitalize()} minus that of {base} (percentage points)",
    )
    y = alt.Y("variant:N", sort=rows["variant"].tolist(), title=None, axis=alt.Axis(labelLimit=0))
    verdicts = [verdict for verdict in VERDICTS if (rows["verdict"] == verdict).any()]
    colour = alt.Color(
        "verdict:N",
        title=None,
        legend=alt.Legend(orient="top"),
        scale=alt.Scale(domain=verdicts, range=[VERDICTS[verdict] for verdict in verdicts]),
    )
    columns = [
        "variant",
        "base",
        "verdict",
        "difference_points",
        "low",
        "high",
        "all_low_points",
        "all_high_points",
        "better",
        "all_corrected_p",
        "n",
        "least_detectable_points",
    ]
    drawn = alt.Chart(rows[columns])
    barred = drawn.transform_filter("isValid(datum.low)")
    bars = barred.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q"), x2="high:Q", y=y, color=colour)
    tooltip = [
        alt.Tooltip("variant:N"),
        alt.Tooltip("verdict:N"),
        *_numbers(),
        alt.Tooltip("least_detectable_points:Q", title="minimum detectable (points)", format=".2f"),
    ]
    dots = drawn.mark_point(size=90, filled=True, opacity=1).encode(
        x=x, y=y, color=colour, tooltip=tooltip
    )
    # Two seeds have no interval: both differences are drawn.
    ticks = alt.Chart(values).mark_tick(thickness=1.5, size=12, color=GREY)
    both = [ticks.encode(x="seed_differences_points:Q", y=y)] if len(values) else []
    zero = alt.Chart(pd.DataFrame({"zero": [0.0]})).mark_rule(color=GREY, strokeDash=[4, 3])
    cut = f"The {MAX_ROWS} highest differences of {count}" if count > MAX_ROWS else ""
    what = (
        f"95 % interval for {describe_population(pairs)} (the training images stay the same)"
        if rows["n"].gt(1).any() or find_over_seeds(pairs).all()
        else ("95 % interval of these two networks on new test images")
    )
    notes = [
        *_subtitle(pairs),
        f"Bars: {what}. Significance at 5 %, corrected over {count} pairs",
        "No bar for two seeds: ticks show both differences" if both else "",
        cut,
    ]
    return alt.LayerChart(layer=[zero.encode(x="zero:Q"), bars, *both, dots]).properties(
        title=title(f"Is the difference real? Each network against {base}", notes),
        width=WIDTH,
        height=max(ROW_HEIGHT * len(rows), 60),
    )


def effects_chart(effects: pd.DataFrame) -> alt.LayerChart | alt.Chart:
    """One row per effect of `factor_effects`: the estimate with both of its intervals."""
    head = "Effect of each factor, over all networks together"
    drawn = effects[effects["effect"].notna()]
    if not len(drawn):
        return no_data_chart(head, ["No effect can be estimated"])
    labels = drawn["factor"] + ": " + drawn["level"] + " against " + drawn["base_level"]
    rows = drawn[list(EFFECT_COLUMNS)].assign(label=labels)
    models = rows.assign(kind=MODEL)
    welch = rows.assign(
        kind=WELCH,
        low=rows["welch_low"],
        high=rows["welch_high"],
        holm_p=rows["welch_holm_p"],
    )
    bars = pd.concat([models, welch], ignore_index=True)
    order = rows["label"].tolist()
    y = alt.Y("label:N", sort=order, title=None, axis=alt.Axis(labelLimit=0))
    offset = alt.YOffset("kind:N", sort=[WELCH, MODEL])
    colour = alt.Color(
        "kind:N",
        title=None,
        sort=[WELCH, MODEL],
        legend=alt.Legend(orient="top", labelLimit=0, columns=1),
        scale=alt.Scale(domain=[WELCH, MODEL], range=[PALETTE[0], PALETTE[4]]),
    )
    x = alt.X("effect:Q", title="Effect on the test accuracy (percentage points)")
    tooltip = [
        alt.Tooltip("label:N", title="effect"),
        alt.Tooltip("kind:N", title="interval"),
        alt.Tooltip("effect:Q", title="points", format="+.2f"),
        alt.Tooltip("low:Q", title="95 % from", format="+.2f"),
        alt.Tooltip("high:Q", title="95 % to", format="+.2f"),
        alt.Tooltip("holm_p:Q", title="p (Holm)", format=".2~g"),
        alt.Tooltip("num_variants:Q", title="networks at this level"),
    ]
    shared = alt.Chart(bars[["label", "kind", "effect", "low", "high", "holm_p", "num_variants"]])
    rules = (
        shared.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=2)
        .encode(x=alt.X("low:Q"), x2="high:Q", y=y, yOffset=offset, color=colour)
    )
    dots = shared.mark_point(size=70, filled=True, opacity=1).encode(
        x=x, y=y, yOffset=offset, color=colour, tooltip=tooltip
    )
    zero = alt.Chart(pd.DataFrame({"zero": [0.0]})).mark_rule(color=GREY, strokeDash=[4, 3])
    notes = [
        "Bars: 95 % intervals for new seeds on these training and test images, assuming that effects "
        "add up. The mixed model also assumes that all networks vary equally over seeds"
    ]
    return alt.LayerChart(layer=[zero.encode(x="zero:Q"), rules, dots]).properties(
        title=title(head, notes), width=WIDTH, height=max(42 * len(rows), 70)
    )
