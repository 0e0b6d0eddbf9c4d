"""Two metrics against each other, with intervals and the Pareto front; better is up and to the left."""

import math
from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from resnest_bench.charts.cut_bars import CUT_NOTE, arrowheads, cut_bars, ends_beyond
from resnest_bench.charts.devices import describe_devices, open_elsewhere
from resnest_bench.charts.identity import (
    LEGEND_NAMES,
    Identity,
    identity,
    literal_looks,
    network_legend,
)
from resnest_bench.charts.labels import place_labels
from resnest_bench.charts.palette import GREY, PALETTE
from resnest_bench.charts.plane_axes import axis_title, shared_domains, tick_axis
from resnest_bench.charts.point_sizes import size_by_params
from resnest_bench.charts.point_tooltips import make_tooltip
from resnest_bench.charts.style import (
    BAR_KINDS,
    BINOMIAL,
    WIDTH,
    bar_dash,
    describe_missing,
    join_distinct,
    no_data_chart,
    stale_marks,
    title,
)
from resnest_bench.formats import format_probability
from resnest_bench.stats.intervals import IMAGES, ROUNDS, SEEDS
from resnest_bench.tables.axes import Axis

HEIGHT = 380
MAX_LABELS = 40
MANY = 150
# The tooltip of a dot among thousands: more columns would be a megabyte for each axis.
CROWD = ["variant", "device", "num_params", "x", "x_n", "y", "y_n"]
COLUMNS = [
    "variant",
    "family",
    "setting",
    "num_params",
    "device",
    "measured_in",
    "x",
    "x_low",
    "x_high",
    "x_bar",
    "x_n",
    "x_min",
    "x_max",
    "y",
    "y_low",
    "y_high",
    "y_bar",
    "y_n",
    "y_min",
    "y_max",
    "memory_mib",
    "noisy",
    "freshness",
    "front",
    "probability",
    "status",
]


def tradeoff_chart(
    points: pd.DataFrame,
    x: Axis,
    y: Axis,
    data_label: str = "",
    log_x: bool = True,
    log_y: bool = False,
    limit: float | None = None,
    domains: tuple | None = None,
    interactive: bool = False,
    picked: tuple[str, ...] = (),
    variants: Sequence[str] = (),
) -> alt.LayerChart | alt.Chart:
    """One dot per row of `points_frame` with both values; the others are named.

    Axes are reversed so that better is always up and to the left. The stepped line is the Pareto front of
    each device and setting. `limit` draws a budget on x. `domains` ((x low, x high), (y low, y high))
    makes panels comparable. `interactive` adds the selections 'picked' (click) and 'brush' (drag);
    `picked` are the highlighted variants. `variants` are all variants of the study, in its order; they
    determine each network's appearance.
    """
    text = f"{y.label} against {x.label[:1].lower()}{x.label[1:]}"
    text += f": {data_label}" if data_label else ""
    if not len(points):
        return no_data_chart(text)
    log_x, log_y = log_x and _positive(points["x"]), log_y and _positive(points["y"])
    drawn = points["x"].notna() & points["y"].notna()
    gaps = describe_missing(points, drawn)
    if not drawn.any():
        return no_data_chart(text, [gaps])
    shown = _with_texts(points[drawn])
    plane = _Plane(x, y, log_x, log_y, *(domains or shared_domains([shown], x, y, log_x, log_y)))
    plane.looks = identity(variants, shown["variant"])
    plane.num_networks = shown["variant"].nunique()
    # The bars of hundreds of networks would hide the dots, so only those of the front and of picked ones
    # are drawn.
    barred = shown if len(shown) <= MANY else shown[shown["front"] | shown["variant"].isin(picked)]
    # A click on the legend filters, in the dashboard and in exported pages. Vega-Lite requires that the
    # first layer with that legend has the selection.
    legend = alt.selection_point(name="network", fields=["variant"], bind="legend")
    coloured = [*plane.intervals(barred), plane.dots(shown, interactive, picked, legend)]
    if not plane.is_crowd:
        coloured[0] = coloured[0].add_params(legend)
    layers = [
        *plane.budget(limit),
        plane.front(shown),
        *coloured,
        *plane.arrowheads(barred),
        *plane.two_values(barred),
        *stale_marks(shown, plane.x, plane.y),
        plane.labels(shown),
    ]
    return alt.LayerChart(layer=layers).properties(
        title=title(
            text, [*_subtitle(shown, x, y), plane.cut_note(barred), describe_devices(shown), gaps]
        ),
        width=WIDTH,
        height=HEIGHT,
    )


def _positive(values: pd.Series) -> bool:
    values = values.dropna()
    return bool(len(values) and values.gt(0).all())


def _with_texts(points: pd.DataFrame) -> pd.DataFrame:
    """Add texts for tooltips."""
    out = points.assign(
        freshness=points["stale"].map({True: "stale", False: "ok"}),
        probability=[
            row["front_reason"] or format_probability(row["front_probability"])
            for row in points[["front_probability", "front_reason"]].to_dict("records")
        ],
        **{f"{name}_bar": points[f"{name}_about"].map(BAR_KINDS) for name in ("x", "y")},
    )
    return out[COLUMNS]


def _subtitle(points: pd.DataFrame, x: Axis, y: Axis) -> list[str]:
    timed = join_distinct(points[points["measured_in"] != ""], "measured_in")
    on = join_distinct(points[points["device"] != ""], "device")
    ns = {
        f"{axis.label.lower()} over {'seeds' if axis.source == 'training' else 'rounds'}, n = "
        f"{_format_range(points.loc[barred, f'{name}_n'])}"
        for name, axis in (("x", x), ("y", y))
        if (barred := points[f"{name}_bar"].isin([BAR_KINDS[SEEDS], BAR_KINDS[ROUNDS]])).any()
    }
    bars = f"Bars: 95 % interval of the mean ({'; '.join(sorted(ns))}). " if ns else ""
    if points[["x_n", "y_n"]].eq(2).any(axis=None):
        bars += "Small dots: both values of n=2, which have no bar. "
    if (points[["x_bar", "y_bar"]] == BAR_KINDS[IMAGES]).any(axis=None):
        bars += f"{BINOMIAL}. "
    front = "Line: Pareto front" if points["front"].any() else ""
    where = f"Measured {'in ' + timed + ', ' if timed else ''}on {on}" if on else ""
    crowd = ". Bars: only on the front" if bars and len(points) > MANY else ""
    return [where, bars + front + crowd]


def _format_range(counts: pd.Series) -> str:
    low, high = int(counts.min()), int(counts.max())
    return str(low) if low == high else f"{low} to {high}"


class _Plane:
    """Encodings that all layers share."""

    def __init__(
        self, x: Axis, y: Axis, log_x: bool, log_y: bool, x_domain: list, y_domain: list
    ) -> None:
        self.axes, self.logs, self.domains = (x, y), (log_x, log_y), (x_domain, y_domain)
        # Up and left are better for every metric.
        reversed_axes = (x.better == "higher", y.better == "lower")
        scales = [
            alt.Scale(
                type="log" if log else "linear",
                domain=list(domain),
                nice=False,
                reverse=reverse,
                clamp=False,
            )
            for log, domain, reverse in zip(self.logs, self.domains, reversed_axes, strict=True)
        ]
        titles = [
            axis_title(axis, log, side)
            for axis, log, side in zip(self.axes, self.logs, ("left", "up"), strict=True)
        ]
        self.x_scale, self.y_scale = scales
        self.turned = reversed_axes
        ticks = [
            tick_axis(log, domain) for log, domain in zip(self.logs, self.domains, strict=True)
        ]
        self.x = alt.X("x:Q", scale=scales[0], title=titles[0], axis=ticks[0])
        self.y = alt.Y("y:Q", scale=scales[1], title=titles[1], axis=ticks[1])
        self.titles = titles
        self.looks, self.num_networks = Identity(()), 0

    @property
    def is_crowd(self) -> bool:
        """Whether there are too many networks for a legend."""
        return self.num_networks > LEGEND_NAMES

    def with_looks(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The rows of a crowd with their looks, which no scale says: thousands of names would take seconds."""
        if not self.is_crowd:
            return rows
        looks = [self.looks.looks[name] for name in rows["variant"]]
        return rows.assign(
            colour=[look.colour for look in looks], symbol=[look.shape for look in looks]
        )

    def front(self, points: pd.DataFrame) -> alt.Chart:
        # The best y up to an x is constant until the next point of the front.
        return (
            alt.Chart(points[points["front"]])
            .mark_line(
                interpolate="step-before" if self.turned[0] else "step-after",
                color=GREY,
                strokeDash=[4, 3],
                clip=True,
            )
            .encode(x=self.x, y=self.y, detail=["device:N", "measured_in:N"], order="x:Q")
        )

    def intervals(self, points: pd.DataFrame) -> list[alt.Chart]:
        rules = []
        for name, side in (("x", 0), ("y", 1)):
            rows = cut_bars(
                _barred(points, name), f"{name}_low", f"{name}_high", self.domains[side]
            )
            if not len(rows):
                continue
            end = alt.X2("to:Q") if name == "x" else alt.Y2("to:Q")
            encodings = self.along(name, "from") | {f"{name}2": end}
            rules.append(
                alt.Chart(self.with_looks(rows[["variant", "x", "y", "from", "to", f"{name}_bar"]]))
                .mark_rule(strokeWidth=1.5, clip=True)
                .encode(
                    color=self.by_network(points)["color"],
                    strokeDash=bar_dash(f"{name}_bar"),
                    **encodings,
                )
            )
        return rules

    def arrowheads(self, points: pd.DataFrame) -> list[alt.Chart]:
        """Arrowheads where a bar continues beyond the plot, in the colour of its network."""
        marks = []
        for name, side in (("x", 0), ("y", 1)):
            ends = ends_beyond(
                _barred(points, name), f"{name}_low", f"{name}_high", self.domains[side]
            )
            looks = self.looks.looks
            ends = ends.assign(colour=[looks[variant].colour for variant in ends["variant"]])
            shown = ends[["variant", "x", "y", "border", "upper", "colour"]]
            encodings = self.along(name, "border")
            # A literal colour makes no entry in the legend.
            colour = alt.Color("colour:N", scale=None, legend=None)
            heads = arrowheads(shown, name, self.turned[side])
            marks += [head.encode(color=colour, **encodings) for head in heads]
        return marks

    def cut_note(self, points: pd.DataFrame) -> str:
        """The explanation of the arrowheads, if there are any."""
        return CUT_NOTE if self.arrowheads(points) else ""

    def along(self, name: str, field: str) -> dict[str, Any]:
        """Encodings of x and y, with `field` on the axis `name`."""
        side = 0 if name == "x" else 1
        channel, scale = (alt.X, alt.Y)[side], (self.x_scale, self.y_scale)[side]
        other = channel(f"{field}:Q", scale=scale, title=self.titles[side])
        return {"x": self.x, "y": self.y, name: other}

    def two_values(self, points: pd.DataFrame) -> list[alt.Chart]:
        """Small open dots at both values of n=2, which have no interval."""
        marks = []
        for name, other in (("x", "y"), ("y", "x")):
            rows = points[
                points[f"{name}_n"].eq(2) & (points[f"{name}_min"] < points[f"{name}_max"])
            ]
            if not len(rows):
                continue
            ends = rows.melt(["variant", other], [f"{name}_min", f"{name}_max"], "end", "value")
            encodings = self.along(name, "value")
            chart = alt.Chart(ends[["variant", other, "value"]])
            marks.append(chart.mark_point(size=18, color=GREY, clip=True).encode(**encodings))
        return marks

    def dots(
        self,
        points: pd.DataFrame,
        interactive: bool,
        picked: tuple[str, ...],
        legend: alt.Parameter,
    ) -> alt.Chart:
        shown = points if len(points) <= MANY else points[CROWD]
        rows = shown.assign(picked=points["variant"].isin(picked) if picked else True)
        rows = self.with_looks(rows)
        full = 1.0 if len(points) <= MANY else 0.6
        # A crowd has no legend to click on.
        named = () if self.is_crowd else (legend,)
        opacity = (
            alt.when(*named, alt.datum.picked)
            .then(alt.value(full))
            .otherwise(alt.value(0.25 * full))
        )
        # No screen reader should describe thousands of dots.
        spoken = len(points) <= MANY
        chart = alt.Chart(rows).mark_point(strokeWidth=2, clip=True, aria=spoken)
        if interactive:
            click = alt.selection_point(name="picked", fields=["variant"], empty=False)
            drag = alt.selection_interval(name="brush", empty=False)
            chart = chart.add_params(click, drag)
        looks = self.by_network(points)
        return chart.encode(
            x=self.x,
            y=self.y,
            stroke=looks["stroke"],
            fill=open_elsewhere(points, looks["fill"]),
            shape=looks["shape"],
            size=size_by_params(points, 220 if len(points) <= MANY else 60),
            opacity=opacity,
            tooltip=make_tooltip(*self.axes, crowd=not spoken),
        )

    def by_network(self, points: pd.DataFrame) -> dict[str, Any]:
        """Encodings of colour, stroke, fill and shape, with one legend."""
        if self.is_crowd:
            return literal_looks()
        drawn = set(points["variant"])
        names = [name for name in self.looks.looks if name in drawn]
        # The names of a crowd's front, which alone has bars, would leave no room for the plot.
        return self.looks.encodings(names, network_legend(self.num_networks))

    def labels(self, points: pd.DataFrame) -> alt.Chart:
        rows = points.sort_values(["front", "y"], ascending=[False, False], kind="stable")
        rows = rows.drop_duplicates(["variant", "x", "y"]).head(MAX_LABELS)
        positions = place_labels(
            self._pixels(rows["x"], 0),
            self._pixels(rows["y"], 1),
            rows["variant"].tolist(),
            WIDTH,
            HEIGHT,
        )
        has_position = [position is not None for position in positions]
        rows = rows[has_position].assign(
            align=[position[0] for position in positions if position],
            dy=[position[1] for position in positions if position],
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


def _barred(points: pd.DataFrame, name: str) -> pd.DataFrame:
    """Rows with an interval of `name`. A count that is the same in every seed needs none."""
    return points[points[f"{name}_low"] < points[f"{name}_high"]]
