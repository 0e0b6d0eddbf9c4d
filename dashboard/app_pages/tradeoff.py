"""Which networks are worth having, how sure is that, and why does this point lie there?"""

from functools import partial

import pandas as pd
import streamlit as st

import data
import details
import picker
import views
from resnest_bench.charts import shared_domains, tradeoff_chart
from resnest_bench.specs import variant_line
from resnest_bench.tables import (
    IMAGES,
    Axis,
    Experiments,
    best_within,
    default_axes,
    experiments_of,
    front_lines,
    front_notes,
)

PANEL = ["device", "measured_in"]


def choose_experiments(loaded: data.Loaded) -> Experiments:
    trained, timed = experiments_of(loaded.study)
    left, right = st.columns(2)
    with left:
        training = views.pick_one("Trained or fine-tuned", trained, "training", ", ".join)
    with right:
        latency = views.pick_one("Latency of", timed, "protocol", ", ".join)
    return Experiments(training, latency)


def choose_axes(axes: dict[str, Axis]) -> tuple[Axis, Axis, bool]:
    x, y = default_axes(axes)
    keys = list(axes)
    columns = st.columns([3, 3, 1.3], vertical_alignment="bottom")
    y = columns[0].selectbox(
        "Up is better", keys, keys.index(y), lambda key: axes[key].title, key="y",
        bind="query-params",
    )  # fmt: skip
    x = columns[1].selectbox(
        "Left is better", keys, keys.index(x), lambda key: axes[key].title, key="x",
        bind="query-params",
    )  # fmt: skip
    log = columns[2].toggle("Log scale", value=True, key="log", bind="query-params")
    return axes[x], axes[y], log


def choose_budget(x: Axis) -> tuple[float | None, float | None]:
    word = "at least" if x.better == "higher" else "at most"
    limit = st.number_input(
        f"{x.title} {word}", value=None, placeholder="no limit", key="limit", bind="query-params"
    )
    memory = st.number_input(
        "Peak memory (MiB) at most", value=None, placeholder="no limit", key="memory", min_value=0.0,
        bind="query-params", help="On a GPU what the tensors took at most; on a CPU the whole process",
    )  # fmt: skip
    return limit, memory


def take_selection(key: str, points: pd.DataFrame) -> None:
    """A click or a brush in a chart picks variants, for this and for the other pages."""
    selection = st.session_state[key].selection
    names = [point["variant"] for point in selection.get("picked", [])]
    box = selection.get("brush") or {}
    if box:
        inside = pd.Series(True, index=points.index)
        for axis, ends in box.items():
            inside &= points[axis].between(min(ends), max(ends))
        names += points.loc[inside, "variant"].tolist()
    st.session_state["pick"] = list(dict.fromkeys(names))


def panels_of(points: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """One group for each device and setting; what was measured in none goes with the first."""
    whole = points.dropna(subset=["x", "y"])
    places = whole[PANEL].drop_duplicates().itertuples(index=False, name=None)
    groups = [(p, points[(points[PANEL] == list(p)).all(axis=1)]) for p in places]
    if len(groups) < 2:
        return [("", points)]
    return [(", ".join(filter(None, place)), rows) for place, rows in groups]


def show_panels(
    loaded: data.Loaded, points: pd.DataFrame, x: Axis, y: Axis, log: bool, limit: float | None,
    domains: tuple | None, picked: list[str], apart: bool,
) -> None:  # fmt: skip
    label = " and ".join(loaded.runs["dataset_label"].unique())
    panels = panels_of(points) if apart else [("", points)]
    columns = st.columns(2) if len(panels) > 1 else [st.container()]
    for index, (place, rows) in enumerate(panels):
        key = f"tradeoff_{loaded.name}_{index}".replace("/", "_")
        drawn = tradeoff_chart(
            rows, x, y, place or label, log_x=log, limit=limit, domains=domains, interactive=True,
            picked=tuple(picked),
        )  # fmt: skip
        with columns[index % len(columns)]:
            views.chart(drawn, key, partial(take_selection, key, rows), ["picked", "brush"])


def show_choice(
    loaded: data.Loaded, chosen: Experiments, points: pd.DataFrame, x: Axis, y: Axis,
    limit: float | None, memory: float | None,
) -> None:  # fmt: skip
    for line in front_lines(points):
        head, colon, rest = line.partition(": ")
        st.markdown(f"**{views.plain(head)}**{colon}{views.plain(rest)}")
    for note in front_notes(points, x, y):
        st.caption(views.plain(note))
    if y.better is None:
        return
    trained = chosen.runs(loaded.runs, ("train", "finetune"))
    best = best_within(points, x, y, limit, memory, trained)
    if best is None:
        st.warning("No network keeps this budget.")
        return
    row = best.row
    within = "within this budget" if limit is not None or memory is not None else "without a budget"
    text = (
        f"**Best {views.plain(y.label.lower())} {within}: {views.plain(row['variant'])}**, "
        f"{row['y']:.4g} {views.plain(y.unit)} at {row['x']:.4g} {views.plain(x.unit)}"
    )
    if best.not_told_apart:
        text += f". These seeds don't tell it from: {views.few(best.not_told_apart)}"
    st.markdown(text + ".")
    st.code(variant_line(loaded.study.variant(row["variant"])), language="yaml", wrap_lines=True)


def table_of(points: pd.DataFrame, x: Axis, y: Axis) -> tuple[pd.DataFrame, dict[str, str]]:
    """The points as a table; what an interval is about only where some are not of seeds or rounds."""
    repeats = {name: f"n ({axis.repeats}s)" for name, axis in (("x", x), ("y", y))}
    columns = {
        "variant": None, "family": None, "setting": None, "front": "Pareto front",
        "front_probability": "P(on the front)", "front_reason": "why no probability",
        "y": y.title, "y_low": "95 % from", "y_high": "95 % to", "y_n": repeats["y"],
        "y_about": "interval for", "x": x.title, "x_low": "95 % from ", "x_high": "95 % to ",
        "x_n": f"{repeats['x']} ", "x_about": "interval for ",
        "num_params": "parameters", "memory_mib": "peak memory (MiB)", "noisy": None, "stale": None,
        "measured_in": "measured in", "device": None, "status": None,
    }  # fmt: skip
    binomial = points[["x_about", "y_about"]].eq(IMAGES).any(axis=None)
    hidden = set() if binomial else {"x_about", "y_about"}
    hidden |= {"front_reason"} if points["front_reason"].eq("").all() else set()
    frame = points[[name for name in columns if name not in hidden]]
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
        both, "beside",
        {"x_first": f"{x.title}: {names[0]}", "x_second": f"{x.title}: {names[1]}",
         "y_first": f"{y.title}: {names[0]}", "y_second": f"{y.title}: {names[1]}",
         "x_ratio": "second / first", "y_difference": f"second − first ({y.unit})",
         "measured_in": "measured in"},
    )  # fmt: skip


st.header("Trade-off")
first = picker.loaded_study()
chosen = choose_experiments(first)
axes = data.axes(first, first.signature, chosen)
if not axes:
    st.info(
        "No record of this study can be drawn yet: see Coverage and provenance for what became of "
        "its jobs."
    )
    st.stop()
x, y, log = choose_axes(axes)
every = [
    (one, data.points(one, one.signature, chosen, x, y)) for one in st.session_state[picker.KEY]
]
drawable = [points.dropna(subset=["x", "y"]) for _, points in every]
drawable = [points for points in drawable if len(points)]
num_panels = max(len(panels_of(points)) for _, points in every)
several = len(every) > 1 or num_panels > 1
# On one plane points of several devices have its colours; those of several settings look alike.
devices = pd.concat([points["device"] for points in drawable]).nunique() if drawable else 0
apart = num_panels > 1 and (
    devices < 2
    or st.toggle(
        "One panel for each device and setting", value=True, key="facets", bind="query-params"
    )
)
positive = all(points["x"].gt(0).all() for points in drawable)
domains = shared_domains(drawable, x, y, log and positive, False) if several and drawable else None
# The budget stands beside the chart, and the chart needs it: the columns are filled out of order.
chart_place, side_place = (
    st.columns([2.6, 1]) if len(every) == 1 else (st.container(), st.container())
)
with side_place:
    limit, memory = choose_budget(x)
points_by_name = {one.name: points for one, points in every}
names = list(dict.fromkeys(chosen.runs(first.runs)["variant"]))
marked = views.picked_of(names)
with chart_place:
    for one in picker.side_by_side():
        show_panels(one, points_by_name[one.name], x, y, log, limit, domains, marked, apart)
with side_place:
    for one in picker.side_by_side():
        show_choice(one, chosen, points_by_name[one.name], x, y, limit, memory)
picked = views.pick_variants(names, "Selected (click or drag in the chart, or choose here)")
for one in picker.side_by_side():
    points = points_by_name[one.name]
    frame, labels = table_of(points[points["variant"].isin(picked)], x, y)
    views.table(frame, f"points_{one.name}".replace("/", "_"), labels, f"{y.label}, {x.label}")
if len(every) > 1:
    show_beside([points for _, points in every], [one.name for one, _ in every], x, y)
if st.session_state.get("pick"):
    details.show(first, chosen, st.session_state["pick"])
