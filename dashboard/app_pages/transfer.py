"""Does a start from trained weights help, and how much of the network must be tuned?"""

import streamlit as st

import views
from picker import loaded_study
from resnest_bench.charts import transfer_chart
from resnest_bench.tables import transfer_table

loaded = loaded_study()
table = transfer_table(loaded.study, loaded.runs)
st.header("Transfer")
if not loaded.study.finetune:
    st.info("This study fine-tunes nothing: add a `finetune:` block.")
else:
    views.chart_and_table(transfer_chart(table), "transfer", table, loaded.study)
