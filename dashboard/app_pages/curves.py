"""Had the trainings settled when they ended?"""

import streamlit as st

import views
from picker import loaded_study
from resnest_bench.charts import training_curves_chart
from resnest_bench.tables import epochs_of

FIELDS = ["test_accuracy", "train_accuracy", "validation_accuracy", "test_loss", "train_loss"]

loaded = loaded_study()
st.header("Training curves")
epochs = epochs_of(loaded.outcomes)
field = st.selectbox("Show", FIELDS, format_func=lambda name: name.replace("_", " "))
names = list(dict.fromkeys(epochs["variant"]))
chosen = st.multiselect("Variants", names, placeholder="all")
views.chart(training_curves_chart(epochs[epochs["variant"].isin(chosen or names)], field))
