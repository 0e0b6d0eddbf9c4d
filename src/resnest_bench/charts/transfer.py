"""Fine-tuning: the recipes of each variant side by side."""

import altair as alt
import pandas as pd

from resnest_bench.charts.ablation import COLUMNS, describe_trainings, dots_with_intervals
from resnest_bench.charts.identity import LEGEND_COLUMNS
from resnest_bench.charts.marks import name_rows
from resnest_bench.charts.palette import PALETTE
from resnest_bench.charts.style import (
    WIDTH,
    describe_intervals,
    describe_missing,
    join_distinct,
    no_data_chart,
    title,
    with_marks,
)
from resnest_bench.tables.headline import show_headline

TITLE = "Transfer"


def transfer_chart(transfer: pd.DataFrame) -> alt.LayerChart | alt.VConcatChart | alt.Chart:
    """Dot, interval and ticks for each row of `transfer_table`; one panel per dataset."""
    if not len(transfer):
        return no_data_chart(TITLE)
    panels = [_panel(rows) for _, rows in transfer.groupby("dataset", sort=False)]
    return panels[0] if len(panels) == 1 else alt.vconcat(*panels).resolve_scale(color="shared")


def _panel(rows: pd.DataFrame) -> alt.LayerChart | alt.Chart:
    rows, measure = show_headline(rows)
    drawn = rows["accuracy_mean_percent"].notna()
    text = f"{TITLE}: {join_distinct(rows, 'dataset_label')}"
    named = rows.assign(variant=rows["variant"] + ", " + rows["recipe"])
    gaps = describe_missing(named, drawn)
    if not drawn.any():
        return no_data_chart(text, [gaps])
    recipes = list(dict.fromkeys(rows["recipe"]))
    variants = list(dict.fromkeys(rows["variant"]))
    y = name_rows("variant", variants)
    colour = alt.Color(
        "recipe:N",
        scale=alt.Scale(domain=recipes, range=PALETTE),
        sort=recipes,
        legend=alt.Legend(orient="bottom", title=None, labelLimit=0, columns=LEGEND_COLUMNS),
    )
    points = with_marks(rows[drawn])[[*COLUMNS, "gain_mean_points"]]
    offset = alt.YOffset("recipe:N", sort=recipes, scale=alt.Scale(domain=recipes))
    layers = dots_with_intervals(points, y, colour, alt.value("circle"), measure, yOffset=offset)
    bars = describe_intervals(rows.loc[drawn, "accuracy_interval_about"])
    subtitle = [describe_trainings(rows), f"{bars}. Ticks: single seeds", gaps]
    return alt.LayerChart(layer=layers).properties(
        title=title(text, subtitle), width=WIDTH, height=40 + 28 * len(rows)
    )
