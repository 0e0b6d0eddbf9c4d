"""Networks over several data sets: mean ranks with the critical difference, and performance profiles."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from resnest_bench.charts.identity import identity, network_legend
from resnest_bench.charts.marks import name_rows
from resnest_bench.charts.palette import GREY, PALETTE
from resnest_bench.charts.style import WIDTH, no_data_chart, title
from resnest_bench.comparisons.datasets import LEADS, NOT_WORSE, WORSE, list_groups
from resnest_bench.tables.headline import metric_words

HEAD, PROFILE_HEAD = "Ranks over data sets", "Performance profile"
MAX_ROWS = 60
STANDINGS = {LEADS: PALETTE[2], NOT_WORSE: PALETTE[0], WORSE: PALETTE[1]}


def ranks_chart(ranks: pd.DataFrame) -> alt.LayerChart | alt.Chart:
    """One row per network: its mean rank, its rank on each data set, and what the best one's band covers.

    `ranks` is from `compare_datasets`.
    """
    if not len(ranks):
        return no_data_chart(HEAD, ["Fewer than two networks have a result on two data sets"])
    drawn = ranks.head(MAX_ROWS)
    best, difference = drawn["mean_rank"].min(), float(drawn["critical_difference"].iloc[0])
    y = name_rows("variant", drawn["variant"])
    limit = alt.Scale(domain=[1, max(len(ranks), best + difference)], nice=False)
    x = alt.X("mean_rank:Q", title="Mean rank (1 is the best)", scale=limit)
    band = alt.Chart(pd.DataFrame({"low": [best], "high": [min(best + difference, len(ranks))]}))
    single = drawn[["variant", "datasets", "ranks"]].explode(["datasets", "ranks"])
    single = single.astype({"ranks": float}).rename(columns={"datasets": "dataset"})
    ticks = (
        alt.Chart(single)
        .mark_tick(thickness=1.5, size=12, color=GREY)
        .encode(x=alt.X("ranks:Q"), y=y, tooltip=["variant:N", "dataset:N", "ranks:Q"])
    )
    present = [text for text in STANDINGS if (drawn["standing"] == text).any()]
    colour = alt.Color(
        "standing:N",
        title=None,
        legend=alt.Legend(orient="top", labelLimit=0, columns=1),
        scale=alt.Scale(domain=present, range=[STANDINGS[text] for text in present]),
    )
    columns = ["variant", "mean_rank", "standing", "num_datasets"]
    dots = (
        alt.Chart(drawn[columns])
        .mark_point(size=90, filled=True, opacity=1)
        .encode(
            x=x,
            y=y,
            color=colour,
            tooltip=[
                alt.Tooltip("variant:N"),
                alt.Tooltip("mean_rank:Q", title="mean rank", format=".2f"),
                alt.Tooltip("standing:N"),
                alt.Tooltip("num_datasets:Q", title="data sets"),
            ],
        )
    )
    count = int(drawn["num_datasets"].iloc[0])
    groups = "; ".join(f"{low:.2f} to {high:.2f}" for low, high in list_groups(ranks))
    notes = [
        f"{metric_words(drawn['metric'].iloc[0]).capitalize()}, {count} data sets. Dots: mean rank. Ticks: rank on each data set",
        f"Shaded: within the critical difference of {difference:.2f} from the best (Nemenyi, 5 % for all pairs)",
        f"Groups within a critical difference: mean ranks {groups}" if groups else "",
        f"The first {MAX_ROWS} of {len(ranks)}" if len(ranks) > MAX_ROWS else "",
    ]
    shaded = band.mark_rect(color=GREY, opacity=0.15).encode(
        x=alt.X("low:Q", scale=limit), x2="high:Q"
    )
    return alt.LayerChart(layer=[shaded, ticks, dots]).properties(
        title=title(HEAD, notes), width=WIDTH, height=alt.Step(26)
    )


def profile_chart(profile: pd.DataFrame, metric: str, variants: Sequence[str] = ()) -> alt.Chart:
    """One line per network: the share of its runs, over all data sets and seeds, that reach a value."""
    if not len(profile):
        return no_data_chart(
            PROFILE_HEAD, ["Fewer than two networks have a result on two data sets"]
        )
    names = list(dict.fromkeys(profile["variant"]))
    looks = identity(variants, names)
    words = metric_words(metric)
    notes = [f"Share of the runs over all data sets and seeds with at least this {words}"]
    return (
        alt.Chart(profile)
        .mark_line(interpolate="step-after")
        .encode(
            x=alt.X(
                "threshold:Q",
                title=f"{words.capitalize()} of at least",
                scale=alt.Scale(zero=False),
            ),
            y=alt.Y("share:Q", title="Share of the runs", axis=alt.Axis(format="%")),
            color=alt.Color(
                "variant:N",
                title=None,
                sort=names,
                scale=looks.scale("colour", names),
                legend=network_legend(len(names), lines=True),
            ),
            strokeDash=alt.StrokeDash(
                "variant:N", sort=names, scale=looks.scale("dash", names), legend=None
            ),
            tooltip=[
                alt.Tooltip("variant:N"),
                alt.Tooltip("threshold:Q", format=".3~g"),
                alt.Tooltip("share:Q", format=".0%"),
                alt.Tooltip("runs:Q"),
            ],
        )
        .properties(title=title(PROFILE_HEAD, notes), width=WIDTH, height=260)
    )
