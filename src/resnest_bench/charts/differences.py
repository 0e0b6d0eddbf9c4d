"""Differences of variants: a matrix of all pairs, or one row per variant against one base; and effects."""

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from resnest_bench.charts.palette import CELL_TEXT, DIVERGING, GREY, PALETTE
from resnest_bench.charts.style import WIDTH, no_data_chart, title
from resnest_bench.comparisons.differences import (
    ABOVE,
    BELOW,
    NETWORKS,
    OPPOSITE,
    UNDECIDED,
    UNTESTED,
    describe_population,
    find_over_seeds,
    name_measure,
    show_population,
)
from resnest_bench.formats import format_probability, is_known, row_dicts
from resnest_bench.stats.mixed_model import EFFECT_COLUMNS

CELL, CELL_HEIGHT, ROW_HEIGHT = 66, 44, 30
# Rows of many networks are lower, so that the page stays below 3,000 pixels.
FEW_ROWS, LOW_ROW = 30, 22
# Pixels from the middle of a cell to its interval.
GLYPH_Y = 9
# Fill of a significant cell, for a dark text.
FILL = DIVERGING[2]
PICK = "pick_pair"
MAX_ROWS = 60
VERDICTS = {ABOVE: PALETTE[2], BELOW: PALETTE[1], UNDECIDED: GREY, UNTESTED: PALETTE[4]}
VERDICTS |= {text: VERDICTS[verdict] for verdict, text in NETWORKS.items()}
MODEL, WELCH = "equal spreads (mixed model)", "each network's own spread (Welch)"


def pairs_chart(
    pairs: pd.DataFrame, standings: pd.DataFrame | None = None
) -> alt.LayerChart | alt.Chart:
    """All pairs as a triangle, the best network first; or one row per variant against one base.

    `pairs` is from `compute_differences`, and `standings` adds groups and ranks. A click on a cell or a row
    selects its two networks (PICK).
    """
    head = "Is the difference real?"
    drawn = show_population(pairs[pairs["difference_points"].notna()])
    if not len(drawn):
        return no_data_chart(head, ["No pair has a common seed"])
    if len(drawn["base"].unique()) == 1:
        return _rows_chart(drawn)
    return _triangle_chart(drawn, standings)


def _subtitle(pairs: pd.DataFrame) -> list[str]:
    data = " and ".join(dict.fromkeys(pairs["dataset_label"]))
    images = " or ".join(f"{int(n):,}" for n in pairs["num_images"].dropna().unique())
    seeds = " or ".join(str(n) for n in sorted(pairs["n"].unique()))
    recipe = pairs["recipe"].iloc[0]
    count = f"{images} test images" if images else "unknown number of test images"
    return [f"{data}, {count}, recipe {recipe}, n={seeds} seeds"]


def _triangle_chart(pairs: pd.DataFrame, standings: pd.DataFrame | None) -> alt.LayerChart:
    """Cells below the diagonal, the best network first: how far each column is above each row.

    A cell is never blank: its number is the size, and the bar below it is the interval on one scale for all
    cells. The diagonal has the letters of the groups and the ranks that a network may have.
    """
    order = _order_by_mean(pairs, standings)
    cells = _lower_cells(pairs, order)
    known = cells[["from", "to", "lead"]].to_numpy(dtype=float)
    reach = float(np.nanmin(known)), float(np.nanmax(known))
    room = max(0.08 * (reach[1] - min(reach[0], 0.0)), 0.05)
    span = alt.Scale(domain=[min(reach[0], 0.0) - room, max(reach[1], 0.0) + room])
    names = alt.Scale(domain=order)
    x_axis = alt.Axis(orient="bottom", labelAngle=-35, labelLimit=0, labelOverlap=False, grid=False)
    x = alt.X("better:N", sort=order, scale=names, title=None, axis=x_axis)
    y_axis = alt.Axis(labelLimit=0, grid=False)
    y = alt.Y("worse:N", sort=order, scale=names, title=None, axis=y_axis)
    # The best first: a significant pair is the other way round only if common seeds alone say so.
    significant = (alt.datum.verdict == ABOVE) | (alt.datum.verdict == BELOW)
    tooltip = [
        alt.Tooltip("better:N", title="network"),
        alt.Tooltip("worse:N", title="minus"),
        alt.Tooltip("verdict:N"),
        alt.Tooltip("lead:Q", title="difference (points)", format="+.2f"),
        alt.Tooltip("low:Q", title="95 % from", format="+.2f"),
        alt.Tooltip("high:Q", title="95 % to", format="+.2f"),
        alt.Tooltip("chance:N", title="P(better)"),
        alt.Tooltip("all_corrected_p:Q", title="corrected p", format=".2~g"),
        alt.Tooltip("n:Q", title="seeds (n)"),
    ]
    pick = alt.selection_point(name=PICK, fields=["better", "worse"], on="click", empty=False)
    grid = alt.Chart(cells.drop(columns=["from", "to"])).encode(x=x, y=y, tooltip=tooltip)
    fill = alt.when(significant).then(alt.value(FILL)).otherwise(alt.value("transparent"))
    bars = cells.melt(["better", "worse", "verdict"], ["from", "to"], value_name="end").dropna()
    offset = alt.XOffset("end:Q", scale=span)
    layers = [
        grid.mark_rect(
            stroke=GREY, strokeOpacity=0.5, cursor="pointer", width=alt.ExprRef("bandwidth('x')")
        )
        .encode(fill=fill)
        .add_params(pick),
        alt.Chart(bars)
        .mark_line(strokeWidth=2.5)
        .encode(x=x, y=y, detail=["better:N", "worse:N"], xOffset=offset, color=_mark_colour()),
        grid.mark_tick(orient="vertical", size=12, thickness=1, yOffset=GLYPH_Y).encode(
            xOffset=alt.XOffsetDatum(0, scale=span), color=_mark_colour()
        ),
        grid.mark_point(filled=True, size=45, opacity=1, yOffset=GLYPH_Y).encode(
            xOffset=alt.XOffset("lead:Q", scale=span), color=_mark_colour()
        ),
        grid.transform_filter(~significant)
        .mark_text(fontStyle="italic", dy=-8)
        .encode(text="text:N"),
        grid.transform_filter(significant)
        .mark_text(color=CELL_TEXT, fontWeight="bold", dy=-8)
        .encode(text="text:N"),
        alt.Chart(_diagonal(order, standings))
        .mark_text(fontSize=11, lineBreak="\n")
        .encode(
            x=alt.X("name:N", sort=order, scale=names),
            y=alt.Y("name:N", sort=order, scale=names),
            text="text:N",
            tooltip=[
                alt.Tooltip("name:N", title="network"),
                alt.Tooltip("note:N", title="standing"),
            ],
        ),
    ]
    layers[1].mark.yOffset = GLYPH_Y
    notes = [
        *_subtitle(pairs),
        f"Numbers: the network below minus the one on the left, in points of {name_measure(pairs)}",
        f"Filled and bold: significant at 5 % for {describe_population(pairs)}, corrected over {len(pairs)} "
        "pairs. Below each number: its 95 % interval, and a tick at 0",
        "Diagonal: networks that share a letter don't differ significantly; then the ranks that are possible",
    ]
    return alt.LayerChart(layer=layers).properties(
        title=title("Is the difference real? All pairs of networks", notes),
        width=max(CELL * len(order), 200),
        height=max(CELL_HEIGHT * len(order), 120),
    )


def _mark_colour() -> Any:
    """Dark on the fill of a significant cell, and grey where it is legible on both pages."""
    return (
        alt.when((alt.datum.verdict == ABOVE) | (alt.datum.verdict == BELOW))
        .then(alt.value(CELL_TEXT))
        .otherwise(alt.value(GREY))
    )


def _order_by_mean(pairs: pd.DataFrame, standings: pd.DataFrame | None) -> list[str]:
    """All networks of the pairs, the best mean first."""
    names = list(dict.fromkeys([*pairs["base"], *pairs["variant"]]))
    if standings is not None and set(names) <= set(standings["variant"]):
        return [name for name in standings["variant"] if name in set(names)]
    both = pd.concat([pairs, _mirrored(pairs)])
    means = both.groupby("variant", sort=False)["difference_points"].mean()
    return sorted(names, key=lambda name: -float(means[name]))


def _lower_cells(pairs: pd.DataFrame, order: list[str]) -> pd.DataFrame:
    """One row per pair: by how much `better`, which comes first in `order`, is above `worse`."""
    place = {name: index for index, name in enumerate(order)}
    both = pd.concat([pairs, _mirrored(pairs)], ignore_index=True)
    upper = both["variant"].map(place) < both["base"].map(place)
    rows = both[upper]
    low = rows["all_low_points"].fillna(rows["networks_low_points"])
    high = rows["all_high_points"].fillna(rows["networks_high_points"])
    # The interval of these networks is only for a single seed.
    single = rows["n"].eq(1) | rows["all_low_points"].notna()
    cells = rows[["verdict", "all_corrected_p", "n"]].assign(
        better=rows["variant"],
        worse=rows["base"],
        lead=rows["difference_points"].astype(float),
        low=low.where(single).astype(float),
        high=high.where(single).astype(float),
        chance=rows["mean_better_all"].map(format_probability),
        text=[f"{value:+.1f}" for value in rows["difference_points"]],
    )
    # A few wide intervals must not make all others look like dots: a cut one ends at the cell's border.
    leads = cells["lead"].abs().max()
    return cells.assign(
        **{"from": cells["low"].clip(-leads, 1.3 * leads)},
        to=cells["high"].clip(-leads, 1.3 * leads),
    )


def _diagonal(order: list[str], standings: pd.DataFrame | None) -> pd.DataFrame:
    known = {} if standings is None else {row["variant"]: row for row in row_dicts(standings)}
    rows = []
    for name in order:
        row = known.get(name, {})
        ranks = ""
        if is_known(row.get("rank_low")):
            low, high = row["rank_low"], row["rank_high"]
            ranks = f"rank {low}" if low == high else f"rank {low}–{high}"
        text = "\n".join(filter(None, [row.get("groups") or "", ranks])) or "–"
        rows.append({"name": name, "text": text, "note": row.get("standing") or ""})
    return pd.DataFrame(rows)


def _mirrored(pairs: pd.DataFrame) -> pd.DataFrame:
    """The same pairs with variant and base exchanged."""
    return pairs.assign(
        variant=pairs["base"],
        base=pairs["variant"],
        difference_points=-pairs["difference_points"],
        all_low_points=-pairs["all_high_points"],
        all_high_points=-pairs["all_low_points"],
        networks_low_points=-pairs["networks_high_points"],
        networks_high_points=-pairs["networks_low_points"],
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
    pick = alt.selection_point(name=PICK, fields=["variant", "base"], on="click", empty=False)
    dots = dots.add_params(pick)
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
        height=max((ROW_HEIGHT if len(rows) <= FEW_ROWS else LOW_ROW) * len(rows), 60),
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
