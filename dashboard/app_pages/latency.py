"""How steady were the latencies, and how do they change with batch size and setting?"""

import streamlit as st

import views
from picker import loaded_study
from resnest_bench.charts import latency_distribution_chart
from resnest_bench.tables import samples_of

COLUMNS = [
    "variant", "status", "batch_size", "precision", "layout", "mode", "n", "p50_ms", "p90_ms",
    "p99_ms", "iqr_ms", "noisy", "ms_per_image", "throughput_images_per_second", "device_p50_ms",
    "first_call_ms", "peak_memory_bytes", "reference_drift", "device_kind", "device_name",
    "unavailable_reason",
]  # fmt: skip

loaded = loaded_study()
st.header("Latency")
if not loaded.study.latency:
    st.info("This study measures no latency: add a `latency:` block.")
else:
    samples = samples_of(loaded.outcomes)
    batches = sorted(samples["batch_size"].unique())
    chosen = st.multiselect("Batch sizes", batches, placeholder="all")
    views.chart(latency_distribution_chart(samples[samples["batch_size"].isin(chosen or batches)]))
    views.table(loaded.cells[COLUMNS])
