"""Which settings did the search choose, what do new seeds confirm, and was the budget enough?"""

import streamlit as st

import address
import data
import picker
import views
from resnest_bench.charts import (
    confirmation_chart,
    search_front_chart,
    search_progress_chart,
    tuning_curve_chart,
)
from resnest_bench.report.search import (
    CURVES,
    FAMILIES,
    FINALISTS,
    TRIALS,
    SearchTable,
    describe_search,
    search_notes,
)


def show_table(one: data.Loaded, table: SearchTable, key: str) -> None:
    """The table as the workflow prints it, and its unrounded values."""
    rows = table.read(one.results.search)
    views.show_caption(table.caption(one.results))
    st.dataframe(table.display(rows), hide_index=True, width="stretch", placeholder="–")
    for note in search_notes(table, rows):
        st.caption(f"- {views.plain(note)}")
    with st.expander("All values, unrounded"):
        views.table(rows.dropna(axis="columns", how="all"), f"{key}_table")


def show(one: data.Loaded, minutes: bool) -> None:
    search, found, name = one.study.search, one.results.search, one.name.replace("/", "_")
    if search is None:
        st.info("This study searches for no settings.")
        return
    families = search.family_names
    for sentence in describe_search(one.study, found):
        st.markdown(views.plain(sentence))
    if not len(found.trials):
        return
    st.subheader("Chosen and confirmed")
    if len(found.finalists):
        views.chart(
            confirmation_chart(found.finalists),
            f"search_confirmed_{name}",
        )
    show_table(one, FINALISTS, f"search_finalists_{name}")
    if search.latency:
        front = search_front_chart(found.trials, found.finalists, families)
        views.chart(front, f"search_front_{name}")
    st.subheader("Budget")
    progress = search_progress_chart(found.trials, families, minutes)
    views.chart(progress, f"search_progress_{name}")
    show_table(one, FAMILIES, f"search_families_{name}")
    if search.halving is None and len(found.curves):
        views.chart(tuning_curve_chart(found.curves, families), f"search_curve_{name}")
        show_table(one, CURVES, f"search_curves_{name}")
    st.subheader("Trials")
    show_table(one, TRIALS, f"search_trials_{name}")


st.header("Search")
first = picker.loaded_study()
if first.study.search is None:
    st.info(
        "This study searches for no settings. To search, write a `search:` block (docs/search.md)."
    )
    st.stop()
minutes = address.toggle(
    "Budget in minutes",
    "minutes",
    help="Minutes of training instead of trainings: a slow family gets fewer trainings in the same time",
)
for one in picker.side_by_side():
    show(one, minutes)
