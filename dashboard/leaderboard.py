"""The leaderboard: every network with its rank, its intervals as small pictures, and its size."""

import base64
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

import data
import selection
import views
from paper_menu import table_menu
from resnest_bench.charts.answer import LETTERS, NAMES, STATUSES
from resnest_bench.charts.palette import GREY, PALETTE
from resnest_bench.comparisons.standings import Comparison
from resnest_bench.formats import format_probability, is_known, row_dicts
from resnest_bench.frames.fresh import keep_counted
from resnest_bench.report import siunitx
from resnest_bench.report.answer import Answer
from resnest_bench.tables.axes import Axis
from resnest_bench.tables.noise import Quantity, noise_floors
from resnest_bench.tables.selection import Experiments

MAX_ROWS = 200
MARKS = {"best": siunitx.BEST, "tied": siunitx.TIED}
PICTURE = 160, 26
WORDS = {standing: NAMES[letter] for standing, letter in LETTERS.items()}


@data.keep
def build(
    loaded: data.Loaded,
    chosen: Experiments,
    x: Axis | None,
    y: Axis | None,
    pinned: tuple[str, ...],
    key: object,
    _points: pd.DataFrame,
    _comparison: Comparison | None,
    _answer: Answer | None,
) -> pd.DataFrame:
    """One row per network: those within the budget by their mean, then the others; pinned ones first.

    `key` says what the last three are made of: they are too large to be compared with those of last time.
    """
    standings = _answer.standings if _answer else {}
    ranks: dict[str, str] = {}
    if _comparison is not None and standings:
        for row in row_dicts(_comparison.standings(list(standings))):
            if is_known(row["rank_low"]):
                # Padded, so that they sort as numbers.
                ranks[row["variant"]] = f"{row['rank_low']:>2} to {row['rank_high']}"
    rows = _points.drop_duplicates("variant")
    places = {name: place for place, name in enumerate(standings)}
    order = [
        (name not in pinned, places.get(name, len(places)), _key(value, y))
        for name, value in zip(rows["variant"], rows["y"], strict=True)
    ]
    rows = rows.iloc[sorted(range(len(rows)), key=order.__getitem__)]
    table = pd.DataFrame({"variant": rows["variant"].tolist()})
    table["rank"] = [ranks.get(name, "") for name in rows["variant"]]
    words = [
        _word(name, standings, row)
        for name, row in zip(rows["variant"], row_dicts(rows), strict=True)
    ]
    table["dot_picture"] = [_dot(word) for word in words]
    table["standing"] = words
    quantity = _noise_quantity(x)
    floors = _noise_ratios(loaded, chosen, rows, quantity) if quantity else {}
    for name, axis in (("y", y), ("x", x)):
        if axis is None:
            continue
        table[name] = rows[name].to_numpy()
        if axis.key != "num_params":
            seeds = _values(loaded, chosen, axis) if name == "y" else {}
            # Networks without a result would squeeze the others.
            shown = rows if y is None else rows.where(rows["y"].notna())
            table[f"{name}_picture"] = _pictures(shown, name, seeds, floors if name == "x" else {})
        table[f"{name}_n"] = rows[f"{name}_n"].to_numpy()
    if x is None or x.key != "num_params":
        table["num_params"] = rows["num_params"].astype(float).to_numpy() / 1e6
    table["front_probability"] = [
        format_probability(value) if is_known(value) else None
        for value in rows["front_probability"]
    ]
    table["status"] = [
        "stale" if stale and status == "ok" else status
        for stale, status in zip(rows["stale"], rows["status"], strict=True)
    ]
    return table.dropna(axis="columns", how="all")


def _key(value: float, y: Axis | None) -> float:
    if pd.isna(value):
        return math.inf
    return float(value) if y is not None and y.better == "lower" else -float(value)


def _word(name: str, standings: Mapping[str, str], row: Mapping[str, Any]) -> str:
    if name in standings:
        return WORDS[standings[name]]
    return "over budget" if is_known(row["y"]) and is_known(row["x"]) else "no result"


def _dot(word: str) -> str | None:
    colour = STATUSES.get(word)
    if colour is None:
        return None
    shape = f"<circle cx='8' cy='8' r='4.5' fill='{colour}'/>"
    return _encode(
        f"<svg xmlns='http://www.w3.org/2000/svg' width='32' height='32' viewBox='0 0 16 16'>{shape}</svg>"
    )


def _encode(svg: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def _values(loaded: data.Loaded, chosen: Experiments, axis: Axis) -> dict[str, list[float]]:
    """The values of each network's seeds, in the unit of the axis."""
    runs = chosen.runs(loaded.runs, ("train", "finetune"))
    if axis.source != "training" or axis.column not in runs:
        return {}
    runs = keep_counted(runs, ["variant"]).dropna(subset=[axis.column])
    values = runs[axis.column].astype(float) * axis.factor
    return {str(name): group.tolist() for name, group in values.groupby(runs["variant"])}


def _noise_quantity(x: Axis | None) -> Quantity | None:
    """Whose noise floor holds for an axis; None for a count, a memory and a training."""
    if x is None or x.source != "latency":
        return None
    if x.column == "energy_joules_per_image":
        return "energy"
    # A cost is a time, multiplied by a price.
    return "latency" if x.unit == "ms" or x.column == "cost_per_million_images" else None


def _noise_ratios(
    loaded: data.Loaded, chosen: Experiments, rows: pd.DataFrame, quantity: Quantity
) -> dict[tuple[str, int], float]:
    """By device and number of rounds, the ratio that noise alone hardly ever exceeds."""
    floors = noise_floors(chosen.runs(loaded.runs, ("latency",)), quantity)
    by_device = {device: floor for (_, _, device), floor in floors.items()}
    found = {}
    for device, rounds in {
        (d, int(n)) for d, n in zip(rows["device"], rows["x_n"], strict=True) if n > 0
    }:
        floor = by_device.get(device)
        if floor is None or isinstance(floor, str):
            continue
        if (ratio := floor.noise_ratio(rounds)) is not None:
            found[device, rounds] = ratio
    return found


def _pictures(
    rows: pd.DataFrame,
    name: str,
    values: Mapping[str, Sequence[float]],
    floors: Mapping[tuple[str, int], float],
) -> list[str | None]:
    """Small pictures on one axis: the band of the noise floor, ticks of seeds, interval and mean."""
    known = rows[[name, *(f"{name}_{end}" for end in ("low", "high", "min", "max"))]].to_numpy(
        float
    )
    if np.isnan(known).all():
        return [None] * len(rows)
    low, high = float(np.nanmin(known)), float(np.nanmax(known))
    if not low < high:
        return [None] * len(rows)
    width, height = PICTURE

    def place(value: float) -> float:
        return round(4 + (width - 8) * min(max((value - low) / (high - low), 0.0), 1.0), 1)

    made: list[str | None] = []
    for row in row_dicts(rows.head(MAX_ROWS)):
        if not is_known(row[name]):
            made.append(None)
            continue
        parts, middle = [], height / 2
        n = int(row[f"{name}_n"]) if is_known(row[f"{name}_n"]) else 0
        if ratio := floors.get((row["device"], n)):
            left, right = place(row[name] / ratio), place(row[name] * ratio)
            parts.append(
                f"<rect x='{left}' y='2' width='{right - left:.1f}' height='{height - 4}' "
                f"fill='{GREY}' fill-opacity='.3'/>"
            )
        parts += [
            f"<path d='M{place(value)} 4V{height - 4}' stroke='{GREY}' stroke-width='1.5'/>"
            for value in values.get(row["variant"], ())
        ]
        if row[f"{name}_low"] < row[f"{name}_high"]:
            ends = f"M{place(row[f'{name}_low'])} {middle}H{place(row[f'{name}_high'])}"
            parts.append(f"<path d='{ends}' stroke='{PALETTE[0]}' stroke-width='2.5'/>")
        fill = "none" if name == "x" and row["noisy"] else PALETTE[0]
        parts.append(
            f"<circle cx='{place(row[name])}' cy='{middle}' r='4.5' fill='{fill}' "
            f"stroke='{PALETTE[0]}' stroke-width='2'/>"
        )
        svg = (
            f"<svg xmlns='http://www.w3.org/2000/svg' width='{2 * width}' height='{2 * height}' "
            f"viewBox='0 0 {width} {height}'>{''.join(parts)}</svg>"
        )
        made.append(_encode(svg))
    return made + [None] * (len(rows) - len(made))


def show(table: pd.DataFrame, x: Axis | None, y: Axis | None, key: str) -> None:
    """The table, in which a click on rows selects networks, and what can be done with them."""
    rows = table.head(MAX_ROWS)
    if len(table) > MAX_ROWS:
        st.caption(f"The first {MAX_ROWS} of {len(table):,} networks; the file has all.")
    picked = [
        place for place, name in enumerate(rows["variant"]) if name in selection.picked_names()
    ]
    # The browser remembers selected rows by their places alone: with other rows, or once others were
    # selected elsewhere, it is another table.
    shown = st.session_state.setdefault(f"{key}_shown", {"turn": 0})
    if (shown.get("variants"), shown.get("rows")) != (rows["variant"].tolist(), picked):
        shown.update(variants=rows["variant"].tolist(), rows=picked, turn=shown["turn"] + 1)
    name = f"{key}_{shown['turn']}"

    def take() -> None:
        chosen = st.session_state[name].selection.rows
        st.session_state[f"{key}_shown"]["rows"] = list(chosen)
        here = set(rows["variant"])
        others = [one for one in selection.picked_names() if one not in here]
        selection.select([*others, *(rows["variant"].iloc[place] for place in chosen)])

    st.dataframe(
        rows,
        hide_index=True,
        key=name,
        width="stretch",
        height=min(38 + 35 * max(len(rows), 1), 500),
        placeholder="–",
        column_config=_config(x, y),
        on_select=take,
        selection_mode="multi-row",
        selection_default={"selection": {"rows": picked}},
    )


def show_actions(
    loaded: data.Loaded, table: pd.DataFrame, x: Axis | None, y: Axis | None, key: str, caption: str
) -> None:
    """What can be done with the selected networks, and the table as files with a caption."""
    picked = selection.selected(loaded)
    with st.container(horizontal=True, vertical_alignment="center"):
        if picked:
            st.markdown(f"**{views.few(picked)}**", width="content")
            for text, icon, action in (
                ("Pin", ":material/keep:", selection.pin),
                ("Hide", ":material/visibility_off:", selection.hide),
            ):
                st.button(text, icon=icon, key=f"{key}_{text}", on_click=action, args=(picked,))
            if len(picked) == 2:
                link = selection.query(picked)
                text, icon = "Compare the two", ":material/balance:"
                st.page_link("app_pages/compare.py", label=text, icon=icon, query_params=link)
            st.button("Clear", key=f"{key}_clear", on_click=selection.select, args=([],))
        else:
            st.caption("Click at the left of a row to select a network for all pages.")
        files = table.drop(columns=[name for name in table if str(name).endswith("_picture")])
        marks = {"y": [MARKS.get(word, "") for word in files["standing"]]} if "y" in files else {}
        labels = {name: str(one["label"]) for name, one in _config(x, y).items() if name in files}
        table_menu(files, key, labels, caption, marks, lambda: files.to_csv(index=False))


def _config(x: Axis | None, y: Axis | None) -> dict[str, Any]:
    column = st.column_config
    config: dict[str, Any] = {
        "variant": column.TextColumn("network", pinned=True),
        "rank": column.TextColumn(
            "rank", help="The ranks that it may have within the budget, for all networks at once"
        ),
        "dot_picture": column.ImageColumn("", width=36),
        "standing": column.TextColumn("standing", width=105),
        "num_params": column.NumberColumn("parameters (million)", format="%.2f"),
        "front_probability": column.TextColumn(
            "P(Pareto-optimal)", help="That no other network is better in one and worse in neither"
        ),
        "status": column.TextColumn("records"),
    }
    if y is not None:
        number = "%.1f" if y.unit == "%" else "%.4g"
        config |= {
            "y": column.NumberColumn(y.title, format=number),
            "y_picture": column.ImageColumn("95 % interval, seeds", width=PICTURE[0] + 20),
            "y_n": column.NumberColumn(f"n ({y.repeats}s)", format="%d"),
        }
    if x is not None:
        config |= {
            "x": column.NumberColumn(x.title, format="%.3g"),
            "x_picture": column.ImageColumn(
                "95 % interval, noise floor"
                if _noise_quantity(x)
                else f"95 % interval, {x.repeats}s",
                width=PICTURE[0] + 20,
            ),
            "x_n": column.NumberColumn(f"n ({x.repeats}s) ", format="%d"),
        }
    return config
