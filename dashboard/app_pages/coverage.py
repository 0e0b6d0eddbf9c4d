"""What became of every job, and where does each figure come from?"""

import streamlit as st

import data
import picker
import provenance
import views
from resnest_bench.charts import coverage_chart
from resnest_bench.tables import STATUSES

COLUMNS = [
    "kind", "dataset", "recipe", "variant", "seed", "status", "reason", "test_accuracy",
    "latency_p50_ms", "num_params", "device_kind", "device_name", "git_commit", "git_dirty",
    "started_at", "finished_at",
]  # fmt: skip


def show(one: data.Loaded, statuses: list[str], kinds: list[str], search: str) -> None:
    runs, name = one.runs, one.name.replace("/", "_")
    counts = runs["status"].value_counts()
    present = len(runs) - counts.get("missing", 0)
    figures = {"expected": len(runs), "present": present, **{s: counts.get(s, 0) for s in STATUSES}}
    with st.container(horizontal=True):
        for label, value in figures.items():
            st.metric(label, f"{int(value):,}")
    views.chart(coverage_chart(runs), f"coverage_{name}")
    chosen = runs
    if statuses:
        chosen = chosen[chosen["status"].isin(statuses)]
    if kinds:
        chosen = chosen[chosen["kind"].isin(kinds)]
    if search:
        fields = chosen[["dataset", "recipe", "variant", "reason"]].astype(str)
        text = fields.agg(" ".join, axis=1).str.lower()
        chosen = chosen[text.str.contains(search.lower(), regex=False)]
    st.caption(
        f"{len(chosen):,} of {len(runs):,} jobs. Select a row to see where its figures come from."
    )
    shown = chosen[COLUMNS].dropna(axis="columns", how="all")
    event = views.table(
        shown, f"jobs_{name}", note="Jobs", on_select="rerun", selection_mode="single-row"
    )
    if one.frames.unlisted:
        st.warning(
            f"{len(one.frames.unlisted)} records are of no job of the study, and in no table or chart."
        )
        st.code("\n".join(str(path) for path in one.frames.unlisted[:50]), language=None)
    rows = event.selection.rows if event else []
    jobs = {provenance.key_of(job): job for job in one.study.jobs()}
    if rows and rows[0] < len(chosen):
        st.session_state["record"] = provenance.key_of_row(chosen.iloc[rows[0]])
    provenance.choose(one, jobs)


st.header("Coverage and provenance")
first = picker.loaded_study()
left, middle, right = st.columns(3)
statuses = left.multiselect(
    "Status", STATUSES, key="status", bind="query-params", placeholder="all"
)
kinds = middle.multiselect(
    "Kind of job",
    ["train", "latency", "finetune"],
    key="kind",
    bind="query-params",
    placeholder="all",
)
search = right.text_input(
    "Search", key="search", bind="query-params", placeholder="variant, reason, …"
)
loaded = st.session_state[picker.KEY]
one = first
if len(loaded) > 1:
    name = st.segmented_control(
        "Study", [other.name for other in loaded], default=first.name, required=True, key="of",
        format_func=views.plain, bind="query-params",
    )  # fmt: skip
    one = next((other for other in loaded if other.name == name), first)
show(one, statuses, kinds, search or "")
