"""Charts by class: confusion matrices, and the difference of two networks in each class."""

import altair as alt
import pandas as pd

from resnest_bench.charts.palette import CELL_TEXT, DIVERGING, GREY, PALETTE
from resnest_bench.charts.style import WIDTH, join_distinct, no_data_chart, title
from resnest_bench.frames.predictions import NOT_KEPT
from resnest_bench.stats.power import ALPHA

CELL = 44
ROW_HEIGHT = 26
# A matrix of more classes is no picture: those that are recognised worst are drawn.
MAX_CLASSES = 30
# In smaller cells there is room for one number only.
MAX_WITH_SPREAD = 10
MAX_ROWS = 40
SIGNIFICANT, NOT_SIGNIFICANT = "significant (Holm)", "not significant or not tested"


def confusion_chart(
    confusion: pd.DataFrame, variant: str, label: str = ""
) -> alt.LayerChart | alt.Chart:
    """The confusion matrix of one network: `confusion` has its rows of `confusion_table`.

    `label` is that of the data, where there are no rows to say it. Cells show the share of a label's images in %, as the mean over seeds with its standard deviation.
    """
    head = f"Confusion matrix of {variant}"
    rows = confusion[confusion["variant"] == variant]
    if not len(rows):
        return no_data_chart(head, [label, NOT_KEPT[0].upper() + NOT_KEPT[1:]])
    classes, note = _choose_classes(rows)
    rows = rows[rows["label"].isin(classes) & rows["predicted"].isin(classes)]
    right = rows["label"] == rows["predicted"]
    n = int(rows["n"].iloc[0])
    with_spread = n > 1 and len(classes) <= MAX_WITH_SPREAD
    share = rows["share_mean_percent"]
    cells = rows.assign(
        # Mistakes are shown below 0, so that they have a colour of their own.
        signed=share.where(right, -share),
        text=[
            f"{mean:.0f} ± {std:.0f}" if with_spread else f"{mean:.0f}"
            for mean, std in zip(share, rows["share_std_points"], strict=True)
        ],
    )
    worst = max(float(share[~right].max()) if (~right).any() else 0.0, 1.0)
    x, y = (
        alt.X(
            "predicted:N",
            sort=classes,
            scale=alt.Scale(domain=classes),
            title="predicted class",
            axis=alt.Axis(labelAngle=-35, labelLimit=140, labelOverlap=False),
        ),
        alt.Y(
            "label:N",
            sort=classes,
            scale=alt.Scale(domain=classes),
            title="label",
            axis=alt.Axis(labelLimit=140),
        ),
    )
    colour = alt.Color(
        "signed:Q",
        scale=alt.Scale(domain=[-worst, 0, 100], range=DIVERGING),
        legend=None,
    )
    tooltip = [
        alt.Tooltip("label:N"),
        alt.Tooltip("predicted:N"),
        alt.Tooltip("images_mean:Q", title="images (mean over seeds)", format=".4~g"),
        alt.Tooltip("images_std:Q", title="images (std)", format=".3~g"),
        alt.Tooltip("share_mean_percent:Q", title="share of the label (%)", format=".2f"),
        alt.Tooltip("share_std_points:Q", title="std (points)", format=".2f"),
    ]
    base = alt.Chart(cells).encode(x=x, y=y)
    layers = [
        base.mark_rect(stroke=GREY, strokeWidth=0.5).encode(color=colour, tooltip=tooltip),
        base.mark_text(color=CELL_TEXT, fontSize=10).encode(text="text:N", tooltip=tooltip),
    ]
    side = (CELL if with_spread else 30) * len(classes)
    seeds = f"mean{' ± standard deviation' if with_spread else ''} over n={n} seeds"
    notes = [
        f"{join_distinct(rows, 'dataset_label')}, {int(rows['num_images'].iloc[0]):,} test images",
        f"Share of a label's images in %, {seeds if n > 1 else 'n=1 seed'}",
        "Blue: right. Orange: wrong, the darker the more often",
        note,
    ]
    return alt.LayerChart(layer=layers).properties(
        title=title(head, notes), width=max(side, 160), height=max(int(0.7 * side), 90)
    )


def _choose_classes(rows: pd.DataFrame) -> tuple[list[str], str]:
    """The classes to draw, in their order, and a note on the others."""
    # Every class with an image is a label of some row; one without may still be predicted.
    classes = list(dict.fromkeys([*rows["label"], *rows["predicted"]]))
    if len(classes) <= MAX_CLASSES:
        return classes, ""
    right = rows[rows["label"] == rows["predicted"]].set_index("label")["share_mean_percent"]
    recall = right.reindex(classes).fillna(0.0)
    worst = set(recall.sort_values(kind="stable").index[:MAX_CLASSES])
    note = f"The {MAX_CLASSES} of {len(classes)} classes that are recognised worst"
    return [name for name in classes if name in worst], note


def class_differences_chart(rows: pd.DataFrame) -> alt.LayerChart | alt.Chart:
    """One row per class: the difference in recall of two networks, with its interval over seeds.

    `rows` are those of one pair in `class_differences`. Of more than 40 classes those that differ most are
    drawn.
    """
    head = "The difference, class by class"
    drawn = rows[rows["difference_points"].notna()]
    if not len(drawn):
        return no_data_chart(head, [NOT_KEPT[0].upper() + NOT_KEPT[1:]] if not len(rows) else [])
    ours, base, n = drawn["variant"].iloc[0], drawn["base"].iloc[0], int(drawn["n"].iloc[0])
    most = drawn["difference_points"].abs().sort_values(ascending=False, kind="stable")
    shown = drawn[drawn.index.isin(most.index[:MAX_ROWS])]
    shown = shown.sort_values("difference_points", ascending=False, kind="stable")
    significant = shown["holm_p"].le(ALPHA)
    columns = ["class", "num_images", "difference_points", "low_points", "high_points", "holm_p"]
    points = shown[columns].assign(
        verdict=significant.map({True: SIGNIFICANT, False: NOT_SIGNIFICANT})
    )
    order = points["class"].tolist()
    x = alt.X(
        "difference_points:Q",
        title="Difference in recall (percentage points)",
        axis=alt.Axis(tickCount=6),
    )
    y = alt.Y(
        "class:N",
        sort=order,
        scale=alt.Scale(domain=order),
        title=None,
        axis=alt.Axis(labelLimit=200),
    )
    verdicts = [v for v in (SIGNIFICANT, NOT_SIGNIFICANT) if (points["verdict"] == v).any()]
    looks = {SIGNIFICANT: PALETTE[0], NOT_SIGNIFICANT: GREY}
    colour = alt.Color(
        "verdict:N",
        title=None,
        scale=alt.Scale(domain=verdicts, range=[looks[verdict] for verdict in verdicts]),
        legend=alt.Legend(orient="top", labelLimit=0, columns=1),
    )
    tooltip = [
        alt.Tooltip("class:N"),
        alt.Tooltip("num_images:Q", title="test images"),
        alt.Tooltip("difference_points:Q", title="difference (points)", format="+.2f"),
        alt.Tooltip("low_points:Q", title="95 % from", format="+.2f"),
        alt.Tooltip("high_points:Q", title="95 % to", format="+.2f"),
        alt.Tooltip("holm_p:Q", title="p (Holm)", format=".2~g"),
    ]
    bars = alt.Chart(points.dropna(subset=["low_points"])).mark_rule(strokeWidth=2)
    dots = alt.Chart(points).mark_point(size=80, filled=True, opacity=1)
    zero = alt.Chart(pd.DataFrame({"zero": [0.0]})).mark_rule(color=GREY, strokeDash=[4, 3])
    num_images = int(rows["num_images"].sum())
    data = f"{join_distinct(drawn, 'dataset_label')}, {num_images:,} test images"
    bounds = (
        f"Bars: 95 % interval over n={n} paired seeds, for new seeds on these test images. Significant at 5 % "
        f"with Holm's correction over {len(rows)} classes"
        if n > 2
        else f"n={n}: no interval and no test"
    )
    cut = (
        f"The {MAX_ROWS} of {len(drawn)} classes that differ most" if len(drawn) > MAX_ROWS else ""
    )
    return alt.LayerChart(
        layer=[
            zero.encode(x="zero:Q"),
            bars.encode(x=alt.X("low_points:Q"), x2="high_points:Q", y=y, color=colour),
            dots.encode(x=x, y=y, color=colour, tooltip=tooltip),
        ]
    ).properties(
        title=title(f"{head}: {ours} minus {base}", [data, bounds, cut]),
        width=WIDTH,
        height=max(ROW_HEIGHT * len(points), 60),
    )
