"""What became of every job, and why."""

import streamlit as st

import views
from picker import loaded_study
from resnest_bench.tables import unlisted_records

loaded = loaded_study()
runs = loaded.runs
st.header("Runs")
counts = runs["status"].value_counts()
st.write(f"{len(runs)} jobs: " + ", ".join(f"{n} {status}" for status, n in counts.items()))
chosen = st.multiselect("Status", list(counts.index), placeholder="all")
views.table(runs[runs["status"].isin(chosen or counts.index)].dropna(axis="columns", how="all"))
unlisted = unlisted_records(loaded.study, loaded.paths)
if unlisted:
    st.write(f"{len(unlisted)} records are of no job of the study, and in no table:")
    st.code("\n".join(map(str, unlisted)))
