"""Does a start from trained weights help, and how much of the network must be tuned?"""

import streamlit as st

import data
import picker
import views
from resnest_bench.charts import field_title, training_curves_panels, transfer_chart

FIELDS = ["test_accuracy", "train_accuracy", "test_loss", "train_loss"]


def show(one: data.Loaded, field: str) -> None:
    name = one.name.replace("/", "_")
    if not one.study.finetune:
        st.info("This study fine-tunes nothing.")
        return
    table = data.transfer_table(one, one.signature)
    for index, (_, rows) in enumerate(table.groupby("dataset", sort=False)):
        views.chart(transfer_chart(rows), f"transfer_{name}_{index}")
    views.rounded_table("transfer", table, one.study)
    with st.expander("All values, unrounded"):
        views.table(table.dropna(axis="columns", how="all"), f"transfer_table_{name}")
    epochs = one.epochs
    for index, panel in enumerate(
        training_curves_panels(epochs[epochs["kind"] == "finetune"], field)
    ):
        views.chart(panel, f"transfer_curves_{name}_{index}", extra_height=views.legend_height(2))


st.header("Transfer")
if not picker.loaded_study().study.finetune:
    st.info("This study fine-tunes nothing: add a `finetune:` block.")
    st.stop()
field = st.segmented_control(
    "Over epochs", FIELDS, default=FIELDS[0], required=True, key="curve", format_func=field_title,
    bind="query-params",
)  # fmt: skip
for one in picker.side_by_side():
    show(one, field)
