"""The state of a study: the jobs of each experiment by status."""

import altair as alt
import pandas as pd

from resnest_bench.charts.palette import PALETTE
from resnest_bench.charts.style import WIDTH, no_data_chart, title

TITLE = "Jobs by status"
COLOURS = {
    "ok": PALETTE[4],
    "stale": PALETTE[1],
    "failed": PALETTE[3],
    "invalid": PALETTE[0],
    "missing": PALETTE[2],
}


def coverage_chart(runs: pd.DataFrame) -> alt.Chart:
    """One bar of job counts per kind, dataset and recipe of `runs`."""
    if not len(runs):
        return no_data_chart(TITLE)
    names = runs["kind"] + ", " + runs["dataset"] + ", " + runs["recipe"]
    counts = (
        runs.assign(experiment=names)
        .groupby(["experiment", "status"], sort=False)
        .agg(jobs=("seed", "count"), variants=("variant", "nunique"))
        .reset_index()
    )
    counts["rank"] = counts["status"].map({name: rank for rank, name in enumerate(COLOURS)})
    statuses = [name for name in COLOURS if name in set(counts["status"])]
    order = list(dict.fromkeys(names))
    return (
        alt.Chart(counts)
        .mark_bar()
        .encode(
            x=alt.X("jobs:Q", title="Jobs", axis=alt.Axis(tickMinStep=1, format="d")),
            y=alt.Y("experiment:N", sort=order, title=None, axis=alt.Axis(labelLimit=0)),
            color=alt.Color(
                "status:N",
                sort=statuses,
                title=None,
                legend=alt.Legend(orient="bottom"),
                scale=alt.Scale(domain=statuses, range=[COLOURS[name] for name in statuses]),
            ),
            order="rank:Q",
            tooltip=["experiment:N", "status:N", "jobs:Q", "variants:Q"],
        )
        .properties(title=title(TITLE, []), width=WIDTH, height=alt.Step(26))
    )
