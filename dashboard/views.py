"""How every page shows texts, captions, charts and tables."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st
from altair.typing import ChartType

import address
import glossary
import selection
from paper_menu import figure_menu, table_menu
from resnest_bench.charts import (
    needed_width,
    split_title,
    themed,
)
from resnest_bench.formats import format_probability
from resnest_bench.paths import Experiment
from resnest_bench.report.captions import Caption, caption, notes
from resnest_bench.report.tables import display_frame
from resnest_bench.specs import StudySpec
from resnest_bench.tables.comparability import describe_comparability
from table_columns import config
from texts import MAX_NAMES as MAX_NAMES
from texts import few as few
from texts import name_experiment as name_experiment
from texts import plain as plain

# On a narrow screen a plot keeps the width that its names and its marks need, and scrolls by itself.
SCROLLING = """<style>
.st-key-{key} {{overflow-x: auto}}
.st-key-{key} > :has([data-testid="stVegaLiteChart"]) {{min-width: {width}px}}
</style>"""
MAX_ROWS = 500
COMPARABILITY_HELP = (
    "Tables with the same digest can be compared row by row: same data, recipe, protocol, machine and "
    "software. In brackets: the digest of each part, which says where two tables differ."
)
PROBABILITIES = ("front_probability", "mean_better_all")


def chart(
    drawn: ChartType,
    key: str,
    on_select: Callable[[], None] | None = None,
    selection_mode: Sequence[str] = (),
    files: Callable[[], ChartType] | None = None,
    head: str = "",
    fits: bool = False,
) -> None:
    """A chart in the width that there is, its title above it as text, and its files to download.

    Text wraps on a narrow screen, where a chart's own title would be cut off. `files` makes
    the chart to download where that is another one, and `head` is HTML of ours instead of the title. A chart
    that `fits` needs no more width than a phone has, and its height is that of the whole, with axes.
    """
    untitled = drawn.copy(deep=False)
    text, lines = split_title(drawn.title)
    untitled.title = alt.Undefined
    if not fits and not isinstance(drawn, alt.VConcatChart):
        # Otherwise Streamlit squeezes axes and legends into the height that is meant for the plot.
        untitled.autosize = alt.AutoSizeParams(type="fit-x", contains="padding")
    untitled = themed(untitled, dark=st.context.theme.type == "dark")
    with st.container(border=True):
        # A row on a phone too, where columns would be under each other.
        row = st.container(horizontal=True, vertical_alignment="center", wrap=False)
        left, right = row.container(), row.container(width="content")
        small = [f":small[:gray[{plain(line)}]]" for line in lines]
        if head:
            left.html(head)
        else:
            left.markdown("  \n".join([f"**{plain(text)}**", *small]))
        with right:
            figure_menu(files or drawn, key)
        # A chart that says why there is nothing to draw has nothing to select either.
        modes = [mode for mode in selection_mode if mode in selections(drawn)]
        # Streamlit makes the class of a container from its key in this way.
        place = re.sub("[^a-zA-Z0-9_-]", "-", f"plot_{key}")
        with st.container(key=place):
            if not fits:
                st.html(SCROLLING.format(key=place, width=needed_width(drawn)))
            if on_select and modes:
                st.altair_chart(
                    untitled, width="stretch", key=key, on_select=on_select, selection_mode=modes
                )
            else:
                st.altair_chart(untitled, width="stretch", key=key)


def selections(drawn: ChartType) -> set[str]:
    """Names of the selections that a chart or any chart within it has."""
    params = _field(drawn, "params", [])
    names = {param.name for param in params if _field(param, "select", None) is not None}
    for field in ("layer", "hconcat", "vconcat", "concat"):
        names = names.union(*map(selections, _field(drawn, field, [])))
    inner = _field(drawn, "spec", None)
    return names if inner is None else names | selections(inner)


def _field(drawn: Any, name: str, otherwise: Any) -> Any:
    """What a chart or a part of it has under a name; `otherwise` where that is left undefined."""
    value = getattr(drawn, name, alt.Undefined)
    return otherwise if value is alt.Undefined else value


def table(
    frame: pd.DataFrame,
    key: str,
    labels: dict[str, str] | None = None,
    note: str = "",
    name: str = "",
    marks: Mapping[str, Sequence[str]] | None = None,
    columns: Mapping[str, Any] | None = None,
    shown: Callable[[pd.DataFrame], pd.DataFrame] | None = None,
    **more: Any,
) -> None:
    """Unrounded values under readable headings, with a menu of the table's files.

    `note` is their caption. `name` is the table's own key where it is not that of its files. `marks` say
    which value of a column is the best or tied with it, for LaTeX and Markdown; `columns` configure some
    columns otherwise, and `shown` changes what the page shows, such as a verdict into a chip. The browser gets MAX_ROWS rows, the files have all.
    """
    if len(frame) > MAX_ROWS:
        st.caption(
            f"The first {MAX_ROWS:,} of {len(frame):,} rows; the files below contain all rows."
        )
    rows = frame.head(MAX_ROWS)
    # A table without headings of its own is the raw one.
    rows = with_probabilities(rows) if labels else rows
    st.dataframe(
        shown(rows) if shown else rows,
        hide_index=True,
        key=f"{name or key}_table",
        column_config={**config(rows, labels or {}), **(columns or {})},
        width="stretch",
        placeholder="–",
        **more,
    )
    table_menu(frame, key, labels, note or key, marks, lambda: flat(frame).to_csv(index=False))


def with_probabilities(frame: pd.DataFrame) -> pd.DataFrame:
    """`frame` as people read it: no probability of ours is known to be 1 or 0. Its files keep the numbers."""
    known = [name for name in PROBABILITIES if name in frame]
    return frame.assign(**{name: frame[name].map(format_probability) for name in known})


def pick_row(frame: pd.DataFrame, keys: list[str], target: str, key: str, **more: Any) -> None:
    """A table in which a click on a row puts its key, one of `keys`, into the widget `target`.

    The browser remembers a selected row by its place alone. With other rows, or once another key was
    chosen elsewhere, it is therefore a new table, with that key's row selected.
    """
    now = st.session_state.get(target)
    last = st.session_state.setdefault(f"{key}_shown", {"turn": 0})
    if (last.get("keys"), last.get("chosen")) != (keys, now):
        last.update(keys=keys, chosen=now, turn=last["turn"] + 1)
        last["rows"] = [keys.index(now)] if now in keys[:MAX_ROWS] else []
    name = f"{key}_{last['turn']}"
    table(
        frame,
        key,
        name=name,
        on_select=partial(_take_row, f"{key}_shown", f"{name}_table", target),
        selection_mode="single-row",
        selection_default={"selection": {"rows": last["rows"]}},
        **more,
    )


def _take_row(place: str, name: str, target: str) -> None:
    shown, rows = st.session_state[place], st.session_state[name].selection.rows
    shown["chosen"] = shown["keys"][rows[0]] if rows else None
    st.session_state[target] = shown["chosen"]


def show_caption(text: Caption) -> None:
    """The caption in one line, and an expander that says how to read the table."""
    st.caption(plain(f"{text.line}."))
    if text.method:
        with st.expander("How to read this"):
            st.markdown("\n".join(f"- {plain(sentence)}." for sentence in text.method))


def how_to_read(lines: Sequence[str], terms: Sequence[str] = ()) -> None:
    """An expander with the method, in Markdown of ours, and the glossary's entries of some terms."""
    with st.expander("How to read this"):
        st.markdown("\n".join(f"- {line}" for line in lines))
        if terms:
            glossary.show_links(terms)


def rounded_table(name: str, frame: pd.DataFrame, study: StudySpec) -> None:
    """The table as the workflow prints it: rounded, with its caption and its notes."""
    show_caption(caption(name, frame, study))
    st.dataframe(display_frame(frame), hide_index=True, width="stretch", placeholder="–")
    comparability = describe_comparability(frame)
    for note in notes(frame):
        is_digest = note in comparability
        st.caption(f"- {plain(note)}", help=COMPARABILITY_HELP if is_digest else None)


def flat(frame: pd.DataFrame) -> pd.DataFrame:
    """Lists as JSON texts: a CSV cell holds one value."""
    lists = [str(c) for c in frame if frame[c].dtype == object]
    return frame.assign(
        **{c: [json.dumps(v) if isinstance(v, list) else v for v in frame[c]] for c in lists}
    )


def take_part(frame: pd.DataFrame, size: int, name: str) -> pd.DataFrame:
    """At most `size` rows, those that the reader turns to, in the order that they have.

    A chart of thousands of rows is as high as a house, and slow to come.
    """
    if len(frame) <= size:
        return frame
    starts = range(0, len(frame), size)
    ends = [min(start + size, len(frame)) for start in starts]
    texts = [f"{start + 1:,} to {end:,}" for start, end in zip(starts, ends, strict=True)]
    part = address.pick_one(
        f"Displayed rows of {len(frame):,}",
        range(len(starts)),
        name,
        texts.__getitem__,
        lambda number: str(number + 1),
    )
    return frame.iloc[size * part : size * (part + 1)]


def pick_experiment(label: str, options: list[Experiment], name: str) -> Experiment | None:
    """The experiment that the sidebar has under `name`, if it is one of `options`; else the first."""
    chosen = st.session_state.get(name)
    return chosen if chosen in options else next(iter(options), None)


def get_picked(names: list[str]) -> list[str]:
    """Those of `names` that are picked, before the widget that picks is drawn."""
    known = set(names)
    picked = [name for name in dict.fromkeys(address.picked()) if name in known]
    st.session_state[address.PICK] = picked
    return picked


def pick_variants(names: list[str], label: str = "Variants", shown: int | None = None) -> list[str]:
    """The variants that the reader picked on this or another page; all, or the first few, without.

    Of `names` only those can be picked that the filters leave, or that are picked already.
    """
    picked = set(get_picked(names))
    left = set(selection.narrow(names))
    names = [name for name in names if name in left or name in picked]
    chosen = st.multiselect(
        label,
        names,
        key=address.PICK,
        placeholder="all"
        if shown is None or len(names) <= shown
        else f"the first {shown} of {len(names)}",
    )
    st.session_state[address.PICKED] = chosen
    address.hold(address.PICK, chosen)
    return chosen or (names if shown is None else names[:shown])
