"""What bounds a latency: the share of it that each ceiling of the device accounts for."""

import altair as alt
import pandas as pd

from resnest_bench.charts.marks import name_rows
from resnest_bench.charts.palette import GREY, PALETTE
from resnest_bench.charts.style import WIDTH, no_data_chart, title

HEAD = "What bounds the latency"
PARTS = {"arithmetic_ms": "arithmetic", "memory_ms": "memory", "overhead_ms": "overhead"}
MAX_ROWS = 60


def roofline_chart(table: pd.DataFrame) -> alt.LayerChart | alt.Chart:
    """Three bars per network: its least time by arithmetic, memory and overhead, in % of the latency.

    `table` has the rows of one device, setting and batch size, from `roofline_table`.
    """
    if not len(table):
        return no_data_chart(HEAD, ["No record has the ceilings of its device"])
    drawn, first = table.head(MAX_ROWS), table.iloc[0]
    names = [*PARTS]
    long = drawn[["variant", "p50_ms", *names]].melt(
        ["variant", "p50_ms"], var_name="part", value_name="ms"
    )
    long = long.dropna(subset=["ms"]).assign(percent=lambda x: 100 * x["ms"] / x["p50_ms"])
    long = long.assign(part=long["part"].map(PARTS))
    present = [text for text in PARTS.values() if (long["part"] == text).any()]
    bars = (
        alt.Chart(long)
        .mark_bar(height=5)
        .encode(
            x=alt.X("percent:Q", title="Share of the latency (%)"),
            y=name_rows("variant", drawn["variant"]),
            yOffset=alt.YOffset("part:N", sort=present),
            color=alt.Color(
                "part:N",
                title=None,
                sort=present,
                legend=alt.Legend(orient="top"),
                scale=alt.Scale(domain=present, range=PALETTE[: len(present)]),
            ),
            tooltip=[
                "variant:N",
                "part:N",
                alt.Tooltip("ms:Q", title="least time (ms)", format=".3~g"),
                alt.Tooltip("percent:Q", title="share (%)", format=".3~g"),
                alt.Tooltip("p50_ms:Q", title="latency (ms)", format=".3~g"),
            ],
        )
    )
    whole = alt.Chart(pd.DataFrame({"percent": [100]})).mark_rule(color=GREY, strokeDash=[4, 4])
    notes = [
        f"{first['device']}, {first['precision']}, {first['mode']}, batch {first['batch_size']}",
        "The longest bar bounds the latency; dashed: the ceiling is reached",
        "A bar of memory beyond that: the data stays in a cache, and memory is no bound"
        if (long["percent"].gt(100) & long["part"].eq("memory")).any()
        else "",
        f"The first {MAX_ROWS} of {len(table)}" if len(table) > MAX_ROWS else "",
    ]
    return alt.LayerChart(
        layer=[bars, whole.encode(x=alt.X("percent:Q", title="Share of the latency (%)"))]
    ).properties(title=title(HEAD, notes), width=WIDTH, height=alt.Step(12))
