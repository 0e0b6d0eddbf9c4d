"""What is behind a point? Curves, config lines and records of the selected variants."""

import pandas as pd
import streamlit as st

import data
import views
from resnest_bench.charts import training_curves_panels
from resnest_bench.specs import variant_line
from resnest_bench.tables.selection import Experiments

COLUMNS = [
    "kind",
    "variant",
    "seed",
    "status",
    "reason",
    "test_accuracy",
    "latency_p50_ms",
    "num_params",
    "num_macs",
    "train_seconds",
    "peak_rss_bytes",
    "device_kind",
    "device_name",
    "started_at",
    "record",
]


def show(loaded: data.Loaded, chosen: Experiments, names: list[str]) -> None:
    """Everything about `names` in the experiments of the page."""
    st.subheader("Selected")
    curves, lines, rows = st.tabs(["Training curves", "Config lines", "Records"])
    with curves:
        epochs = chosen.runs(loaded.epochs)
        panels = training_curves_panels(
            epochs[epochs["variant"].isin(names)], variants=loaded.study.variant_names
        )
        for index, panel in enumerate(panels):
            views.chart(panel, f"picked_curves_{index}")
        if not panels:
            st.caption("The selected variants have no training in this study.")
    with lines:
        known = [loaded.study.variant(n) for n in names if n in loaded.study.variant_names]
        st.code("\n".join(variant_line(spec) for spec in known), language="yaml", wrap_lines=True)
    with rows:
        runs = chosen.runs(loaded.runs)
        views.table(_without_gaps(runs[runs["variant"].isin(names)][COLUMNS]), "picked_records")


def _without_gaps(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.dropna(axis="columns", how="all")
