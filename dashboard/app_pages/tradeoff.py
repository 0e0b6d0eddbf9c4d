"""Which network gives the best accuracy within a time?"""

import streamlit as st

import views
from picker import loaded_study
from resnest_bench.charts import accuracy_latency_chart
from resnest_bench.tables import tradeoff_table

loaded = loaded_study()
table = tradeoff_table(loaded.study, loaded.runs, loaded.cells)
st.header("Trade-off")
views.chart_and_table(accuracy_latency_chart(table), "tradeoff", table, loaded.study)
