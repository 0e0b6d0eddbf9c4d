"""A search: the best against the budget, what was chosen and confirmed, and the front over its trials."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from resnest_bench.charts.identity import identity
from resnest_bench.charts.palette import BLUE, GREY, VERMILION
from resnest_bench.charts.style import WIDTH, no_data_chart, title

PROGRESS, CURVE = "Search: validation accuracy of its trials", "Expected best validation accuracy"
CONFIRMED, FRONT = "Selected and confirmed", "Search: accuracy against latency"
ACCURACY, BEST = "Validation accuracy (%)", "Best of n (%)"
ROW_HEIGHT, HEIGHT = 46, 260
KINDS = ["selected: validation", "new seeds: validation", "new seeds: test, 95 % interval"]
SETTINGS = alt.Tooltip("settings:N")


def _color(families: Sequence[str]) -> alt.Color:
    looks = identity(list(families))
    legend = alt.Legend(title=None, orient="bottom", columns=2, labelLimit=300, symbolOpacity=1)
    return alt.Color("family:N", scale=looks.scale("colour", list(families)), legend=legend)


def search_progress_chart(
    trials: pd.DataFrame, families: Sequence[str], minutes: bool = False
) -> alt.LayerChart | alt.Chart:
    """One point per trial with a result against the budget used, and a line of the best so far per family.

    `trials` is `SearchTables.trials`, `families` are all of the search in its order. `minutes` shows the
    budget in minutes instead of trainings. Failed trials are ticks at the bottom.
    """
    x_name = "used_minutes" if minutes else "used_trainings"
    tried = trials[trials["trainings"].gt(0)]
    drawn = tried[tried["validation_accuracy_percent"].notna() & (tried["status"] != "failed")]
    if not len(drawn):
        return no_data_chart(PROGRESS)
    failed = tried[tried["status"] == "failed"]
    lowest = float(drawn["validation_accuracy_percent"].min())
    unit = "minutes of training" if minutes else "trainings"
    x = alt.X(f"{x_name}:Q", title=f"Budget used by the family ({unit})")
    scale = alt.Scale(zero=False, nice=True)
    y = alt.Y("validation_accuracy_percent:Q", title=ACCURACY, scale=scale)
    color = _color(families)
    tooltip = [
        alt.Tooltip("family:N"),
        alt.Tooltip("trial:Q"),
        alt.Tooltip("round:Q"),
        SETTINGS,
        alt.Tooltip("validation_accuracy_percent:Q", title="validation accuracy (%)", format=".2f"),
        alt.Tooltip("epochs:Q"),
        alt.Tooltip("status:N"),
        alt.Tooltip("reason:N"),
    ]
    shapes = alt.Scale(domain=["all epochs", "shortened"], range=["circle", "triangle-down"])
    shown = drawn.assign(
        length=drawn["status"].eq("shortened").map({True: "shortened", False: "all epochs"})
    )
    several = len(set(shown["length"])) > 1
    legend = alt.Legend(title=None, orient="bottom") if several else None
    shape = alt.Shape("length:N", scale=shapes, legend=legend)
    points = alt.Chart(_plain(shown)).mark_point(filled=True, size=55, opacity=0.75)
    best = drawn.dropna(subset=["best_percent"])
    line = alt.Chart(_plain(best)).mark_line(interpolate="step-after", strokeWidth=2)
    layers = [
        line.encode(x=x, y=alt.Y("best_percent:Q", title=ACCURACY, scale=scale), color=color),
        points.encode(x=x, y=y, color=color, shape=shape, tooltip=tooltip),
    ]
    if len(failed):
        at_bottom = failed.assign(validation_accuracy_percent=lowest)
        ticks = alt.Chart(_plain(at_bottom)).mark_point(
            shape="cross", size=70, angle=45, filled=True
        )
        layers.append(ticks.encode(x=x, y=y, color=color, tooltip=tooltip))
    notes = [
        "Lines: the best trial so far. Only images held out of the training images are compared",
        f"Crosses at the bottom: {len(failed)} failed" if len(failed) else "",
    ]
    return alt.LayerChart(layer=layers).properties(
        title=title(PROGRESS, notes), width=WIDTH, height=HEIGHT
    )


def tuning_curve_chart(curves: pd.DataFrame, families: Sequence[str]) -> alt.LayerChart | alt.Chart:
    """One line per family: the expected best of n trials; band and lower line: the interval of the median.

    `curves` is `SearchTables.curves`.
    """
    if not len(curves):
        return no_data_chart(
            CURVE, ["No curve with halving: its trials have different numbers of epochs"]
        )
    color = _color(families)
    x = alt.X("n:Q", title="Trainings of the family (n)", axis=alt.Axis(tickMinStep=1))
    scale = alt.Scale(zero=False)

    def y(name: str) -> alt.Y:
        return alt.Y(f"{name}:Q", title=BEST, scale=scale)

    tooltip = [
        alt.Tooltip("family:N"),
        alt.Tooltip("n:Q", title="trainings"),
        alt.Tooltip("expected_percent:Q", title="expected best (%)", format=".2f"),
        alt.Tooltip("median_low_percent:Q", title="median best from (%)", format=".2f"),
        alt.Tooltip("median_high_percent:Q", title="to (%); empty: open", format=".2f"),
    ]
    closed = curves.dropna(subset=["median_low_percent", "median_high_percent"])
    from_below = curves.dropna(subset=["median_low_percent"])
    layers = []
    if len(closed):
        band = alt.Chart(_plain(closed)).mark_area(opacity=0.15)
        layers.append(
            band.encode(x=x, y=y("median_low_percent"), y2="median_high_percent:Q", color=color)
        )
    if len(from_below):
        lower = alt.Chart(_plain(from_below)).mark_line(strokeDash=[4, 3], strokeWidth=1.2)
        layers.append(lower.encode(x=x, y=y("median_low_percent"), color=color))
    line = alt.Chart(_plain(curves)).mark_line(strokeWidth=2, point=alt.OverlayMarkDef(size=35))
    layers.append(line.encode(x=x, y=y("expected_percent"), color=color, tooltip=tooltip))
    notes = [
        "Lines: mean of the best of n random trials. Bands: 95 % interval of the median best of n. Dashed: its "
        "lower limit alone, where the trials set no upper one",
    ]
    return alt.LayerChart(layer=layers).properties(
        title=title(CURVE, notes), width=WIDTH, height=HEIGHT
    )


def confirmation_chart(finalists: pd.DataFrame) -> alt.LayerChart | alt.Chart:
    """One row per finalist: the figure it was selected for, and what new seeds reach.

    `finalists` is `SearchTables.finalists`.
    """
    drawn = finalists.dropna(subset=["selected_percent"])
    if not len(drawn):
        return no_data_chart(CONFIRMED)
    names = drawn["variant"].tolist()
    y = alt.Y("variant:N", sort=names, title=None, axis=alt.Axis(labelLimit=300, ticks=False))
    columns = ["selected_percent", "new_validation_percent", "confirmed_percent"]
    long = drawn.melt(
        id_vars=["variant", "settings", "n", "num_trials", "luck_points", "gap_points"],
        value_vars=columns,
        var_name="column",
        value_name="percent",
    ).dropna(subset=["percent"])
    long["kind"] = long["column"].map(dict(zip(columns, KINDS, strict=True)))
    legend = alt.Legend(title=None, orient="bottom", columns=1, labelLimit=300)
    color = alt.Color(
        "kind:N", scale=alt.Scale(domain=KINDS, range=[VERMILION, GREY, BLUE]), legend=legend
    )
    shapes = alt.Scale(domain=KINDS, range=["diamond", "circle", "square"])
    shape = alt.Shape("kind:N", scale=shapes, legend=legend)
    x = alt.X("percent:Q", title="Accuracy (%)", scale=alt.Scale(zero=False, nice=True))
    tooltip = [
        alt.Tooltip("variant:N", title="network"),
        SETTINGS,
        alt.Tooltip("kind:N"),
        alt.Tooltip("percent:Q", title="accuracy (%)", format=".2f"),
        alt.Tooltip("n:Q", title="new seeds"),
        alt.Tooltip("num_trials:Q", title="selected from trials"),
        alt.Tooltip("luck_points:Q", title="luck (points)", format="+.2f"),
        alt.Tooltip("gap_points:Q", title="gap (points)", format="+.2f"),
    ]
    bars = _plain(drawn.dropna(subset=["confirmed_low_percent"]))
    layers = []
    if len(bars):
        rule = alt.Chart(bars).mark_rule(strokeWidth=2, color=BLUE)
        layers.append(
            rule.encode(
                x=alt.X("confirmed_low_percent:Q", title="Accuracy (%)"),
                x2="confirmed_high_percent:Q",
                y=y,
            )
        )
    mark = alt.Chart(_plain(long)).mark_point(filled=True, size=90, opacity=1)
    layers.append(mark.encode(x=x, y=y, color=color, shape=shape, tooltip=tooltip))
    notes = [
        "The selected figure is the best of many trials, so chance raises it. New seeds show what the setting gives",
    ]
    return alt.LayerChart(layer=layers).properties(
        title=title(CONFIRMED, notes), width=WIDTH, height=max(ROW_HEIGHT * len(names), 90)
    )


def search_front_chart(
    trials: pd.DataFrame, finalists: pd.DataFrame, families: Sequence[str]
) -> alt.LayerChart | alt.Chart:
    """Trials by accuracy and quick latency with each family's front, and the finalists as confirmed."""
    drawn = trials.dropna(subset=["validation_accuracy_percent", "latency_ms"])
    drawn = drawn[drawn["status"] == "ok"]
    if not len(drawn):
        return no_data_chart(FRONT, ["Latency is no objective of this search"])
    color = _color(families)
    x = alt.X(
        "latency_ms:Q", title="Latency (ms)", scale=alt.Scale(type="log", nice=False, padding=20)
    )
    y = alt.Y("validation_accuracy_percent:Q", title="Accuracy (%)", scale=alt.Scale(zero=False))
    tooltip = [
        alt.Tooltip("family:N"),
        alt.Tooltip("trial:Q"),
        SETTINGS,
        alt.Tooltip("validation_accuracy_percent:Q", title="accuracy (%)", format=".2f"),
        alt.Tooltip("latency_ms:Q", title="latency (ms)", format=".3g"),
    ]
    front = drawn[drawn["on_front"].fillna(False).astype(bool)]
    line = alt.Chart(_plain(front)).mark_line(interpolate="step-after", strokeDash=[4, 3])
    points = alt.Chart(_plain(drawn)).mark_point(filled=True, size=50, opacity=0.7)
    layers = [
        line.encode(x=x, y=y, color=color),
        points.encode(x=x, y=y, color=color, tooltip=tooltip),
    ]
    confirmed = finalists.dropna(subset=["confirmed_percent", "latency_ms"])
    if len(confirmed):
        shown = confirmed.assign(validation_accuracy_percent=confirmed["confirmed_percent"])
        mark = alt.Chart(_plain(shown)).mark_point(
            shape="square", filled=False, size=130, strokeWidth=2.5
        )
        layers.append(mark.encode(x=x, y=y, color=color, tooltip=tooltip))
    notes = [
        "Dots: trials, validation accuracy and latency by the quick protocol. Dashed: their Pareto front",
        "Open squares: finalists, test accuracy of new seeds and latency by the study's protocol"
        if len(confirmed)
        else "",
    ]
    return alt.LayerChart(layer=layers).properties(
        title=title(FRONT, notes), width=WIDTH, height=HEIGHT
    )


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Without lists, and with gaps that Vega knows."""
    kept = frame.drop(columns="confirmed_seed_percents", errors="ignore")
    numbers = {
        name: "float64" for name in kept.columns if str(kept[name].dtype) in ("Int64", "Float64")
    }
    return kept.astype(numbers)
