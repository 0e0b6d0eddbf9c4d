"""Do pretrained weights help, or a teacher, and how much of the network must be fine-tuned?"""

import streamlit as st

import address
import data
import picker
import views
from resnest_bench.charts import (
    distillation_chart,
    field_title,
    training_curves_panels,
    transfer_chart,
)

NUM_ROWS = 60
FIELDS = ["test_accuracy", "train_accuracy", "test_loss", "train_loss"]


def show(one: data.Loaded, field: str) -> None:
    name = one.name.replace("/", "_")
    show_distillation(one, name)
    if not one.study.finetune:
        if not len(one.results.distillation):
            st.info("This study fine-tunes nothing.")
        return
    table = one.results.transfer
    for index, (_, rows) in enumerate(table.groupby("dataset", sort=False)):
        part = views.take_part(rows, NUM_ROWS, picker.name_part(one, f"rows_{index}"))
        views.chart(transfer_chart(part), f"transfer_{name}_{index}")
    views.rounded_table("transfer", table, one.study)
    with st.expander("All values, unrounded"):
        views.table(table.dropna(axis="columns", how="all"), f"transfer_table_{name}")
    epochs = one.epochs
    for index, panel in enumerate(
        training_curves_panels(epochs[epochs["kind"] == "finetune"], field, one.study.variant_names)
    ):
        views.chart(panel, f"transfer_curves_{name}_{index}")


def show_distillation(one: data.Loaded, name: str) -> None:
    table = one.results.distillation
    if not len(table):
        return
    for index, (_, rows) in enumerate(table.groupby("dataset", sort=False)):
        part = views.take_part(rows, NUM_ROWS, picker.name_part(one, f"taught_{index}"))
        views.chart(distillation_chart(part), f"distillation_{name}_{index}")
    views.rounded_table("distillation", table, one.study)
    with st.expander("All values of the distillation, unrounded"):
        views.table(table.dropna(axis="columns", how="all"), f"distillation_table_{name}")


st.header("Transfer")
first = picker.loaded_study()
if not first.study.finetune and not len(first.results.distillation):
    st.info("This study fine-tunes nothing. To add a fine-tuning, write a `finetune:` block.")
    st.stop()
field = FIELDS[0]
if first.study.finetune:
    field = address.pick_one(
        "Metric over epochs", FIELDS, "curve", field_title, draw=st.segmented_control, required=True
    )
for one in picker.side_by_side():
    show(one, field)
