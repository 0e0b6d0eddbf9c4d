"""The paper's printed figures next to ours, one row per network."""

import altair as alt
import pandas as pd

from resnest_bench.charts.palette import GREY, PALETTE
from resnest_bench.charts.style import WIDTH, join_distinct, no_data_chart, title

OURS, PRINTED = "ours", "printed in the paper (T4, full data)"


def paper_chart(rows: pd.DataFrame, what: str) -> alt.LayerChart | alt.Chart:
    """An open diamond at the printed figure, and a dot with its 95 % interval at ours.

    `rows` are the rows of `paper_table` for one table and one quantity, `what`. Networks that the study
    does not include keep their row with only the diamond.
    """
    text = f"{what[:1].upper()}{what[1:]}: the paper's and ours"
    if not len(rows):
        return no_data_chart(text)
    data = join_distinct(rows, "data")
    ours = rows.dropna(subset=["ours"])
    marks = pd.concat(
        [
            rows[["variant", "printed"]]
            .rename(columns={"printed": "value"})
            .assign(figure=PRINTED),
            ours[["variant", "ours", "n", "status"]]
            .rename(columns={"ours": "value"})
            .assign(figure=OURS),
        ],
        ignore_index=True,
    ).dropna(subset=["value"])
    order = list(dict.fromkeys(rows["variant"]))
    y = alt.Y(
        "variant:N",
        sort=order,
        title=None,
        scale=alt.Scale(domain=order),
        axis=alt.Axis(labelLimit=0, grid=True),
    )
    scale = alt.Scale(zero=False)
    two = ours[ours["n"].eq(2)].explode("our_values").rename(columns={"our_values": "value"})
    links = rows.dropna(subset=["ours", "printed"])[["variant", "ours", "printed"]]
    shapes = alt.Scale(domain=[OURS, PRINTED], range=["circle", "diamond"])
    legend = alt.Legend(orient="bottom", title=None, labelLimit=400)
    layers = [
        alt.Chart(links)
        .mark_rule(color=GREY, strokeDash=[2, 3])
        .encode(x=alt.X("ours:Q", title=what, scale=scale), x2="printed:Q", y=y),
        alt.Chart(ours.dropna(subset=["low"])[["variant", "low", "high"]])
        .mark_rule(strokeWidth=2, color=PALETTE[0])
        .encode(x=alt.X("low:Q", title=what, scale=scale), x2="high:Q", y=y),
        # Two values have no interval: both are drawn.
        alt.Chart(two[["variant", "value"]].astype({"value": float}))
        .mark_tick(thickness=1.5, size=12, color=GREY)
        .encode(x=alt.X("value:Q", title=what, scale=scale), y=y),
        alt.Chart(marks)
        .mark_point(size=85, strokeWidth=2, opacity=1)
        .encode(
            x=alt.X("value:Q", title=what, scale=scale),
            y=y,
            shape=alt.Shape("figure:N", legend=legend, scale=shapes),
            stroke=alt.Stroke(
                "figure:N",
                legend=legend,
                scale=alt.Scale(domain=[OURS, PRINTED], range=PALETTE[:2]),
            ),
            fill=alt.Fill(
                "figure:N",
                legend=legend,
                scale=alt.Scale(domain=[OURS, PRINTED], range=[PALETTE[0], "transparent"]),
            ),
            tooltip=[
                "variant:N",
                "figure:N",
                alt.Tooltip("value:Q", title=what, format=".5~g"),
                alt.Tooltip("n:Q", title="n"),
                "status:N",
            ],
        ),
    ]
    differs = sorted({reason for reason in rows["differs"].dropna() if reason})
    notes = [
        f"Ours: {data}, on {join_distinct(rows, 'device')}. Bar: 95 % interval of the mean. Ticks: both values of n=2"
        if len(ours)
        else "This study has no such figure yet",
        f"Different from the paper: {'; '.join(differs[:2])}" if differs else "",
    ]
    return alt.LayerChart(layer=layers).properties(
        title=title(text, notes), width=WIDTH, height=alt.Step(28)
    )
