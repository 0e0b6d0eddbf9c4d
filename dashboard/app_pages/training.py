"""How did the trainings go, had they converged at their end, and what did they cost?"""

import pandas as pd
import streamlit as st

import address
import data
import picker
import table_columns
import views
from resnest_bench.charts import field_title, training_curves_panels
from resnest_bench.charts.curves import AXES, AXIS_NAMES
from resnest_bench.frames.live import trainings_frame
from resnest_bench.report.stability import (
    SEEDS_OR_IMAGES,
    SPREAD_TABLES,
    failure_warning,
    spread_notes,
)

FIELDS = [
    "test_accuracy",
    "train_accuracy",
    "validation_accuracy",
    "test_loss",
    "train_loss",
    "images_per_second",
    "learning_rate",
]
NUM_SHOWN = 8
# Epochs of which each value is the mean.
SMOOTHING = [1, 3, 5, 10]
MAX_READ = 500
EXPERIMENT = ["kind", "dataset", "recipe"]
BEGUN = {
    "num_epochs": "of epochs",
    "updated_at": "last progress",
    "seconds_ago": "seconds ago",
}
COSTS = {
    "variant": None,
    "kind": None,
    "dataset": None,
    "recipe": None,
    "n": "n (seeds)",
    "wall_seconds": "wall time, mean (s)",
    "train_seconds": "training only, mean (s)",
    "train_images_per_second": "speed, mean (images/s)",
    "test_accuracy": "test accuracy, mean",
    "device": "on",
}


def costs(one: data.Loaded, names: list[str]) -> pd.DataFrame:
    """Mean cost over the seeds of each variant and recipe."""
    runs = one.runs
    runs = runs[
        runs["kind"].ne("latency")
        & runs["variant"].isin(names)
        & runs["status"].isin(["ok", "stale"])
    ]
    keys = ["variant", *EXPERIMENT]
    means = runs.groupby(keys, sort=False).agg(
        n=("seed", "count"),
        wall_seconds=("wall_seconds", "mean"),
        train_seconds=("train_seconds", "mean"),
        train_images_per_second=("train_images_per_second", "mean"),
        test_accuracy=("test_accuracy", "mean"),
        device=("device_name", lambda names: " and ".join(names.dropna().unique())),
    )
    return means.reset_index()[list(COSTS)]


def show(one: data.Loaded, field: str, names: list[str], axis: str, smoothing: int) -> None:
    name = one.name.replace("/", "_")
    if one.trainings:
        st.markdown("**Started, without a record yet**")
        frame = trainings_frame(one.trainings)
        columns = table_columns.config(frame, BEGUN)
        st.dataframe(frame, hide_index=True, key=f"running_{name}", column_config=columns)
    epochs = one.epochs
    epochs = epochs[epochs["variant"].isin(names)]
    panels = training_curves_panels(
        epochs, field, one.study.variant_names, axis, smoothing, on_hover=True
    )
    for index, panel in enumerate(panels):
        views.chart(panel, f"curves_{name}_{index}")
    if not panels:
        imported = one.study.imported_blocks("train")
        more = " Imported results have no curves." if imported else ""
        st.info(f"No record has this metric yet.{more}")
    labels = {column: text for column, text in COSTS.items() if text}
    views.table(costs(one, names), f"costs_{name}", labels, "Cost of training")
    show_spread(one, names, name)


def show_spread(one: data.Loaded, names: list[str], key: str) -> None:
    """Failed trainings, sources of the spread over seeds, and whether seeds or test images help more."""
    if warning := failure_warning(one.results.stability):
        st.warning(views.plain(warning))
    num_records = int(one.runs["kind"].ne("latency").sum())
    for spread in SPREAD_TABLES:
        # It reads every record again, with its results per image.
        if spread is SEEDS_OR_IMAGES and num_records > MAX_READ:
            label = f"{spread.title} (reads {num_records:,} records)"
            if not st.toggle(label, key=f"read_{key}"):
                continue
        table = spread.read(one.results)
        table = table[table["variant"].isin(names)]
        if not len(table):
            continue
        st.markdown(f"**{spread.title}**")
        views.show_caption(spread.caption(table, one.study))
        st.dataframe(
            spread.display(table), hide_index=True, width="stretch", key=f"{spread.name}_{key}"
        )
        for note in spread_notes(table):
            st.caption(f"- {views.plain(note)}")


st.header("Training")
first = picker.loaded_study()
trained = first.runs[first.runs["kind"].isin(["train", "finetune"])]
if not len(trained):
    st.info("This study trains nothing. To add a training, write a `train:` or `finetune:` block.")
    st.stop()
known = [field for field in FIELDS if field in first.epochs and first.epochs[field].notna().any()]
left, right = st.columns([1, 2])
with left:
    field = address.pick_one("Show", known or FIELDS, "curve", field_title)
with right:
    names = views.pick_variants(list(dict.fromkeys(trained["variant"])), shown=NUM_SHOWN)
left, right = st.columns([1, 2], vertical_alignment="bottom")
with left:
    axis = address.pick_one(
        "Against",
        list(AXES),
        "axis",
        AXIS_NAMES.__getitem__,
        draw=st.segmented_control,
        required=True,
    )
with right:
    smoothing = address.pick_one(
        "Smoothing",
        SMOOTHING,
        "smoothing",
        lambda count: "off" if count == 1 else f"{count} epochs",
        draw=st.segmented_control,
        required=True,
    )
st.caption(
    "Line: mean over seeds. Band: lowest to highest seed. Point at a line to see its single seeds."
)
for one in picker.side_by_side():
    show(one, field, names, axis, smoothing)
