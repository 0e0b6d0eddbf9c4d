"""Which networks are Pareto-optimal, how certain is that, and what is behind each point?"""

from functools import partial

import pandas as pd
import streamlit as st

import address
import data
import details
import picker
import selection
import views
from resnest_bench.charts import shared_domains, tradeoff_chart, trained_label
from resnest_bench.comparisons.differences import population
from resnest_bench.report.standings import describe_standings
from resnest_bench.specs import variant_line
from resnest_bench.specs.scores import metric_column
from resnest_bench.stats.intervals import IMAGES
from resnest_bench.tables.axes import Axis, default_axes
from resnest_bench.tables.fronts import describe_front, describe_front_probabilities
from resnest_bench.tables.points import Choice, choose_best
from resnest_bench.tables.selection import Experiments

PANEL = ["device", "measured_in"]


def choose_axes(axes: dict[str, Axis], headline: str) -> tuple[Axis, Axis, bool]:
    x, y = default_axes(axes, headline)
    keys = list(axes)
    columns = st.columns([3, 3, 1.3], vertical_alignment="bottom")
    titles = {key: axis.title for key, axis in axes.items()}
    y = address.pick_one(
        "Up is better", keys, "y", titles.__getitem__, default=y, draw=columns[0].selectbox
    )
    x = address.pick_one(
        "Left is better", keys, "x", titles.__getitem__, default=x, draw=columns[1].selectbox
    )
    log = address.toggle("Log scale", "log", True, draw=columns[2].toggle)
    return axes[x], axes[y], log


def choose_budget(x: Axis, study: str) -> tuple[float | None, float | None]:
    """Limits of x and of the memory, kept separately for each metric and study."""
    word = "at least" if x.better == "higher" else "at most"
    limit = address.enter_number(
        f"{x.title} {word}", "limit", [study], of=x.key, placeholder="no limit"
    )
    memory = address.enter_number(
        "Peak memory (MiB) at most",
        "memory",
        [study],
        low=0.0,
        placeholder="no limit",
        help="On a GPU: peak memory of the tensors; on a CPU: peak memory of the process",
    )
    return limit, memory


def take_selection(key: str, points: pd.DataFrame) -> None:
    """A click or a brush in a chart selects variants, for this page and the others."""
    selection = st.session_state[key].selection
    names = [point["variant"] for point in selection.get("picked", [])]
    box = selection.get("brush") or {}
    if box:
        inside = pd.Series(True, index=points.index)
        for axis, ends in box.items():
            inside &= points[axis].between(min(ends), max(ends))
        names += points.loc[inside, "variant"].tolist()
    st.session_state[address.PICK] = list(dict.fromkeys(names))


def split_panels(points: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """One group per device and setting; points without a measurement go with the first."""
    whole = points.dropna(subset=["x", "y"])
    places = whole[PANEL].drop_duplicates().itertuples(index=False, name=None)
    groups = [(p, points[(points[PANEL] == list(p)).all(axis=1)]) for p in places]
    if len(groups) < 2:
        return [("", points)]
    return [(", ".join(filter(None, place)), rows) for place, rows in groups]


def show_panels(
    loaded: data.Loaded,
    chosen: Experiments,
    points: pd.DataFrame,
    x: Axis,
    y: Axis,
    log: bool,
    limit: float | None,
    domains: tuple | None,
    picked: list[str],
    apart: bool,
) -> None:
    label = trained_label(loaded.runs, chosen)
    panels = split_panels(points) if apart else [("", points)]
    columns = st.columns(2) if len(panels) > 1 else [st.container()]
    for index, (place, rows) in enumerate(panels):
        key = f"tradeoff_{loaded.name}_{index}".replace("/", "_")
        drawn = tradeoff_chart(
            rows,
            x,
            y,
            place or label,
            log_x=log,
            limit=limit,
            domains=domains,
            interactive=True,
            picked=tuple(picked),
            variants=loaded.study.variant_names,
        )
        with columns[index % len(columns)]:
            views.chart(
                drawn,
                key,
                partial(take_selection, key, rows),
                ["picked", "brush"],
            )


def show_choice(
    loaded: data.Loaded,
    chosen: Experiments,
    points: pd.DataFrame,
    x: Axis,
    y: Axis,
    limit: float | None,
    memory: float | None,
) -> None:
    for line in describe_front(points):
        head, colon, rest = line.partition(": ")
        st.markdown(f"**{views.plain(head)}**{colon}{views.plain(rest)}")
    for note in describe_front_probabilities(points, x, y):
        st.caption(views.plain(note))
    if y.better is None:
        return
    best = choose_best(points, x, y, limit, memory)
    if best is None:
        st.warning("No network is within this budget.")
        return
    row = best.row
    within = "within this budget" if limit is not None or memory is not None else "without a budget"
    text = (
        f"**Best {views.plain(y.label.lower())} {within}: {views.plain(row['variant'])}**, "
        f"{row['y']:.4g} {views.plain(y.unit)} at {row['x']:.4g} {views.plain(x.unit)}"
    )
    st.markdown(text + ".")
    standings = data.rank_candidates(loaded, chosen.training, y.column, tuple(best.candidates))
    if described := describe_standings(standings, population(y.column), views.MAX_NAMES):
        st.markdown(views.plain(described))
    if limit is not None:
        surely = choose_best(points, x, y, limit, memory, whole_interval=True)
        for line in say_how_surely(best, surely, x):
            st.markdown(line)
    st.code(variant_line(loaded.study.variant(row["variant"])), language="yaml", wrap_lines=True)


def say_how_surely(best: Choice, surely: Choice | None, x: Axis) -> list[str]:
    """Say whether the whole interval is within the budget, or only the mean."""
    name, lines = best.row["variant"], []
    end = best.row["x_low" if x.better == "higher" else "x_high"]
    if pd.isna(end):
        lines.append(f"Its {x.label.lower()} has no interval; only its mean is within the budget.")
    elif name in best.unsure:
        text = (
            f"Its mean is within the budget, but its 95 % interval extends to {end:.4g} {x.unit}."
        )
        lines.append(text)
    if not lines:
        lines.append("Its whole 95 % interval is within the budget.")
    elif surely is not None:
        lines.append(
            f"The best network with its whole interval within the budget: {surely.row['variant']}."
        )
    if others := [other for other in best.unsure if other != name]:
        lines.append(
            f"Only their mean is within the budget: {', '.join(others[: views.MAX_NAMES])}."
        )
    return [views.plain(line) for line in lines]


def points_table(points: pd.DataFrame, x: Axis, y: Axis) -> tuple[pd.DataFrame, dict[str, str]]:
    """The points as a table, with the population of an interval only if it is not seeds or rounds."""
    repeats = {name: f"n ({axis.repeats}s)" for name, axis in (("x", x), ("y", y))}
    columns = {
        "variant": None,
        "family": None,
        "setting": None,
        "front": "Pareto-optimal",
        "front_probability": "P(Pareto-optimal)",
        "front_reason": "reason for no probability",
        "y": y.title,
        "y_low": "95 % from",
        "y_high": "95 % to",
        "y_n": repeats["y"],
        "y_about": "interval for",
        "x": x.title,
        "x_low": "95 % from ",
        "x_high": "95 % to ",
        "x_n": f"{repeats['x']} ",
        "x_about": "interval for ",
        "num_params": "parameters",
        "memory_mib": "peak memory (MiB)",
        "noisy": None,
        "stale": None,
        "measured_in": "measured in",
        "device": None,
        "status": None,
    }
    binomial = any(points[name].eq(IMAGES).any() for name in ("x_about", "y_about"))
    hidden = set() if binomial else {"x_about", "y_about"}
    hidden |= {"front_reason"} if points["front_reason"].eq("").all() else set()
    if len(points) > views.MAX_ROWS:
        points = points.sort_values(["front", "y"], ascending=[False, y.better == "lower"])
    frame = points[[name for name in columns if name not in hidden]]
    # A probability is a text such as '>0.99', never exactly 1.
    return frame, {name: text for name, text in columns.items() if text}


def show_beside(all_points: list[pd.DataFrame], names: list[str], x: Axis, y: Axis) -> None:
    """Two studies in one table, matched by variant and setting."""
    keys = ["variant", "measured_in"]
    first, second = (p[[*keys, "x", "y"]] for p in all_points)
    both = first.merge(second, on=keys, how="outer", suffixes=("_first", "_second"))
    both["x_ratio"] = both["x_second"] / both["x_first"]
    both["y_difference"] = both["y_second"] - both["y_first"]
    st.subheader("Both studies")
    views.table(
        both,
        "beside",
        {
            "x_first": f"{x.title}: {names[0]}",
            "x_second": f"{x.title}: {names[1]}",
            "y_first": f"{y.title}: {names[0]}",
            "y_second": f"{y.title}: {names[1]}",
            "x_ratio": "second / first",
            "y_difference": f"second − first ({y.unit})",
            "measured_in": "measured in",
        },
    )


st.header("Trade-off")
first = picker.loaded_study()
chosen = selection.experiments(first)
axes = data.axes(first, chosen)
if not axes:
    st.info(
        "No record of this study can be drawn yet. Coverage and provenance shows the status of its jobs."
    )
    st.stop()
x, y, log = choose_axes(axes, metric_column(selection.metric(first)))
every = [
    (one, selection.keep_points(one, data.points(one, chosen, x, y)))
    for one in picker.loaded_studies()
]
drawable = [points.dropna(subset=["x", "y"]) for _, points in every]
drawable = [points for points in drawable if len(points)]
num_panels = max(len(split_panels(points)) for _, points in every)
several = len(every) > 1 or num_panels > 1
# In one chart devices differ by fill, but settings can't be distinguished.
devices = pd.concat([points["device"] for points in drawable]).nunique() if drawable else 0
apart = num_panels > 1 and (
    devices < 2 or address.toggle("One panel for each device and setting", "facets", True)
)
positive = all(points["x"].gt(0).all() for points in drawable)
domains = shared_domains(drawable, x, y, log and positive, False) if several and drawable else None
# The budget is next to the chart, and the chart needs it: the columns are filled out of order.
chart_place, side_place = (
    st.columns([2.6, 1]) if len(every) == 1 else (st.container(), st.container())
)
with side_place:
    limit, memory = choose_budget(x, first.name)
points_by_name = {one.name: points for one, points in every}
names = list(dict.fromkeys(chosen.runs(first.runs)["variant"]))
marked = views.get_picked(names)
with chart_place:
    for one in picker.side_by_side():
        show_panels(one, chosen, points_by_name[one.name], x, y, log, limit, domains, marked, apart)
with side_place:
    for one in picker.side_by_side():
        show_choice(one, chosen, points_by_name[one.name], x, y, limit, memory)
picked = views.pick_variants(names, "Selected (click or drag in the chart, or select here)")
for one in picker.side_by_side():
    points = points_by_name[one.name]
    frame, labels = points_table(points[points["variant"].isin(picked)], x, y)
    views.table(frame, f"points_{one.name}".replace("/", "_"), labels, f"{y.label}, {x.label}")
if len(every) > 1:
    show_beside([points for _, points in every], [one.name for one, _ in every], x, y)
if st.session_state.get(address.PICK):
    details.show(first, chosen, st.session_state[address.PICK])
