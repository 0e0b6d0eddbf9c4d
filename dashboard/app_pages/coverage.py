"""What is the status of every job, and where does each figure come from?"""

import pandas as pd
import streamlit as st

import address
import data
import picker
import progress
import provenance
import views
from resnest_bench.charts import coverage_chart
from resnest_bench.status.outcomes import STATUSES

KINDS = ["train", "latency", "finetune", "deploy"]
COLUMNS = [
    "kind",
    "dataset",
    "recipe",
    "variant",
    "seed",
    "status",
    "reason",
    "test_accuracy",
    "latency_p50_ms",
    "num_params",
    "device_kind",
    "device_name",
    "imported_from",
    "git_commit",
    "git_dirty",
    "started_at",
    "finished_at",
]


def choose_study(loaded: list[data.Loaded], first: data.Loaded) -> data.Loaded:
    """The study of this page, if two are selected."""
    if len(loaded) < 2:
        return first
    name = address.pick_one(
        "Study",
        [other.name for other in loaded],
        "of",
        views.plain,
        draw=st.segmented_control,
        required=True,
    )
    return next((other for other in loaded if other.name == name), first)


def with_reasons(one: data.Loaded) -> pd.DataFrame:
    """The runs, with the reasons for missing records from the logs of their jobs or of their data."""
    missing = one.runs["status"].eq("missing").to_numpy()
    if not missing.any():
        return one.runs
    logged = progress.find_reasons(data.read_study_status(one))
    reasons = [
        logged.get(job, reason) if is_missing else reason
        for job, reason, is_missing in zip(
            one.study.jobs(), one.runs["reason"], missing, strict=True
        )
    ]
    return one.runs.assign(reason=pd.Series(reasons, index=one.runs.index, dtype="str"))


def show(one: data.Loaded, statuses: list[str], kinds: list[str], search: str) -> None:
    runs, name = with_reasons(one), one.name.replace("/", "_")
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
        f"{len(chosen):,} of {len(runs):,} jobs. Select a row to see the origin of its figures."
    )
    keys = provenance.job_keys(chosen)
    place, jobs = st.container(), {provenance.job_key(job): job for job in one.study.jobs()}
    if one.results.frames.unlisted:
        st.warning(
            f"{len(one.results.frames.unlisted)} records belong to no job of the study and are in no table or chart."
        )
        st.code("\n".join(str(path) for path in one.results.frames.unlisted[:50]), language=None)
    provenance.choose(one, jobs)
    with place:
        shown = chosen[COLUMNS].dropna(axis="columns", how="all")
        views.pick_row(shown, keys, provenance.RECORD, f"jobs_{name}", note="Jobs")


st.header("Coverage and provenance")
first = picker.loaded_study()
loaded = picker.loaded_studies()
one = choose_study(loaded, first)
progress.show_whole(one)
left, middle, right = st.columns(3)
statuses = address.pick_some("Status", STATUSES, "status", draw=left.multiselect, placeholder="all")
kinds = address.pick_some("Kind of job", KINDS, "kind", draw=middle.multiselect, placeholder="all")
search = address.enter_text(
    "Search", "search", draw=right.text_input, placeholder="variant, reason, …"
)
show(one, statuses, kinds, search)
