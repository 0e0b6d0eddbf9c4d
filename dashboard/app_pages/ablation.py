"""What do radix, cardinality and width do?"""

import streamlit as st

import views
from picker import loaded_study
from resnest_bench.charts import ablation_chart
from resnest_bench.tables import ablation_table

loaded = loaded_study()
table = ablation_table(loaded.study, loaded.runs, loaded.cells)
st.header("Ablation")
if loaded.study.tables.ablation is None:
    st.info("This study asks for no ablation: name its rows under `tables: ablation:`.")
else:
    views.chart_and_table(ablation_chart(table), "ablation", table, loaded.study)
