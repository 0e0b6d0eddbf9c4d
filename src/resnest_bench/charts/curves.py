"""Training curves: a metric over epochs, time or images; mean and range over seeds, and single seeds."""

from collections.abc import Sequence

import altair as alt
import pandas as pd
from altair.typing import ChannelOpacity

from resnest_bench.charts.identity import Identity, identity, network_legend
from resnest_bench.charts.style import WIDTH, join_distinct, no_data_chart, on_devices, title

TITLE = "Training curves"
MAX_MARKS = 4000
EXPERIMENT = ["kind", "dataset", "dataset_label", "recipe"]
# What the x axis can be, with its title.
AXES = {
    "epoch": "Epoch",
    "minutes": "Time, with evaluations (minutes)",
    "images": "Training images",
}
AXIS_NAMES = {"epoch": "epoch", "minutes": "time", "images": "images"}
UNITS = {"accuracy": "%", "loss": "nats", "seconds": "s", "second": "images/s"}


def training_curves_chart(
    epochs: pd.DataFrame, field: str = "test_accuracy", variants: Sequence[str] = ()
) -> alt.VConcatChart | alt.Chart:
    """All `training_curves_panels` under one title, for a file."""
    panels = training_curves_panels(epochs, field, variants)
    if not panels:
        return no_data_chart(TITLE)
    rows = _with_values(epochs, field)
    text = f"{TITLE}: {join_distinct(rows, 'dataset_label')}"
    subtitle = [f"{_explain_lines(rows)}. {on_devices(rows)}", _name_not_ok(rows)]
    # Each experiment has its own variants: a shared legend would mix them up.
    figure = alt.vconcat(*panels).resolve_scale(color="independent", strokeDash="independent")
    return figure.properties(title=title(text, subtitle))


def training_curves_panels(
    epochs: pd.DataFrame,
    field: str = "test_accuracy",
    variants: Sequence[str] = (),
    axis: str = "epoch",
    smoothing: int = 1,
    on_hover: bool = False,
) -> list[alt.LayerChart]:
    """One chart per experiment in `epochs`, which is from `epochs_frame` or `live_epochs`.

    Bold lines are means of `field` over seeds, bands their range, and thin lines single seeds: all of
    them or, with `on_hover`, those of the network under the mouse. Accuracies are in %. Seeds that are
    still running are thin lines and not in the mean. Long trainings are thinned to about 4,000 points in
    total: every k-th epoch and the last. `variants` are all variants of the study, in its order; they
    determine each network's appearance. `axis` is one of AXES; a mean over seeds is at their mean time.
    Of `smoothing` epochs, the last ones, each value is the mean; 1 leaves it as it is.
    """
    rows = _with_values(epochs, field)
    if not len(rows):
        return []
    # Epochs of records and of a running training each start their index at 0.
    rows = rows.reset_index(drop=True)
    rows = _smooth(rows if axis == "epoch" else add_axes(rows), field, smoothing)
    every = -(-len(rows) // MAX_MARKS)
    groups = [group for _, group in rows.groupby(EXPERIMENT, sort=False)]
    looks = identity(variants, rows["variant"])
    note = f"Smoothed: each value is the mean of {smoothing} epochs" if smoothing > 1 else ""
    return [
        _panel(group, field, every, f"legend{i}", looks, axis, on_hover, note)
        for i, group in enumerate(groups)
    ]


def add_axes(epochs: pd.DataFrame) -> pd.DataFrame:
    """`epochs` in their order, with `minutes` and `images` since the start of each training."""
    ordered = epochs.sort_values("epoch", kind="stable", ignore_index=True)
    seed = [ordered[name] for name in (*EXPERIMENT, "variant", "seed")]
    seconds = ordered["train_seconds"].astype(float)
    spent = seconds + ordered["evaluation_seconds"].astype(float).fillna(0.0)
    images = (seconds * ordered["images_per_second"].astype(float)).round()
    return ordered.assign(
        minutes=(spent / 60).groupby(seed, sort=False).cumsum(),
        images=images.groupby(seed, sort=False).cumsum(),
    )


def _smooth(epochs: pd.DataFrame, field: str, smoothing: int) -> pd.DataFrame:
    if smoothing < 2:
        return epochs
    ordered = epochs.sort_values("epoch", kind="stable")
    seed = [*EXPERIMENT, "variant", "seed"]
    means = ordered.groupby(seed, sort=False)[field].rolling(smoothing, min_periods=1).mean()
    values = means.reset_index(level=list(range(len(seed))), drop=True)
    return epochs.assign(**{field: values})


def _with_values(epochs: pd.DataFrame, field: str) -> pd.DataFrame:
    return _best_status(epochs.dropna(subset=[field])) if len(epochs) else epochs


def curve_means(epochs: pd.DataFrame, field: str) -> pd.DataFrame:
    """Mean, low, high and n over seeds, per experiment, variant and epoch; accuracies in %."""
    grouped = epochs.groupby([*EXPERIMENT, "variant", "epoch"], sort=False)
    means = grouped[field].agg(mean="mean", low="min", high="max", n="count")
    means[["mean", "low", "high"]] *= _factor(field)
    known = [name for name in ("minutes", "images") if name in epochs]
    return means.join(grouped[known].mean()).reset_index() if known else means.reset_index()


def _factor(field: str) -> int:
    return 100 if field.endswith("accuracy") else 1


def field_title(field: str) -> str:
    """'Test accuracy (%)'."""
    unit = UNITS.get(field.rpartition("_")[2], "")
    name = (
        "Training speed" if field == "images_per_second" else field.replace("_", " ").capitalize()
    )
    return f"{name} ({unit})" if unit else name


def _best_status(epochs: pd.DataFrame) -> pd.DataFrame:
    """For each curve the ok seeds, else the stale ones, else the failed ones; always the running ones."""
    rank = epochs["status"].map({"ok": 0, "stale": 1, "failed": 2})
    best = rank.groupby([epochs[c] for c in (*EXPERIMENT, "variant")]).transform("min")
    return epochs[(rank == best) | (epochs["status"] == "running")]


def _thinned(rows: pd.DataFrame, every: int) -> pd.DataFrame:
    last = rows.groupby("variant")["epoch"].transform("max")
    return rows[(rows["epoch"] % every == 0) | (rows["epoch"] == last)]


def _explain_lines(epochs: pd.DataFrame) -> str:
    running = "; those still running are not in the mean" if _any_running(epochs) else ""
    return f"Bold: mean over seeds. Band: lowest to highest seed. Thin: single seeds{running}"


def _any_running(epochs: pd.DataFrame) -> bool:
    return bool((epochs["status"] == "running").any())


def _name_not_ok(epochs: pd.DataFrame) -> str:
    bad = epochs.loc[epochs["status"] != "ok", ["recipe", "variant", "status"]].drop_duplicates()
    names = [f"{v}, {r} ({s})" for r, v, s in bad.itertuples(index=False)]
    return f"Not ok: {'; '.join(names)}" if names else ""


def _epoch_axis(last: int) -> alt.Axis:
    few = list(range(1, last + 1)) if last <= 20 else alt.Undefined
    return alt.Axis(format="d", values=few)


def _panel(
    epochs: pd.DataFrame,
    field: str,
    every: int,
    name: str,
    looks: Identity,
    axis: str,
    on_hover: bool,
    smoothed: str,
) -> alt.LayerChart:
    seeds = _thinned(epochs, every).assign(value=lambda rows: rows[field] * _factor(field))
    means = _thinned(curve_means(epochs[epochs["status"] != "running"], field), every)
    names = [name for name in looks.looks if (epochs["variant"] == name).any()]
    text = field_title(field)
    y_scale = alt.Scale(zero=False)
    legend = alt.selection_point(name=name, fields=["variant"], bind="legend")
    colour = alt.Color(
        "variant:N",
        scale=looks.scale("colour", names),
        sort=names,
        legend=network_legend(len(names), lines=True),
    )
    dash = alt.StrokeDash(
        "variant:N",
        scale=looks.scale("dash", names),
        sort=names,
        legend=network_legend(len(names), lines=True),
    )
    ticks = _epoch_axis(int(epochs["epoch"].max())) if axis == "epoch" else alt.Axis(tickCount=8)
    x = alt.X(f"{axis}:Q", title=AXES[axis], axis=ticks)
    hover = alt.selection_point(
        name=f"hover_{name}",
        fields=["variant"],
        on="pointerover",
        clear="pointerout",
        nearest=True,
        empty=False,
    )
    single = (
        alt.when(hover)
        .then(alt.value(0.8))
        .when(alt.datum.status == "running")
        .then(alt.value(0.45))
        .otherwise(alt.value(0))
    )

    def faded(opacity: float) -> ChannelOpacity:
        return alt.condition(legend, alt.value(opacity), alt.value(0.03))

    thin = (
        alt.Chart(seeds[list(dict.fromkeys(["variant", "seed", axis, "value", "status"]))])
        .mark_line(strokeWidth=1)
        .encode(
            x=x,
            y=alt.Y("value:Q", title=text, scale=y_scale),
            color=colour,
            detail="seed:N",
            strokeDash=dash,
            opacity=single if on_hover else faded(0.45),
        )
    )
    band = (
        alt.Chart(means[[*dict.fromkeys(["variant", axis, "low", "high"])]])
        .mark_area()
        .encode(
            x=x,
            y=alt.Y("low:Q", title=text, scale=y_scale),
            y2="high:Q",
            color=colour,
            opacity=faded(0.12),
        )
    )
    line = (
        alt.Chart(means[[*dict.fromkeys(["variant", "epoch", axis, "mean", "low", "high", "n"])]])
        .mark_line(
            strokeWidth=2.5, point=alt.OverlayMarkDef(size=18) if len(means) <= 400 else False
        )
        .encode(
            x=x,
            y=alt.Y("mean:Q", title=text),
            color=colour,
            strokeDash=dash,
            opacity=faded(1.0),
            tooltip=[
                "variant:N",
                "epoch:Q",
                alt.Tooltip("mean:Q", title=f"mean: {text}", format=".4~g"),
                alt.Tooltip("low:Q", title="lowest seed", format=".4~g"),
                alt.Tooltip("high:Q", title="highest seed", format=".4~g"),
                alt.Tooltip("n:Q", title="seeds (n)"),
            ],
        )
    )
    first = epochs.iloc[0]
    head = f"{first['dataset_label']}, {first['kind']}, recipe {first['recipe']}"
    notes = [f"Thinned: one epoch in {every}, and the last"] if every > 1 else []
    layers = [thin.add_params(legend), band, line]
    if on_hover:
        # The nearest point of a mean is what the mouse is on.
        near = alt.Chart(means[[*dict.fromkeys(["variant", axis, "mean"])]])
        spots = near.mark_point(size=60, opacity=0).encode(x=x, y=alt.Y("mean:Q", title=text))
        layers.append(spots.add_params(hover))
    return alt.LayerChart(layer=layers).properties(
        title=title(head, [*notes, smoothed]), width=WIDTH, height=300
    )
