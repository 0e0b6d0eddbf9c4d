"""Does the choice carry over to another device, and what bounds a latency?"""

from collections.abc import Callable

import pandas as pd
import streamlit as st

import address
import data
import picker
import views
from resnest_bench.charts import device_ranking_chart, roofline_chart
from resnest_bench.report.devices import (
    NETWORKS_CAPTION,
    RANKING_CAPTION,
    ROOFLINE_CAPTION,
    describe_rankings,
    networks_display,
    ranking_display,
    roofline_display,
)
from resnest_bench.tables.values import CELL_AXES

NUM_ROWS = 40
CELL = ["dataset", "protocol", "device", *CELL_AXES[1:], "batch_size"]
PAIR = ["dataset", "protocol_a", "protocol_b", "batch_size"]


def show_rankings(one: data.Loaded, key: str) -> None:
    found = one.results.device_rankings
    st.subheader("Does the choice carry over?")
    if not len(found.pairs):
        st.info(
            "Only one device has measured this study's networks. `resnest-bench bundle` makes an archive for "
            "another one, and `resnest-bench import` takes its results back."
        )
        return
    groups = [rows for _, rows in found.networks.groupby(PAIR, sort=False)]
    texts = describe_rankings(found)
    number = pick_group("Devices", groups, picker.name_part(one, "pair"), name_pair)
    st.markdown(views.plain(texts[number]))
    rows = groups[number]
    views.chart(device_ranking_chart(rows), f"devices_{key}")
    views.show_caption(NETWORKS_CAPTION)
    st.dataframe(networks_display(rows), hide_index=True, width="stretch", placeholder="–")
    with st.expander("All pairs of devices"):
        views.show_caption(RANKING_CAPTION)
        st.dataframe(ranking_display(found.pairs), hide_index=True, width="stretch")
    with st.expander("All values, unrounded"):
        views.table(found.pairs, f"device_ranking_{key}")
        views.table(found.networks, f"device_networks_{key}")


def show_roofline(one: data.Loaded, key: str) -> None:
    table = one.results.roofline
    st.subheader("What bounds the latency?")
    if not len(table):
        st.info("No record has the ceilings of its device: they are measured since this release.")
        return
    groups = [rows for _, rows in table.groupby(CELL, sort=False)]
    number = pick_group("Setting", groups, picker.name_part(one, "cell"), name_cell)
    rows = groups[number]
    part = views.take_part(rows, NUM_ROWS, picker.name_part(one, "bounds"))
    views.chart(roofline_chart(part), f"roofline_{key}")
    views.show_caption(ROOFLINE_CAPTION)
    st.dataframe(roofline_display(rows), hide_index=True, width="stretch", placeholder="–")
    with st.expander("All values, unrounded"):
        views.table(table, f"roofline_{key}")


def pick_group(
    label: str, groups: list[pd.DataFrame], name: str, describe: Callable[[pd.DataFrame], str]
) -> int:
    """The number of the group that the reader picks; no widget for a single one."""
    if len(groups) < 2:
        return 0
    return address.pick_one(
        label, range(len(groups)), name, lambda number: describe(groups[number]), str
    )


def name_pair(rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    where = f"{first['device_a']} and {first['device_b']}, batch {first['batch_size']}"
    return where if first["dataset"] is None else f"{where}, {first['dataset']}"


def name_cell(rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    parts = [first["device"], first["precision"], first["layout"], first["mode"]]
    return ", ".join([*parts, f"batch {first['batch_size']}", first["dataset"]])


st.header("Devices")
if not picker.loaded_study().study.timed:
    st.info("This study measures no latency. To add one, write a `latency:` block.")
    st.stop()
for one in picker.side_by_side():
    key = one.name.replace("/", "_")
    show_rankings(one, key)
    show_roofline(one, key)
