"""How every page shows a text, a chart and a table."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from resnest_bench.charts import png_bytes, svg_text, title_text
from resnest_bench.specs import StudySpec
from resnest_bench.tables import caption, display_frame, latex_of, notes
from table_columns import config

# Everything that Markdown, streamlit's directives (:red[...], :material/...:) or TeX ($...$) would
# make of a record's text. Records come from others: no image, link or HTML of theirs is drawn.
MARKUP = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$:&\"'=^@/])")
MAX_NAMES = 12
PICKED = "picked_variants"
LIGHT_TEXT = "#DDDDDD"


def plain(text: str) -> str:
    """`text` so that Markdown shows it letter by letter, on one line."""
    return MARKUP.sub(r"\\\1", " ".join(str(text).split()))


def few(names: Sequence[str]) -> str:
    """The first dozen names, and how many more there are."""
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return ", ".join(plain(name) for name in names[:MAX_NAMES]) + more


def chart(
    drawn: alt.TopLevelMixin, key: str, on_select: Callable[[], None] | None = None,
    selection_mode: Sequence[str] = (), extra_height: int = 0,
) -> None:  # fmt: skip
    """A chart in the width that there is, its title above it as text, and its files to download.

    Text wraps on a narrow screen, where a chart's own title would be cut off. `extra_height` in pixels
    makes room for a legend below: streamlit fits legends and axes into the chart's height.
    """
    untitled = drawn.copy(deep=False)
    head, lines = title_text(drawn.title)
    untitled.title = alt.Undefined
    if extra_height and isinstance(untitled.height, int):
        untitled.height += extra_height
    if st.context.theme.type == "dark":
        # Texts without a colour of their own are black otherwise.
        untitled = untitled.configure_text(color=LIGHT_TEXT)
    with st.container(border=True):
        left, right = st.columns([0.86, 0.14], vertical_alignment="center")
        small = [f":small[:gray[{plain(line)}]]" for line in lines]
        left.markdown("  \n".join([f"**{plain(head)}**", *small]))
        with right.popover("", icon=":material/download:", help="Download this figure"):
            _figure_buttons(drawn, key)
        select = (
            {"on_select": on_select, "selection_mode": list(selection_mode)} if on_select else {}
        )
        st.altair_chart(untitled, width="stretch", key=key, **select)


def _figure_buttons(drawn: alt.TopLevelMixin, key: str) -> None:
    for name, make, mime in (
        ("SVG", lambda: svg_text(drawn), "image/svg+xml"),
        ("PNG", lambda: png_bytes(drawn), "image/png"),
    ):
        # Drawn when asked for, with its title, as the workflow's figures are.
        st.download_button(
            name, make, f"{key}.{name.lower()}", mime, key=f"{key}_{name}", on_click="ignore"
        )


def legend_height(num_entries: int) -> int:
    """Pixels below a chart for its axis and for a legend of two columns."""
    return 60 + 24 * -(-num_entries // 2)


def table(
    frame: pd.DataFrame, key: str, labels: dict[str, str] | None = None, note: str = "",
    **more: Any,
) -> Any:  # fmt: skip
    """Unrounded values under readable headings, and the table as CSV, JSON and LaTeX."""
    event = st.dataframe(
        frame, hide_index=True, key=f"{key}_table", column_config=config(frame, labels or {}),
        width="stretch", placeholder="–", **more,
    )  # fmt: skip
    files = {
        "CSV": (lambda: flat(frame).to_csv(index=False), "text/csv"),
        "JSON": (lambda: frame.to_json(orient="records", indent=1), "application/json"),
        "TeX": (lambda: latex_of(frame, note or key, key, labels), "text/x-tex"),
    }
    with st.container(horizontal=True):
        for name, (make, mime) in files.items():
            st.download_button(
                name, make, f"{key}.{name.lower()}", mime, key=f"{key}_{name}", on_click="ignore",
                icon=":material/download:", type="tertiary",
            )  # fmt: skip
    return event


def rounded_table(name: str, frame: pd.DataFrame, study: StudySpec) -> None:
    """The table as the workflow prints it: rounded, with its caption and its notes."""
    st.caption(plain(caption(name, frame, study)))
    st.dataframe(display_frame(frame), hide_index=True, width="stretch", placeholder="–")
    for note in notes(frame):
        st.caption(f"- {plain(note)}")


def flat(frame: pd.DataFrame) -> pd.DataFrame:
    """Lists as JSON texts: a CSV cell holds one value."""
    lists = [c for c in frame if frame[c].dtype == object]
    return frame.assign(
        **{c: [json.dumps(v) if isinstance(v, list) else v for v in frame[c]] for c in lists}
    )


def pick_one(label: str, options: list, key: str, text: Callable[[Any], str] = str) -> Any:
    """The chosen option; without a widget where there is no choice."""
    if len(options) < 2:
        return options[0] if options else None
    return st.selectbox(label, options, format_func=text, key=key, bind="query-params")


def picked_of(names: list[str]) -> list[str]:
    """Those of `names` that are picked, before the widget that picks is drawn."""
    # Not bound to the URL as other widgets are: a bound value is lost from it with a change of page.
    # A widget's value goes with its page; what is picked stays with the reader.
    picked = st.session_state.get("pick", st.session_state.get(PICKED))
    if picked is None:
        picked = st.query_params.get_all("pick")
    known = set(names)
    st.session_state["pick"] = [name for name in dict.fromkeys(picked) if name in known]
    return st.session_state["pick"]


def pick_variants(names: list[str], label: str = "Variants", shown: int | None = None) -> list[str]:
    """The variants that the reader picked on this or another page; all, or the first few, without."""
    picked_of(names)
    chosen = st.multiselect(
        label, names, key="pick",
        placeholder="all" if shown is None or len(names) <= shown else f"the first {shown} of {len(names)}",
    )  # fmt: skip
    st.session_state[PICKED] = chosen
    if chosen:
        st.query_params["pick"] = chosen
    elif "pick" in st.query_params:
        del st.query_params["pick"]
    return chosen or (names if shown is None else names[:shown])
