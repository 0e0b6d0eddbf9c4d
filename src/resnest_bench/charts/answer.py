"""The chart of the landing page: every network, and within a budget the best, those tied with it, the rest.

The budget is a parameter of the chart, bound to a slider on the page: what is within it is shaded and
coloured anew in the browser, without a message to the server.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

from resnest_bench.charts.labels import place_labels
from resnest_bench.charts.palette import DARK_PAGES, GREY, LIGHT_PAGE, PALETTE, SHAPES
from resnest_bench.charts.plane_axes import axis_share, axis_title, shared_domains, tick_axis
from resnest_bench.charts.style import no_data_chart, title
from resnest_bench.comparisons.standings import BEST, MAY_BE_BEST, NOT_BEST, UNTESTED
from resnest_bench.formats import row_dicts
from resnest_bench.report.answer import Answer, format_interval
from resnest_bench.tables.axes import Axis

# Of the whole chart; streamlit fits axes and legend into it, and the plot gets the rest.
HEIGHT, PLOT_HEIGHT = 430, 340
# Of more points none has a bar or a tooltip with everything.
MANY = 150
MAX_LABELS = 14
LETTER_WIDTH = 6.7
# Labels are placed for plots of these widths in pixels; the browser takes those of its own.
WIDTHS = (280, 560, 860)
STEP, BUDGET = "budget_step", "budget"
# One letter for each standing: a network has as many as there are budgets.
LETTERS = {BEST: "b", MAY_BE_BEST: "t", NOT_BEST: "w", UNTESTED: "u"}
OVER = "over budget"
STATUSES = {
    "best": PALETTE[0],
    "tied": PALETTE[1],
    "worse": PALETTE[2],
    "not tested": PALETTE[4],
    OVER: GREY,
}
NAMES = dict(zip("btwuo", STATUSES, strict=True))
OTHERS = "other families"


@dataclass(frozen=True)
class Budgets:
    """The answers in the order of the slider's steps, which of them is chosen, and the slider's element.

    Without an element, as in a file, the chart shows the chosen step.
    """

    answers: Sequence[Answer]
    step: int
    element: str | None = None


def standing_letters(names: Sequence[str], answers: Sequence[Answer]) -> list[str]:
    """For each network one letter per answer: a key of NAMES."""
    return [
        "".join(
            LETTERS[answer.standings[name]] if name in answer.standings else "o"
            for answer in answers
        )
        for name in names
    ]


def answer_chart(
    points: pd.DataFrame,
    x: Axis,
    y: Axis,
    budgets: Budgets,
    picked: Sequence[str] = (),
    dark: bool = False,
    data_label: str = "",
) -> alt.LayerChart | alt.Chart:
    """One mark per row of `points_frame` with both values, of one device and setting.

    Left is better, and up. Colour says what a network is within the budget, shape its family; open marks are
    noisy latencies. Bars are 95 % intervals. The best, the tied and the Pareto-optimal networks have a label.
    """
    text = f"{y.label} against {x.label[:1].lower()}{x.label[1:]}"
    text += f": {data_label}" if data_label else ""
    shown = points.dropna(subset=["x", "y"])
    if not len(shown):
        return no_data_chart(text)
    log = bool(shown["x"].gt(0).all() and shown["x"].max() > 3 * shown["x"].min())
    domains = shared_domains([shown], x, y, log, False)
    plane = _Plane(x, y, log, domains)
    rows = _with_texts(shown, x, y, budgets.answers, picked)
    limits = [domains[0][1] if one.limit is None else one.limit for one in budgets.answers]
    layers = [
        plane.shade(),
        plane.front(rows),
        *(plane.bars(rows) if len(rows) <= MANY else []),
        plane.dots(rows),
        *plane.labels(rows, budgets.answers, dark),
    ]
    bind = alt.BindDirect(element=f"#{budgets.element}") if budgets.element else alt.Undefined
    value: Any = alt.Undefined if budgets.element else budgets.step
    last = len(limits) - 1
    chart = alt.LayerChart(layer=layers).add_params(
        alt.param(name=STEP, value=value, bind=bind),
        alt.param(name="known_step", expr=f"isValid({STEP}) ? toNumber({STEP}) : {last}"),
        alt.param(name=BUDGET, expr=f"{limits}[known_step]"),
    )
    return chart.properties(title=title(text, []), width=WIDTHS[-1], height=HEIGHT)


def _with_texts(
    points: pd.DataFrame, x: Axis, y: Axis, answers: Sequence[Answer], picked: Sequence[str]
) -> pd.DataFrame:
    names = points["variant"].tolist()
    families = points["family"].value_counts().index.tolist()
    shapes = families if len(families) <= len(SHAPES) else families[: len(SHAPES) - 1]
    rows = row_dicts(points)
    columns = ["variant", "x", "y", "num_params", "front", "noisy", "stale"]
    made = points[[*columns, "x_low", "x_high", "y_low", "y_high"]].assign(
        family=[name if name in shapes else OTHERS for name in points["family"]],
        letters=standing_letters(names, answers),
        picked=points["variant"].isin(picked),
    )
    if len(points) > MANY:
        return made.drop(columns=["x_low", "x_high", "y_low", "y_high"])
    return made.assign(
        y_text=[format_interval(row, "y", y) for row in rows],
        x_text=[format_interval(row, "x", x) for row in rows],
        y_n=points["y_n"],
        status_text=points["status"],
    )


STATUS = f"{NAMES}[datum.letters[known_step]]"


class _Plane:
    """Encodings that the layers share."""

    def __init__(self, x: Axis, y: Axis, log: bool, domains: tuple[list[float], list[float]]):
        self.axes, self.log, self.domains = (x, y), log, domains
        self.turned = y.better == "lower"
        self.x_scale = alt.Scale(type="log" if log else "linear", domain=domains[0], nice=False)
        self.y_scale = alt.Scale(domain=domains[1], nice=False, zero=False, reverse=self.turned)
        titles = axis_title(x, log, "left"), axis_title(y, False, "up")
        grid = {"gridOpacity": 0.4}
        x_axis, y_axis = tick_axis(log, domains[0]), tick_axis(False, domains[1])
        for axis in (x_axis, y_axis):
            axis.gridOpacity = grid["gridOpacity"]
            axis.labelFontSize = axis.titleFontSize = 12
        self.titles = titles
        self.x = alt.X("x:Q", scale=self.x_scale, title=titles[0], axis=x_axis)
        self.y = alt.Y("y:Q", scale=self.y_scale, title=titles[1], axis=y_axis)

    def colour(self) -> alt.Color:
        scale = alt.Scale(domain=list(STATUSES), range=list(STATUSES.values()))
        return alt.Color("standing:N", scale=scale, legend=None)

    def shade(self) -> alt.Chart:
        """All beyond the budget, in grey."""
        low, high = self.domains[0]
        return (
            alt.Chart(alt.Data(values=[{}]))
            .transform_calculate(limit=f"clamp({BUDGET}, {low}, {high})")
            .mark_rect(color=GREY, opacity=0.16, clip=True, aria=False)
            .encode(
                x=alt.X("limit:Q", scale=self.x_scale, title=self.titles[0]),
                x2=alt.value("width"),
            )
        )

    def front(self, rows: pd.DataFrame) -> alt.Chart:
        """The Pareto front: the best y up to an x is constant until its next point."""
        return (
            alt.Chart(rows.loc[rows["front"].eq(True), ["x", "y"]])
            .mark_line(
                interpolate="step-after", color=GREY, strokeDash=[4, 3], clip=True, aria=False
            )
            .encode(x=self.x, y=self.y, order="x:Q")
        )

    def bars(self, rows: pd.DataFrame) -> list[alt.Chart]:
        """95 % intervals of both axes, cut at the border of the plot."""
        made = []
        for name, end in (("x", alt.X2("x_high:Q")), ("y", alt.Y2("y_high:Q"))):
            known = rows[rows[f"{name}_low"] < rows[f"{name}_high"]]
            if not len(known):
                continue
            channel = alt.X if name == "x" else alt.Y
            scale = self.x_scale if name == "x" else self.y_scale
            start = channel(f"{name}_low:Q", scale=scale, title=self.titles[name == "y"])
            low = self.domains[0][0] if name == "x" else self.domains[1][0]
            known = known.assign(**{f"{name}_low": known[f"{name}_low"].clip(lower=low)})
            encodings: dict[str, Any] = {"x": self.x, "y": self.y, name: start, f"{name}2": end}
            data = known[["x", "y", f"{name}_low", f"{name}_high", "letters"]]
            made.append(
                alt.Chart(data)
                .transform_calculate(standing=STATUS)
                .mark_rule(strokeWidth=1.5, clip=True, aria=False)
                .encode(
                    color=self.colour(),
                    opacity=alt.when(f"datum.standing === '{OVER}'")
                    .then(alt.value(0.25))
                    .otherwise(alt.value(0.6)),
                    **encodings,
                )
            )
        return made

    def dots(self, rows: pd.DataFrame) -> alt.Chart:
        few = len(rows) <= MANY
        families = [name for name in dict.fromkeys(rows["family"]) if name != OTHERS]
        families += [OTHERS] if rows["family"].eq(OTHERS).any() else []
        legend = (
            alt.Legend(
                title=None,
                orient="bottom",
                columns=4,
                labelLimit=0,
                labelFontSize=12,
                symbolFillColor=GREY,
                symbolStrokeColor=GREY,
            )
            if len(families) > 1
            else None
        )
        shape = alt.Shape(
            "family:N", scale=alt.Scale(domain=families, range=SHAPES), legend=legend, sort=families
        )
        click = alt.selection_point(name="picked", fields=["variant"], empty=False)
        scale = alt.Scale(domain=list(STATUSES), range=list(STATUSES.values()))
        is_over = f"datum.standing === '{OVER}'"
        opacity = 1.0 if few else 0.6
        return (
            alt.Chart(rows.drop(columns=[c for c in rows if str(c).endswith(("_low", "_high"))]))
            .transform_calculate(standing=STATUS)
            .mark_point(strokeWidth=2, clip=True, aria=few)
            .encode(
                x=self.x,
                y=self.y,
                shape=shape,
                stroke=alt.Stroke("standing:N", scale=scale, legend=None),
                fill=alt.Fill("standing:N", scale=scale, legend=None),
                fillOpacity=alt.when("datum.noisy").then(alt.value(0)).otherwise(alt.value(1)),
                opacity=alt.when(is_over).then(alt.value(0.45)).otherwise(alt.value(opacity)),
                size=alt.when("datum.standing === 'best'")
                .then(alt.value(230 if few else 150))
                .when("datum.picked")
                .then(alt.value(200))
                .otherwise(alt.value(110 if few else 40)),
                tooltip=self.tooltip(few),
            )
            .add_params(click)
        )

    def tooltip(self, few: bool) -> list[alt.Tooltip]:
        x, y = self.axes
        head = [alt.Tooltip("variant:N", title="network"), alt.Tooltip("standing:N")]
        size = alt.Tooltip("num_params:Q", title="parameters", format=",")
        if not few:
            values = [
                alt.Tooltip("y:Q", title=y.title, format=".4~g"),
                alt.Tooltip("x:Q", title=x.title, format=".4~g"),
            ]
            return [*head, *values, size]
        return [
            *head,
            alt.Tooltip("y_text:N", title=y.label),
            alt.Tooltip("y_n:Q", title=f"{y.repeats}s (n)"),
            alt.Tooltip("x_text:N", title=x.label),
            alt.Tooltip("noisy:N", title="noisy latency"),
            alt.Tooltip("family:N"),
            size,
            alt.Tooltip("status_text:N", title="records"),
        ]

    def labels(self, rows: pd.DataFrame, answers: Sequence[Answer], dark: bool) -> list[alt.Chart]:
        """Names of the best, the tied and the Pareto-optimal ones, with a halo in the page's colour."""
        named = _choose_labels(rows, answers)
        if not len(named):
            return []
        data = named[["variant", "x", "y", "front", "letters"]]
        columns: dict[str, list] = {}
        for number, width in enumerate(WIDTHS):
            places = self._place(named, width)
            columns[f"align{number}"] = [place[0] if place else "" for place in places]
            columns[f"dy{number}"] = [place[1] if place else 0 for place in places]
        data = data.assign(**columns)
        # The widest layout that the plot has room for.
        own = f"(width >= {WIDTHS[2]} ? 2 : width >= {WIDTHS[1]} ? 1 : 0)"
        align, dy = f"datum['align' + {own}]", f"datum['dy' + {own}]"
        dx = f"{align} === 'left' ? 9 : {align} === 'right' ? -9 : 0"
        standing = "datum.letters[known_step]"
        visible = f"{align} !== '' && (datum.front || {standing} === 'b' || {standing} === 't')"
        marks = []
        page = DARK_PAGES[0] if dark else LIGHT_PAGE
        halos: list[dict[str, Any]] = [
            {"stroke": page, "strokeWidth": 4, "strokeJoin": "round"},
            {},
        ]
        for halo in halos:
            marks.append(
                alt.Chart(data)
                .mark_text(
                    fontSize=12,
                    fontWeight=500,
                    align=alt.expr(f"{align} === '' ? 'left' : {align}"),
                    dx=alt.expr(dx),
                    dy=alt.expr(dy),
                    aria=False,
                    **halo,
                )
                .encode(
                    x=self.x,
                    y=self.y,
                    text="variant:N",
                    opacity=alt.when(visible).then(alt.value(1)).otherwise(alt.value(0)),
                )
            )
        return marks

    def _place(self, rows: pd.DataFrame, width: float) -> list[tuple[str, float] | None]:
        xs = [width * axis_share(one, self.domains[0], self.log) for one in rows["x"]]
        shares = [axis_share(one, self.domains[1], False) for one in rows["y"]]
        ys = [PLOT_HEIGHT * (one if self.turned else 1 - one) for one in shares]
        return place_labels(xs, ys, rows["variant"].tolist(), width, PLOT_HEIGHT, LETTER_WIDTH)


def _choose_labels(rows: pd.DataFrame, answers: Sequence[Answer]) -> pd.DataFrame:
    """The networks that are the best within some budget, then the front, then those tied in most budgets."""
    best = rows["letters"].str.count("b")
    tied = rows["letters"].str.count("t")
    order = rows.assign(best=best, tied=tied, front_first=rows["front"].eq(True))
    order = order[(order["best"] > 0) | (order["tied"] > 0) | order["front_first"]]
    order = order.sort_values(["best", "front_first", "tied"], ascending=False, kind="stable")
    return order.head(MAX_LABELS)
