"""How stable was the machine: one network, timed before and after each measurement."""

import altair as alt
import pandas as pd

from resnest_bench.charts.marks import name_rows, offsets, row_height
from resnest_bench.charts.palette import GREY, PALETTE
from resnest_bench.charts.rounds import (
    data_title,
    describe_gaps,
    describe_rounds,
    describe_setting,
    explain_gaps,
    first_rows,
    latency_jobs,
    name_stale,
)
from resnest_bench.charts.style import WIDTH, no_data_chart, title

TITLE = "Drift of the reference network"
AXIS = "Drift (%)"
BAND_PERCENT = 5
MARKS_PER_POINT = 2


def drift_chart(runs: pd.DataFrame) -> alt.LayerChart | alt.Chart:
    """One dot per variant and round: reference_drift in %, with a zero line and a band of ±5 %.

    `runs` is from `collect`. The band is for orientation only.
    """
    jobs = latency_jobs(runs)
    if not len(jobs):
        return no_data_chart(TITLE)
    why = explain_gaps(jobs, "reference_drift", positive=False)
    drawn, text, gaps = jobs[why == ""], data_title(TITLE, jobs), describe_gaps(jobs, why)
    if not len(drawn):
        return no_data_chart(text, [gaps])
    points, cut = first_rows(drawn, MARKS_PER_POINT)
    points = points.assign(drift_percent=100 * points["reference_drift"])
    subtitle = [
        "One fixed network, timed before and after each measurement",
        f"Median after over median before, minus 1, {describe_setting(drawn)}",
        ". ".join(
            filter(None, [f"Band: ±{BAND_PERCENT} %, for orientation", describe_rounds(drawn)])
        ),
        *(cut, name_stale(drawn), gaps),
    ]
    layered = alt.LayerChart(layer=_layers(points[["row", "seed", "status", "drift_percent"]]))
    height = row_height(points["seed"].nunique())
    return layered.properties(title=title(text, subtitle), width=WIDTH, height=height)


def _layers(points: pd.DataFrame) -> list[alt.Chart]:
    x = alt.X(
        "drift_percent:Q", title=AXIS, axis=alt.Axis(format="+,.3~r"), scale=alt.Scale(padding=12)
    )
    base = alt.Chart(points).encode(
        x=x, y=name_rows("row", points["row"]), yOffset=offsets("seed", sorted(set(points["seed"])))
    )
    band = alt.Chart(pd.DataFrame({"low": [-BAND_PERCENT], "high": [BAND_PERCENT]}))
    zero = alt.Chart(pd.DataFrame({"zero": [0]}))
    return [
        band.mark_rect(color=GREY, opacity=0.15).encode(x=alt.X("low:Q", title=AXIS), x2="high:Q"),
        zero.mark_rule(color=GREY).encode(x=alt.X("zero:Q", title=AXIS)),
        base.mark_rule(color=PALETTE[0]).encode(x2=alt.datum(0)),
        base.mark_point(filled=True, size=45, opacity=1, color=PALETTE[0]).encode(
            tooltip=[
                alt.Tooltip("row:N", title="variant"),
                alt.Tooltip("seed:Q", title="round"),
                alt.Tooltip("drift_percent:Q", title="drift (%)", format="+.2f"),
                "status:N",
            ]
        ),
    ]
