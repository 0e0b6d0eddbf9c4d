"""Training curves: test accuracy over epochs."""

import altair as alt
import pandas as pd

from resnest_bench.charts.style import (
    WIDTH,
    distinct_text,
    no_data_chart,
    on_devices,
    series_scales,
    title,
)

TITLE = "Training curves"
MAX_MARKS = 4000
EXPERIMENT = ["kind", "dataset", "dataset_label", "recipe"]


def training_curves_chart(
    epochs: pd.DataFrame, field: str = "test_accuracy"
) -> alt.VConcatChart | alt.LayerChart | alt.Chart:
    """Mean over seeds of `field` in each epoch, and the range of the seeds, one panel a recipe.

    `epochs` is from `epochs_frame`. Accuracies are shown in %. A long training is thinned to at most
    4,000 points in all: every k-th epoch and the last.
    """
    known = epochs.dropna(subset=[field]) if len(epochs) else epochs
    if not len(known):
        return no_data_chart(TITLE)
    known = _best_status(known)
    means = curve_means(known, field)
    every = -(-len(means) // MAX_MARKS)
    panels = [_panel(group, field, every) for _, group in means.groupby(EXPERIMENT, sort=False)]
    text = f"{TITLE}: {distinct_text(known, 'dataset_label')}"
    subtitle = [
        f"Line: mean over seeds. Band: lowest to highest seed. {on_devices(known)}",
        f"Thinned: one epoch in {every}, and the last" if every > 1 else "",
        _not_ok(known),
    ]
    # Each experiment has its own variants: a shared legend would mix them up.
    whole = alt.vconcat(*panels).resolve_scale(color="independent", strokeDash="independent")
    return whole.properties(title=title(text, subtitle))


def curve_means(epochs: pd.DataFrame, field: str) -> pd.DataFrame:
    """Mean, low, high and n over seeds, for each experiment, variant and epoch."""
    factor = 100 if field.endswith("accuracy") else 1
    grouped = epochs.groupby([*EXPERIMENT, "variant", "epoch"], sort=False)[field]
    means = grouped.agg(mean="mean", low="min", high="max", n="count").reset_index()
    means[["mean", "low", "high"]] *= factor
    return means


def _best_status(epochs: pd.DataFrame) -> pd.DataFrame:
    """For each curve the ok seeds only; without any the stale ones, then the failed ones."""
    rank = epochs["status"].map({"ok": 0, "stale": 1, "failed": 2})
    best = rank.groupby([epochs[c] for c in (*EXPERIMENT, "variant")]).transform("min")
    return epochs[rank == best]


def _thinned(means: pd.DataFrame, every: int) -> pd.DataFrame:
    last = means.groupby("variant")["epoch"].transform("max")
    return means[(means["epoch"] % every == 0) | (means["epoch"] == last)]


def _not_ok(epochs: pd.DataFrame) -> str:
    bad = epochs.loc[epochs["status"] != "ok", ["recipe", "variant", "status"]].drop_duplicates()
    names = [f"{v}, {r} ({s})" for r, v, s in bad.itertuples(index=False)]
    return f"Not ok: {'; '.join(names)}" if names else ""


def _epoch_axis(last: int) -> alt.Axis:
    few = {"values": list(range(1, last + 1))} if last <= 20 else {}
    return alt.Axis(format="d", **few)


def _panel(means: pd.DataFrame, field: str, every: int) -> alt.LayerChart:
    points = _thinned(means, every)
    colours, dashes = series_scales(list(dict.fromkeys(points["variant"])))
    unit = "%" if field.endswith("accuracy") else "nats" if field.endswith("loss") else ""
    axis = field.replace("_", " ").capitalize() + (f" ({unit})" if unit else "")
    base = alt.Chart(points).encode(
        x=alt.X("epoch:Q", title="Epoch", axis=_epoch_axis(int(points["epoch"].max()))),
        color=alt.Color("variant:N", scale=colours, sort=None, legend=alt.Legend(symbolOpacity=1)),
    )
    band = base.mark_area(opacity=0.15).encode(
        y=alt.Y("low:Q", title=axis, scale=alt.Scale(zero=False)), y2="high:Q"
    )
    line = base.mark_line(point=len(points) <= 200).encode(
        y=alt.Y("mean:Q", title=axis),
        strokeDash=alt.StrokeDash("variant:N", scale=dashes, sort=None),
        tooltip=["variant:N", "epoch:Q", alt.Tooltip("mean:Q", format=".4~g"), "n:Q"],
    )
    first = points.iloc[0]
    text = f"{first['dataset_label']}, {first['kind']}, recipe {first['recipe']}"
    return alt.layer(band, line).properties(title=text, width=WIDTH, height=260)
