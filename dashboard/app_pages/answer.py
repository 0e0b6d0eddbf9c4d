"""Which network should I choose within my budget, and how sure is that?"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

import address
import budget
import data
import leaderboard
import picker
import selection
import views
from resnest_bench.charts import trained_label
from resnest_bench.charts.answer import OVER, STATUSES, Budgets, answer_chart
from resnest_bench.comparisons.differences import population
from resnest_bench.comparisons.standings import Comparison
from resnest_bench.live.view import counts_text
from resnest_bench.records.metrics import METRICS
from resnest_bench.report.answer import (
    MAX_CANDIDATES,
    Answer,
    answer_budgets,
    format_value,
    list_candidates,
    list_limits,
)
from resnest_bench.specs.scores import TRAINED_METRICS, metric_column
from resnest_bench.tables.axes import Axis
from resnest_bench.tables.selection import Experiments
from resnest_bench.tables.values import name_devices
from resnest_bench.words import count_noun

# What a budget is usually of, before other metrics that less is better of.
FIRST = (
    "latency_p50_ms",
    "energy_joules_per_image",
    "cost_per_million_images",
    "num_params",
    "num_macs",
    "peak_memory_bytes",
    "resident_bytes",
    "peak_rss_bytes",
)
MEASURES = {metric_column(name) for name in TRAINED_METRICS} | {"train_loss"}


@dataclass(frozen=True)
class Found:
    """The points of one device and setting, and the answer within each budget."""

    points: pd.DataFrame
    x: Axis | None
    y: Axis
    comparison: Comparison | None
    answers: tuple[Answer, ...]


@data.keep
def answer(
    loaded: data.Loaded,
    chosen: Experiments,
    x: Axis | None,
    y: Axis,
    names: tuple[str, ...],
    place: tuple[str, str] | None,
    limit: float | None,
) -> Found:
    """The answers among `names`, measured at a place (device, setting)."""
    points = data.points(loaded, chosen, x or y, y)
    points = points[points["variant"].isin(names)]
    if place is not None:
        here = points["device"].eq(place[0]) & points["measured_in"].eq(place[1])
        points = points[here | points["x"].isna()]
    points = points.drop_duplicates("variant")
    limits = list_limits(points.loc[points["y"].notna(), "x"], limit) if x else [None]
    candidates = list_candidates(points, y, limits)
    comparison = loaded.results.find_comparison(chosen.training, y.column, candidates)
    answers = answer_budgets(points, x, y, comparison, limits)
    return Found(points, x, y, comparison, tuple(answers))


def list_budget_axes(axes: dict[str, Axis]) -> list[Axis]:
    """The axes that less is better of, latency first."""
    least = [
        axis for axis in axes.values() if axis.better == "lower" and axis.column not in MEASURES
    ]
    order = {key: place for place, key in enumerate(FIRST)}
    return sorted(least, key=lambda axis: order.get(axis.key, len(order)))


def list_places(points: pd.DataFrame) -> list[tuple[str, str]]:
    """Devices and settings with values, the one with the most first."""
    whole = points.dropna(subset=["x", "y"])
    counts = whole.groupby(["device", "measured_in"], sort=False).size()
    ordered = counts.sort_values(ascending=False, kind="stable").index
    return [(str(device), str(setting)) for device, setting in ordered]


def show_study(one: data.Loaded, axes: dict[str, Axis], first: bool, corner: Any) -> None:
    """The answer for a study; `corner` is the place for what the budget is of."""
    chosen = selection.experiments(one)
    y = axes.get(metric_column(selection.metric(one)))
    names = tuple(dict.fromkeys([*selection.names(one), *selection.selected(one)]))
    budgets = list_budget_axes(axes)
    if not names:
        st.info("The filters in the sidebar leave no network.")
        return
    if y is None:
        show_without_metric(one, chosen, budgets, names)
        return
    x = None
    if budgets:
        with corner if first else st.container():
            x = choose_axis(one, chosen, budgets, y, first)
    place = choose_place(one, chosen, x, y) if x else None
    key = "limit" if first else "limit_beside"
    owner = f"{key}/{one.name}"
    limit = address.keep_number(key, owner, x.key) if x else None
    found = answer(one, chosen, x, y, names, place, limit)
    limits = [each.limit for each in found.answers]
    step = limits.index(limit) if limit in limits else len(limits) - 1
    slot = "answer" if first else "answer_beside"
    take = partial(address.set_number, owner, x.key if x else "")
    budget.show(slot, found.answers, step, x, take)
    drawn = found.points.dropna(subset=["x", "y"])
    if x is not None and len(drawn):
        show_chart(one, chosen, found, step, slot)
    now = found.answers[step]
    show_gaps(found)
    made_of = names, place, limit, step
    pinned = tuple(selection.pinned())
    rows = leaderboard.build(
        one, chosen, x, y, pinned, made_of, found.points, found.comparison, now
    )
    leaderboard.show(rows, x, y, f"leaderboard_{slot}")
    origin = describe_origin(one, chosen)
    leaderboard.show_actions(
        one, rows, x, y, f"leaderboard_{slot}", f"{' '.join(now.lines)} {origin}"
    )
    explain(found)
    st.caption(views.plain(origin))


def choose_axis(
    one: data.Loaded, chosen: Experiments, budgets: list[Axis], y: Axis, first: bool
) -> Axis:
    """What the budget is of; by default the first that a network with a result has.

    A second study has that of the first one, if it can.
    """

    def is_known(axis: Axis) -> bool:
        points = data.points(one, chosen, axis, y)
        return bool((points["x"].notna() & points["y"].notna()).any())

    default = next(filter(is_known, budgets), budgets[0])
    titles = {axis.key: axis.title for axis in budgets}
    keys = [axis.key for axis in budgets]
    if not first:
        shared = st.session_state.get("x")
        return next((axis for axis in budgets if axis.key == shared), default)
    key = address.pick_one(
        "Budget of",
        keys,
        "x",
        titles.__getitem__,
        default=default.key,
        label_visibility="collapsed",
    )
    return next(axis for axis in budgets if axis.key == key)


def choose_place(one: data.Loaded, chosen: Experiments, x: Axis, y: Axis) -> tuple[str, str] | None:
    """Device and setting, where there are several; one answer is about one of them."""
    points = selection.keep_points(one, data.points(one, chosen, x, y))
    places = list_places(points)
    if len(places) < 2:
        return places[0] if places else None
    name = picker.name_part(one, "place")
    return address.pick_one(
        "Measured on", places, name, lambda place: ", ".join(filter(None, place))
    )


def take_click(key: str) -> None:
    """A click on a mark selects its network, or not any more."""
    clicked = [point["variant"] for point in st.session_state[key].selection.get("picked", [])]
    selection.select(clicked)


def show_chart(one: data.Loaded, chosen: Experiments, found: Found, step: int, slot: str) -> None:
    assert found.x is not None
    dark = st.context.theme.type == "dark"
    label = trained_label(one.runs, chosen)
    picked = selection.selected(one)
    draw = partial(answer_chart, found.points, found.x, found.y, picked=picked)
    live = draw(Budgets(found.answers, step, budget.element_id(slot)), dark=dark)
    key = f"chart_{slot}"
    views.chart(
        live,
        key,
        partial(take_click, key),
        ["picked"],
        files=lambda: draw(Budgets(found.answers, step), data_label=label),
        head=legend(found),
        fits=True,
    )


def legend(found: Found) -> str:
    """The colours of the marks as a line of text above the chart, where it wraps on a narrow screen."""
    words = {word for one in found.answers for word in one.standings.values()}
    names = dict(zip(leaderboard.WORDS, STATUSES, strict=False))
    shown = [names[word] for word in leaderboard.WORDS if word in words]
    shown += [OVER] if len(found.answers) > 1 else []
    marks = [(f'<span style="color:{STATUSES[name]}">●</span>', name) for name in shown]
    if found.points["noisy"].eq(True).any():
        marks.append(("○", "noisy latency"))
    marks.append(("╌", "Pareto front"))
    style = "display:inline-block;white-space:nowrap;font-size:0.9rem;margin-right:1.1em"
    return "".join(
        f'<span style="{style}"><span aria-hidden="true">{mark}</span> {text}</span> '
        for mark, text in marks
    )


def show_gaps(found: Found) -> None:
    """Networks that are in no answer, with the reason, and what is stale."""
    gaps = found.points[found.points[["x", "y"]].isna().any(axis=1)]
    if len(gaps):
        reasons = gaps.groupby("status", sort=False)["variant"].agg(list)
        texts = [f"{views.few(names)} ({views.plain(str(why))})" for why, names in reasons.items()]
        st.caption(f"Left out: {'; '.join(texts[:3])}")
    stale = found.points.loc[found.points["stale"].eq(True), "variant"].tolist()
    if stale:
        st.caption(f":material/history: From stale records: {views.few(stale)}")


def show_without_metric(
    one: data.Loaded, chosen: Experiments, budgets: list[Axis], names: tuple[str, ...]
) -> None:
    """A study that has only timed its networks so far."""
    label = METRICS[metric_column(selection.metric(one))].label.lower()
    text = f"No network has a {label} yet."
    if not budgets:
        st.markdown(f"#### {text}")
        return
    x = budgets[0]
    points = data.points(one, chosen, x, x)
    points = points[points["variant"].isin(names)]
    timed = points.dropna(subset=["x"]).sort_values("x", kind="stable")
    if len(timed):
        best = timed.iloc[0]
        text += f" The one with the least {x.label.lower()} is {best['variant']}: "
        text += f"{format_value(best['x'], x)}."
    st.markdown(f"#### {views.plain(text)}")
    timed = timed.assign(y=float("nan"))
    table = leaderboard.build(one, chosen, x, None, (), names, timed, None, None)
    leaderboard.show(table, x, None, "leaderboard_timed")
    st.caption(views.plain(describe_origin(one, chosen)))


def explain(found: Found) -> None:
    about = population(found.y.column)
    lines = [
        f"*Tied* are the networks that no other one is shown to be better than, for {about} (multiple "
        "comparison with the best within the budget, 5 % in all).",
        "A network is within the budget if its mean is. In brackets: 95 % interval of the mean.",
        "*Rank*: the ranks that a network may have, for all networks at once, so it says less than the "
        "standing.",
        "*More seeds* are those that find the observed difference in 80 % of studies.",
        "In the table: ticks are seeds, the line is the interval, and the grey band is the noise floor: what "
        "is within it may be equally fast.",
    ]
    if len(found.points) > MAX_CANDIDATES:
        lines.append(
            f"Of many networks only {MAX_CANDIDATES} are tested: the most accurate ones within each budget."
        )
    if len(set(found.points["y_n"])) > 1:
        lines.append("The number of seeds differs between networks.")
    views.how_to_read(lines, ["Interval", "Required seeds", "Pareto-optimal", "Noise floor"])


def describe_origin(one: data.Loaded, chosen: Experiments) -> str:
    """Data, devices, n and commit of what the page shows."""
    runs = chosen.runs(one.runs)
    known = runs[runs["status"].isin(["ok", "stale"])]
    parts = [trained_label(one.runs, chosen)]
    for kinds, noun in ((("train", "finetune"), "seed"), (("latency",), "round")):
        rows = known[known["kind"].isin(kinds)]
        if len(rows):
            counts = rows.groupby("variant").size()
            few, many = counts.min(), counts.max()
            span = count_noun(many, noun) if few == many else f"{few} to {many} {noun}s"
            devices = " and ".join(name_devices(rows).dropna().unique()[:3])
            parts.append(f"{span} each on {devices}" if devices else f"{span} each")
    commits = [str(one)[:9] for one in known["git_commit"].dropna().unique()]
    if commits:
        parts.append(f"commit {', '.join(commits[:3])}{' and others' if commits[3:] else ''}")
    return " · ".join(filter(None, parts))


def show_nothing(one: data.Loaded) -> None:
    status = data.read_study_status(one)
    st.markdown("#### There is no result yet.")
    st.info(
        f"{views.plain(counts_text(status.snapshot))}. Coverage and provenance shows the status of each job."
    )


# The answer is larger than the question.
st.html("<style>.st-key-question h2 {font-size: 1.25rem; padding: 0; font-weight: 500}</style>")
studies = picker.loaded_studies()
axes = [data.axes(one, selection.experiments(one)) for one in studies]
left, corner = st.columns([3, 1.3], vertical_alignment="center")
with left.container(key="question"):
    st.header("Which network should I choose?")
for number, one in enumerate(picker.side_by_side()):
    if axes[number]:
        show_study(one, axes[number], number == 0, corner)
    else:
        show_nothing(one)
