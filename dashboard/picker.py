"""The widget that all pages share: which study. The choice lives in the URL."""

import streamlit as st

import data
from resnest_bench.errors import UserError

KEY = "loaded_study"
NOTHING = (
    "Nothing here yet: run `make demo`, then reload this page. "
    "Results are looked for in `{folder}` (`--results`, or RESNEST_BENCH_RESULTS, says where else)."
)


def pick_study() -> None:
    """Let the reader choose a study and load it, or stop the page with what to do instead."""
    folders = data.study_folders()
    studies = {}
    for name, folder in folders.items():
        try:
            studies[name] = data.read_study(folder)
        except UserError as error:
            st.sidebar.error(str(error))
    if not studies:
        st.info(NOTHING.format(folder=data.results_folder()))
        st.stop()
    names = list(studies)
    wanted = st.query_params.get("study")
    index = names.index(wanted) if wanted in names else 0
    name = st.sidebar.selectbox("Study", names, index=index, key="study")
    st.query_params["study"] = name
    loaded = data.load(studies[name], folders[name])
    st.session_state[KEY] = loaded
    _say_what_is_wrong(loaded)


def _say_what_is_wrong(loaded: data.Loaded) -> None:
    """One error for each record that can't be read; the rest is shown all the same."""
    invalid = loaded.runs.loc[loaded.runs["status"] == "invalid", "reason"]
    for reason in invalid.head(5):
        st.sidebar.error(reason)
    if len(invalid) > 5:
        st.sidebar.error(f"and {len(invalid) - 5} more: see Runs")


def loaded_study() -> data.Loaded:
    """The study that `pick_study` has loaded for this run of the page."""
    return st.session_state[KEY]
