"""Training curves: a metric over epochs, with one thin line per seed, their mean and their range."""

from collections.abc import Sequence

import altair as alt
import pandas as pd
from altair.typing import ChannelOpacity

from resnest_bench.charts.identity import Identity, identity, network_legend
from resnest_bench.charts.style import WIDTH, join_distinct, no_data_chart, on_devices, title

TITLE = "Training curves"
MAX_MARKS = 4000
EXPERIMENT = ["kind", "dataset", "dataset_label", "recipe"]
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
    epochs: pd.DataFrame, field: str = "test_accuracy", variants: Sequence[str] = ()
) -> list[alt.LayerChart]:
    """One chart per experiment in `epochs`, which is from `epochs_frame` or `live_epochs`.

    Bold lines are means of `field` over seeds, bands their range, and thin lines single seeds.
    Accuracies are in %. Seeds that are still running are thin lines and not in the mean. Long trainings
    are thinned to about 4,000 points in total: every k-th epoch and the last. `variants` are all
    variants of the study, in its order; they determine each network's appearance.
    """
    rows = _with_values(epochs, field)
    if not len(rows):
        return []
    every = -(-len(rows) // MAX_MARKS)
    groups = [group for _, group in rows.groupby(EXPERIMENT, sort=False)]
    looks = identity(variants, rows["variant"])
    return [_panel(group, field, every, f"legend{i}", looks) for i, group in enumerate(groups)]


def _with_values(epochs: pd.DataFrame, field: str) -> pd.DataFrame:
    return _best_status(epochs.dropna(subset=[field])) if len(epochs) else epochs


def curve_means(epochs: pd.DataFrame, field: str) -> pd.DataFrame:
    """Mean, low, high and n over seeds, per experiment, variant and epoch; accuracies in %."""
    grouped = epochs.groupby([*EXPERIMENT, "variant", "epoch"], sort=False)[field]
    means = grouped.agg(mean="mean", low="min", high="max", n="count").reset_index()
    means[["mean", "low", "high"]] *= _factor(field)
    return means


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
    epochs: pd.DataFrame, field: str, every: int, name: str, looks: Identity
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
    x = alt.X("epoch:Q", title="Epoch", axis=_epoch_axis(int(epochs["epoch"].max())))

    def faded(opacity: float) -> ChannelOpacity:
        return alt.condition(legend, alt.value(opacity), alt.value(0.03))

    thin = (
        alt.Chart(seeds[["variant", "seed", "epoch", "value", "status"]])
        .mark_line(strokeWidth=1)
        .encode(
            x=x,
            y=alt.Y("value:Q", title=text, scale=y_scale),
            color=colour,
            detail="seed:N",
            strokeDash=dash,
            opacity=faded(0.45),
        )
    )
    band = (
        alt.Chart(means)
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
        alt.Chart(means)
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
    return alt.LayerChart(layer=[thin.add_params(legend), band, line]).properties(
        title=title(head, notes), width=WIDTH, height=260
    )
