"""What is the effect of radix, cardinality, width and stem, one at a time with the others held fixed?"""

import streamlit as st

import address
import data
import picker
import views
from resnest_bench.charts import FACTOR_TITLES, ablation_chart, factor_chart

COLUMNS = {
    "factor": None,
    "base": "from",
    "variant": "to",
    "base_level": "from level",
    "level": "to level",
    "held": "held fixed",
    "n": "n (paired seeds)",
    "difference_mean_points": "difference (points)",
    "difference_low_points": "95 % from",
    "difference_high_points": "95 % to",
    "printed_difference_points": "paper's difference (points)",
    "params_ratio": "parameters, ratio",
    "adjacent": "adjacent levels",
    "status": None,
}


# Rows of a chart: each has one line of text or more.
NUM_PAIRS, NUM_NETWORKS = 20, 40


def show(one: data.Loaded, factor: str, adjacent: bool) -> None:
    rows = one.results.factors
    chosen = rows[rows["factor"] == factor]
    if adjacent:
        chosen = chosen[chosen["adjacent"]]
    name = one.name.replace("/", "_")
    part = views.take_part(chosen, NUM_PAIRS, picker.name_part(one, f"{factor}_pairs"))
    views.chart(factor_chart(part, factor), f"factor_{factor}_{name}")
    labels = {column: text for column, text in COLUMNS.items() if text}
    views.table(chosen[list(COLUMNS)], f"factor_table_{name}", labels, FACTOR_TITLES[factor])


def show_accuracies(one: data.Loaded) -> None:
    table = one.results.ablation
    name = one.name.replace("/", "_")
    part = views.take_part(table, NUM_NETWORKS, picker.name_part(one, "networks"))
    views.chart(ablation_chart(part, one.study.variant_names), f"ablation_{name}")
    views.rounded_table("ablation", part, one.study)
    with st.expander("All values, unrounded"):
        views.table(table.dropna(axis="columns", how="all"), f"ablation_table_{name}")


st.header("Ablation")
first = picker.loaded_study()
factors = list(dict.fromkeys(first.results.factors["factor"]))
if first.study.tables.ablation is None and not factors:
    st.info(
        "This study has no ablation table. To add one, name its rows under `tables: ablation:`."
    )
    st.stop()
if factors:
    st.caption(
        "Differences between two networks that differ in only one factor, paired by seed. If an interval "
        "contains 0, these seeds can't distinguish the difference from 0."
    )
    left, right = st.columns([3, 1.4], vertical_alignment="bottom")
    factor = address.pick_one(
        "Factor",
        factors,
        "factor",
        FACTOR_TITLES.__getitem__,
        draw=left.segmented_control,
        required=True,
    )
    adjacent = address.toggle(
        "Adjacent levels only",
        "adjacent",
        draw=right.toggle,
        help="Compare each level only with the one below it, and not also with the lowest level",
    )
    for one in picker.side_by_side():
        show(one, factor, adjacent)
if first.study.tables.ablation is not None:
    st.subheader("Accuracies")
    for one in picker.side_by_side():
        if one.study.tables.ablation is not None:
            show_accuracies(one)
