"""Two metrics against each other, with intervals and the Pareto front. Better is up and to the left."""

import math

import altair as alt
import numpy as np
import pandas as pd
from altair.typing import ChannelSize

from resnest_bench.charts.labels import place_labels
from resnest_bench.charts.marks import NUMBER
from resnest_bench.charts.style import (
    BAR_KINDS,
    BINOMIAL,
    GREY,
    PALETTE,
    WIDTH,
    bar_dash,
    distinct_text,
    freshness_shape,
    left_out,
    no_data_chart,
    title,
)
from resnest_bench.tables.axes import Axis
from resnest_bench.tables.formats import probability_text
from resnest_bench.tables.intervals import IMAGES, ROUNDS, SEEDS

HEIGHT = 380
MAX_LABELS = 40
MANY = 150
COLUMNS = [
    "variant", "family", "setting", "num_params", "device", "measured_in", "x", "x_low", "x_high",
    "x_bar", "x_n", "y", "y_low", "y_high", "y_bar", "y_n", "memory_mib", "noisy", "freshness", "front",
    "probability", "status",
]  # fmt: skip


def tradeoff_chart(
    points: pd.DataFrame, x: Axis, y: Axis, data_label: str = "", log_x: bool = True,
    log_y: bool = False, limit: float | None = None, domains: tuple | None = None,
    interactive: bool = False, picked: tuple[str, ...] = (),
) -> alt.LayerChart | alt.Chart:  # fmt: skip
    """A dot for each row of `points_frame` that has both values; the others are named.

    Axes where less is better for y, or more for x, are turned round, so that better is always up and
    to the left. The stepped line is the Pareto front of each device and setting. `limit` draws a
    budget on x. `domains` ((x low, x high), (y low, y high)) makes panels comparable. `interactive`
    adds the selections 'picked' (click) and 'brush' (drag); `picked` names the variants that stand out.
    """
    text = f"{y.label} against {x.label[:1].lower()}{x.label[1:]}"
    text += f": {data_label}" if data_label else ""
    if not len(points):
        return no_data_chart(text)
    log_x, log_y = log_x and _positive(points["x"]), log_y and _positive(points["y"])
    drawn = points["x"].notna() & points["y"].notna()
    gaps = left_out(points, drawn)
    if not drawn.any():
        return no_data_chart(text, [gaps])
    shown = _clipped(points[drawn], x, y, log_x, log_y)
    plane = _Plane(x, y, log_x, log_y, *(domains or shared_domains([shown], x, y, log_x, log_y)))
    # Of hundreds of networks the bars would hide the dots: those of the front and the picked ones stay.
    barred = shown if len(shown) <= MANY else shown[shown["front"] | shown["variant"].isin(picked)]
    # A click on the legend filters, in the dashboard as in a page that was exported. Vega-Lite asks that
    # the first layer with that legend holds the selection.
    legend = alt.selection_point(name="family", fields=[_colour_field(shown)], bind="legend")
    coloured = [*plane.intervals(barred), plane.dots(shown, interactive, picked, legend)]
    coloured[0] = coloured[0].add_params(legend)
    layers = [*plane.budget(limit), plane.front(shown), *coloured, plane.labels(shown)]
    return alt.LayerChart(layer=layers).properties(
        title=title(text, [*_subtitle(shown, x, y), gaps]), width=WIDTH, height=HEIGHT
    )


def _positive(values: pd.Series) -> bool:
    known = values.dropna()
    return bool(len(known) and known.gt(0).all())


def _clipped(points: pd.DataFrame, x: Axis, y: Axis, log_x: bool, log_y: bool) -> pd.DataFrame:
    """Interval ends inside what a value can be: a share is from 0 to 100 %, a log above 0."""
    out = points.assign(
        freshness=points["stale"].map({True: "stale", False: "ok"}),
        probability=[
            row["front_reason"] or probability_text(row["front_probability"])
            for row in points[["front_probability", "front_reason"]].to_dict("records")
        ],
        **{f"{name}_bar": points[f"{name}_about"].map(BAR_KINDS) for name in ("x", "y")},
    )
    for name, axis, log in (("x", x, log_x), ("y", y, log_y)):
        ends = [f"{name}_low", f"{name}_high"]
        if axis.column.endswith("accuracy"):
            out[ends] = out[ends].clip(0, 100)
        if log:
            # No mean lies below a tenth of the smallest: there the bar leaves the plane.
            out[ends] = out[ends].clip(lower=out[name].min() / 10)
    return out[COLUMNS]


def shared_domains(
    frames: list[pd.DataFrame], x: Axis, y: Axis, log_x: bool, log_y: bool
) -> tuple[list[float], list[float]]:
    """Domains of x and y that hold every point of all frames, with room for labels."""
    every = pd.concat(frames)
    return _domain(every, "x", log_x, (0.08, 0.25)), _domain(every, "y", log_y, (0.10, 0.10))


def _domain(points: pd.DataFrame, name: str, log: bool, room: tuple[float, float]) -> list[float]:
    values = points[name].dropna().astype(float)
    # Intervals of two seeds can be wider than all differences: they may leave the plane.
    spread = values.max() - values.min()
    ends = pd.concat([points[f"{name}_low"], points[f"{name}_high"]]).dropna()
    ends = ends[(ends >= values.min() - spread) & (ends <= values.max() + spread)]
    low, high = min([values.min(), *ends]), max([values.max(), *ends])
    if log:
        low, high = math.log(low), math.log(high)
    size = (high - low) or abs(high) * 0.2 or 1.0
    low, high = low - room[0] * size, high + room[1] * size
    return [math.exp(low), math.exp(high)] if log else [low, high]


def _subtitle(points: pd.DataFrame, x: Axis, y: Axis) -> list[str]:
    timed = distinct_text(points[points["measured_in"] != ""], "measured_in")
    on = distinct_text(points[points["device"] != ""], "device")
    ns = {
        f"{axis.label.lower()} over {'seeds' if axis.source == 'training' else 'rounds'}, n = "
        f"{_n_text(points.loc[barred, f'{name}_n'])}"
        for name, axis in (("x", x), ("y", y))
        if (barred := points[f"{name}_bar"].isin([BAR_KINDS[SEEDS], BAR_KINDS[ROUNDS]])).any()
    }
    bars = f"Bars: 95 % t-interval of the mean ({'; '.join(sorted(ns))}). " if ns else ""
    if (points[["x_bar", "y_bar"]] == BAR_KINDS[IMAGES]).any(axis=None):
        bars += f"{BINOMIAL}. "
    front = "Line: Pareto front" if points["front"].any() else ""
    where = f"Measured {'in ' + timed + ', ' if timed else ''}on {on}" if on else ""
    crowd = ". Bars of the front only" if bars and len(points) > MANY else ""
    return [where, bars + front + crowd]


def _n_text(counts: pd.Series) -> str:
    low, high = int(counts.min()), int(counts.max())
    return str(low) if low == high else f"{low} to {high}"


class _Plane:
    """Encodings that all layers share."""

    def __init__(
        self, x: Axis, y: Axis, log_x: bool, log_y: bool, x_domain: list, y_domain: list
    ) -> None:
        self.axes, self.logs, self.domains = (x, y), (log_x, log_y), (x_domain, y_domain)
        # Up and left are better, whatever the metric.
        turned = (x.better == "higher", y.better == "lower")
        scales = [
            alt.Scale(
                type="log" if log else "linear",
                domain=list(domain),
                nice=False,
                reverse=reverse,
                clamp=False,
            )
            for log, domain, reverse in zip(self.logs, self.domains, turned, strict=True)
        ]
        titles = [
            _axis_title(axis, log, side)
            for axis, log, side in zip(self.axes, self.logs, ("left", "up"), strict=True)
        ]
        self.x_scale, self.y_scale = scales
        self.turned = turned
        ticks = [_ticks(log, domain) for log, domain in zip(self.logs, self.domains, strict=True)]
        self.x = alt.X("x:Q", scale=scales[0], title=titles[0], axis=ticks[0])
        self.y = alt.Y("y:Q", scale=scales[1], title=titles[1], axis=ticks[1])
        self.titles = titles

    def front(self, points: pd.DataFrame) -> alt.Chart:
        # The best y within an x stays the same until the next point of the front.
        return (
            alt.Chart(points[points["front"]])
            .mark_line(
                interpolate="step-before" if self.turned[0] else "step-after",
                color=GREY, strokeDash=[4, 3], clip=True,
            )
            .encode(x=self.x, y=self.y, detail=["device:N", "measured_in:N"], order="x:Q")
        )  # fmt: skip

    def intervals(self, points: pd.DataFrame) -> list[alt.Chart]:
        rules = []
        for name in ("x", "y"):
            rows = points.dropna(subset=[f"{name}_low"])
            # A count that is the same in every seed has no interval worth a mark.
            rows = rows[rows[f"{name}_low"] < rows[f"{name}_high"]]
            if not len(rows):
                continue
            channel = alt.X if name == "x" else alt.Y
            scale, text = (
                (self.x_scale, self.titles[0]) if name == "x" else (self.y_scale, self.titles[1])
            )
            encodings = {
                "x": self.x, "y": self.y, name: channel(f"{name}_low:Q", scale=scale, title=text),
                f"{name}2": alt.X2("x_high:Q") if name == "x" else alt.Y2("y_high:Q"),
            }  # fmt: skip
            rules.append(
                alt.Chart(rows)
                .mark_rule(strokeWidth=1.5, opacity=0.7, clip=True)
                .encode(color=_colour(points), strokeDash=bar_dash(f"{name}_bar"), **encodings)
            )
        return rules

    def dots(
        self,
        points: pd.DataFrame,
        interactive: bool,
        picked: tuple[str, ...],
        legend: alt.Parameter,
    ) -> alt.Chart:
        rows = points.assign(picked=points["variant"].isin(picked) if picked else True)
        full = 1.0 if len(points) <= MANY else 0.6
        opacity = (
            alt.when(legend, alt.datum.picked)
            .then(alt.value(full))
            .otherwise(alt.value(0.25 * full))
        )
        # Of thousands of dots nobody hears each described.
        spoken = len(points) <= MANY
        chart = alt.Chart(rows).mark_point(filled=True, strokeWidth=1, clip=True, aria=spoken)
        if interactive:
            click = alt.selection_point(name="picked", fields=["variant"], empty=False)
            drag = alt.selection_interval(name="brush", empty=False)
            chart = chart.add_params(click, drag)
        return chart.encode(
            x=self.x, y=self.y, color=_colour(points), shape=_shape(points),
            size=_size(points), opacity=opacity, tooltip=self.tooltip(),
        )  # fmt: skip

    def labels(self, points: pd.DataFrame) -> alt.Chart:
        rows = points.sort_values(["front", "y"], ascending=[False, False], kind="stable")
        rows = rows.drop_duplicates(["variant", "x", "y"]).head(MAX_LABELS)
        places = place_labels(
            self._pixels(rows["x"], 0), self._pixels(rows["y"], 1), rows["variant"].tolist(), WIDTH, HEIGHT
        )  # fmt: skip
        found = [place is not None for place in places]
        rows = rows[found].assign(
            align=[place[0] for place in places if place],
            dy=[place[1] for place in places if place],
        )
        shift = alt.expr("datum.align == 'left' ? 8 : datum.align == 'right' ? -8 : 0")
        return (
            alt.Chart(rows[["variant", "x", "y", "align", "dy"]])
            .mark_text(size=10, align=alt.expr("datum.align"), dx=shift, dy=alt.expr("datum.dy"))
            .encode(x=self.x, y=self.y, text="variant:N")
        )

    def _pixels(self, values: pd.Series, side: int) -> list[float]:
        low, high = self.domains[side]
        numbers = values.to_numpy(dtype=float)
        if self.logs[side]:
            numbers, low, high = np.log(numbers), math.log(low), math.log(high)
        share = (numbers - low) / (high - low)
        if self.turned[side]:
            share = 1 - share
        return list(share * WIDTH if side == 0 else (1 - share) * HEIGHT)

    def budget(self, limit: float | None) -> list[alt.Chart]:
        if limit is None:
            return []
        x = alt.X("limit:Q", scale=self.x_scale, title=self.titles[0])
        return [
            alt.Chart(pd.DataFrame({"limit": [limit]}))
            .mark_rule(color=PALETTE[1], strokeWidth=2, clip=True)
            .encode(x=x, tooltip=alt.Tooltip("limit:Q", title="budget"))
        ]

    def tooltip(self) -> list[alt.Tooltip]:
        x, y = self.axes
        return [
            alt.Tooltip("variant:N"),
            alt.Tooltip("setting:N"),
            *_value_tooltips("y", y),
            *_value_tooltips("x", x),
            alt.Tooltip("probability:N", title="P(on the front)"),
            alt.Tooltip("num_params:Q", title="parameters", format=","),
            alt.Tooltip("memory_mib:Q", title="peak memory (MiB)", format=",.0f"),
            alt.Tooltip("noisy:N", title="noisy (IQR over 10 %)"),
            alt.Tooltip("measured_in:N", title="measured in"),
            alt.Tooltip("device:N", title="on"),
            alt.Tooltip("status:N"),
        ]


def _value_tooltips(name: str, axis: Axis) -> list[alt.Tooltip]:
    n = "seeds (n)" if axis.source == "training" else "rounds (n)"
    return [
        alt.Tooltip(f"{name}:Q", title=axis.title, format=".4~g"),
        alt.Tooltip(f"{name}_low:Q", title="95 % from", format=".4~g"),
        alt.Tooltip(f"{name}_high:Q", title="95 % to", format=".4~g"),
        alt.Tooltip(f"{name}_bar:N", title="interval"),
        alt.Tooltip(f"{name}_n:Q", title=n),
    ]


def _axis_title(axis: Axis, log: bool, side: str) -> str:
    unit = ", ".join(part for part in (axis.unit, "log scale" if log else "") if part)
    text = f"{axis.label} ({unit})" if unit else axis.label
    if axis.better is None:
        return text
    return f"← better \u2003 {text}" if side == "left" else f"{text} \u2003 better →"


def _ticks(log: bool, domain: list[float]) -> alt.Axis:
    # Over decades a log axis labels 1, 2 and 5 only: more of them run into each other.
    if not log or domain[1] < 10 * domain[0]:
        return alt.Axis(format=NUMBER, labelOverlap=True)
    expression = (
        "indexof(['1', '2', '5'], substring(replace(format(datum.value, 'e'), '.', ''), 0, 1)) >= 0"
    )
    return alt.Axis(format=NUMBER, labelExpr=f"{expression} ? datum.label : ''", labelOverlap=False)


def _colour_field(points: pd.DataFrame) -> str:
    # Points of several devices can't be compared: then the device is what must be seen.
    devices = points.loc[points["device"] != "", "device"].unique()
    return "device" if len(devices) > 1 else "family"


def _colour(points: pd.DataFrame) -> alt.Color:
    field = _colour_field(points)
    domain = sorted(points[field].dropna().unique())
    return alt.Color(
        f"{field}:N", title=field,
        scale=alt.Scale(domain=domain, range=[PALETTE[i % len(PALETTE)] for i in range(len(domain))]),
    )  # fmt: skip


def _shape(points: pd.DataFrame) -> alt.Shape:
    stale = (points["freshness"] == "stale").any()
    return freshness_shape() if stale else freshness_shape().legend(None)


def _size(points: pd.DataFrame) -> ChannelSize:
    counts = points["num_params"].dropna().astype(float)
    if not len(counts):
        return alt.value(70)
    largest = 220 if len(points) <= MANY else 60
    return alt.Size(
        "num_params:Q", title="parameters",
        scale=alt.Scale(type="sqrt", domain=[0, counts.max()], range=[largest / 11, largest]),
        legend=alt.Legend(format="~s", symbolFillColor=GREY, symbolStrokeWidth=0, values=_round_counts(counts)),
    )  # fmt: skip


def _round_counts(counts: pd.Series) -> list[float]:
    """Two or three round numbers for the legend."""
    top = 10 ** math.floor(math.log10(max(counts.max(), 1)))
    return [v for v in (top / 5, top, 5 * top) if v <= counts.max() * 1.01] or [counts.max()]
