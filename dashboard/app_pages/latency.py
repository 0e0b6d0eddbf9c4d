"""Which network is the fastest, how stable are latencies, and how do they depend on batch size, setting and cold start?"""

from typing import Any

import pandas as pd
import streamlit as st

import address
import data
import picker
import selection
import views
from resnest_bench.charts import (
    SWEEP_FIELDS,
    batch_sweep_chart,
    deployment_chart,
    drift_chart,
    fastest_chart,
    latency_distribution_panels,
    modes_chart,
    startup_chart,
)
from resnest_bench.formats import row_dicts
from resnest_bench.report import siunitx
from resnest_bench.report.deployment import (
    deployment_caption,
    deployment_display,
    deployment_notes,
)
from resnest_bench.report.latencies import describe_fastest
from resnest_bench.tables.noise import NOISE_PARTS, describe_floor
from resnest_bench.tables.selection import list_experiments

VIEWS = {
    "fastest": "Which is fastest",
    "sweep": "Batch sweep",
    "samples": "Raw samples",
    "settings": "Settings",
    "deployment": "Deployment modes",
    "start": "Cold start",
    "drift": "Drift",
    "ratios": "Relative to one",
}
NUM_SHOWN = 24
COLUMNS = [
    "variant",
    "seed",
    "status",
    "batch_size",
    "precision",
    "layout",
    "mode",
    "n",
    "p50_ms",
    "p90_ms",
    "p99_ms",
    "iqr_ms",
    "noisy",
    "ms_per_image",
    "throughput_images_per_second",
    "device_p50_ms",
    "first_call_ms",
    "peak_memory_bytes",
    "resident_bytes",
    "added_bytes",
    "energy_joules_per_image",
    "cost_per_million_images",
    "consumption_gap",
    "output_error",
    "reference_drift",
    "device_name",
    "unavailable_reason",
]


NOISE_LABELS = {
    "reference_model": "reference network",
    "reference_batch_size": "its batch size",
    "num_jobs": "jobs",
    "num_rounds": "rounds",
    "floor_percent": "noise floor (%)",
    "job_percent": "job to job (%)",
    "round_percent": "round to round (%)",
    "drift_percent": "within a job (%)",
    "bias_percent": "before to after (%)",
    "degrees_of_freedom": "degrees of freedom",
}
RATIO_LABELS = {
    "time_ratio": "ratio of latencies",
    "low_ratio": "95 % from",
    "high_ratio": "95 % to",
    "n": "n (rounds)",
    "noise": "compared with the noise floor",
    "device": "on",
}


FASTEST_LABELS = {
    "variant": "variant",
    "latency_p50_ms": "p50 (ms)",
    "latency_low_ms": "95 % from",
    "latency_high_ms": "95 % to",
    "latency_rounds": "n (rounds)",
    "relative_to_fastest": "times the fastest",
    "in_noise": "within the noise floor",
    "latency_batch_size": "batch size",
    "latency_setting": "setting",
    "latency_device": "on",
    "status": "status",
}


def show_fastest(one: data.Loaded) -> None:
    """The latency of each network with its interval, next to the noise floor."""
    place, device = selection.latency(one), selection.device()
    if place is None:
        st.caption("This study measures no latency.")
        return
    name = one.name.replace("/", "_")
    # All of them: the fastest could be any.
    names = selection.selected(one) or selection.names(one)
    table = data.latencies(one, place, tuple(names), device)
    floor = data.noise_floor(one, place, device)
    text = describe_fastest(table, floor)
    if text:
        st.markdown(f"#### {views.plain(text)}")
    views.chart(fastest_chart(table, floor), f"fastest_{name}")
    marks = {"latency_p50_ms": [mark_row(row) for row in row_dicts(table)]}
    rows = table[list(FASTEST_LABELS)]
    views.table(rows, f"fastest_{name}", FASTEST_LABELS, f"Latencies. {text}", marks=marks)


def mark_row(row: dict[str, Any]) -> str:
    if row["relative_to_fastest"] == 1:
        return siunitx.BEST
    return siunitx.TIED if row["in_noise"] is True else ""


def show(one: data.Loaded, view: str, names: list[str], field: str, batch: int) -> None:
    runs = one.runs[(one.runs["kind"] == "latency") & one.runs["variant"].isin(names)]
    cells = one.cells[one.cells["variant"].isin(names)]
    name = one.name.replace("/", "_")
    if view == "sweep":
        drawn = batch_sweep_chart(cells, field, one.study.variant_names)
        views.chart(drawn, f"sweep_{name}")
    elif view == "settings":
        views.chart(modes_chart(cells, batch), f"settings_{name}")
    elif view == "start":
        views.chart(startup_chart(runs), f"start_{name}")
    elif view == "drift":
        views.chart(drift_chart(runs), f"drift_{name}")
    else:
        show_samples(one, names, batch, name)
    shown = (
        cells
        if view != "samples"
        else cells[cells["batch_size"].eq(batch) | cells["batch_size"].isna()]
    )
    kept = [c for c in COLUMNS if c == "status" or shown[c].notna().any()]
    views.table(shown[kept], f"cells_{name}", {"seed": "round"}, "Latency")


def show_noise(one: data.Loaded) -> None:
    """Which differences between two latencies are noise, and the components of that noise."""
    table = pd.concat([one.results.noise, one.results.energy_noise], ignore_index=True)
    for row in row_dicts(table):
        st.markdown(views.plain(describe_floor(row)))
    with st.expander("Components of the noise"):
        st.caption(views.plain(NOISE_PARTS))
        shown = table.dropna(axis="columns", how="all")
        views.table(shown, f"noise_{one.name}".replace("/", "_"), NOISE_LABELS, "Noise floor")


def show_ratios(one: data.Loaded, names: list[str], base: str, batch: int) -> None:
    """Each network's latency divided by that of `base`, compared with the noise floor."""
    st.markdown(
        f"**Latency relative to {views.plain(base)}**, batch size {batch}: mean over the common rounds of "
        "the ratio of the rounds' medians, with its 95 % interval over rounds"
    )
    _, experiments = list_experiments(one.study)
    for place in experiments:
        key = f"ratios_{'_'.join((one.name, *place[1:]))}".replace("/", "_")
        if len(experiments) > 1:
            st.caption(views.plain(views.name_experiment(place)))
        rows = data.latency_ratios(one, place, base, tuple(names), batch)
        rows = rows.drop(columns="base")
        views.table(rows, key, RATIO_LABELS, f"Latency relative to {base}")


def show_samples(one: data.Loaded, names: list[str], batch: int, name: str) -> None:
    """Raw samples, read from the records of these variants."""
    samples = one.results.samples(names)
    panels = latency_distribution_panels(samples[samples["batch_size"] == batch])
    for index, panel in enumerate(panels):
        views.chart(panel, f"samples_{name}_{index}")
    if not panels:
        st.info("No record has samples at this batch size.")


def show_deployment(one: data.Loaded, names: list[str]) -> None:
    """What each mode of the trained networks costs in accuracy, and how much faster it is."""
    if not one.study.deploy:
        st.info("This study deploys nothing. To compare modes, write a `deploy:` block.")
        return
    table = one.results.deployment
    chosen = table[table["variant"].isin(names)]
    views.chart(deployment_chart(chosen, one.study.variant_names), f"deployment_{one.name}")
    views.show_caption(deployment_caption(chosen))
    views.table(deployment_display(chosen), f"deployment_rows_{one.name}", {}, "Deployment modes")
    for note in deployment_notes(chosen):
        st.caption(views.plain(note))


st.header("Latency")
first = picker.loaded_study()
if not first.study.timed:
    st.info("This study measures no latency. To add one, write a `latency:` block.")
    st.stop()
view = address.pick_one(
    "Show",
    list(VIEWS),
    "show",
    VIEWS.__getitem__,
    draw=st.segmented_control,
    required=True,
    label_visibility="collapsed",
)
left, right = st.columns([2, 1])
timed = list(dict.fromkeys(first.runs.loc[first.runs["kind"] == "latency", "variant"]))
with left:
    names = views.pick_variants(timed, shown=NUM_SHOWN)
field, base = "ms_per_image", ""
batches = sorted(int(size) for size in first.cells["batch_size"].dropna().unique()) or [1]
batch = batches[0]
with right:
    if view == "sweep":
        field = address.pick_one(
            "Metric",
            list(SWEEP_FIELDS),
            "sweep",
            lambda name: SWEEP_FIELDS[name].name,
            default="ms_per_image",
        )
    elif view in ("samples", "settings"):
        batch = address.pick_one("Batch size", batches, "batch")
    elif view == "ratios":
        # Any network: the base need not be among the selected ones.
        base = address.pick_one("Relative to", timed, "base")
        batch = address.pick_one("Batch size", batches, "batch")
for one in picker.side_by_side():
    if view == "fastest":
        show_fastest(one)
        show_noise(one)
        continue
    if view == "deployment":
        show_deployment(one, names)
        continue
    show_noise(one)
    if view == "ratios":
        show_ratios(one, names, base, batch)
    else:
        show(one, view, names, field, batch)
