"""What all pages share: which study, which one beside it, and that a running one is followed."""

from collections.abc import Iterator
from pathlib import Path

import streamlit as st

import data
import views
from resnest_bench.errors import UserError
from resnest_bench.specs import StudySpec

KEY = "loaded_studies"
DRAWN_NOW = "drawn_now"
FOLLOW_SECONDS, LOOK_SECONDS = 4, 15
NOTHING = (
    "Nothing here yet: run `make demo`, or a study of your own by `resnest-bench run`, then reload this "
    "page. Results are looked for in {folder} "
    "(`--results`, or RESNEST_BENCH_RESULTS, says where else)."
)


def pick_studies() -> None:
    """Let the reader choose a study, and another beside it, or stop with what to do instead."""
    folders = data.study_folders()
    studies = {}
    for name, folder in folders.items():
        try:
            studies[name] = data.read_study(folder)
        except UserError as error:
            st.sidebar.error(views.plain(str(error)))
    if not studies:
        st.info(NOTHING.format(folder=views.plain(str(data.results_folder()))))
        st.stop()
    chosen = _chosen(list(studies))
    loaded = [_load(name, studies[name], folders[name]) for name in chosen]
    st.session_state[KEY] = loaded
    for one in loaded:
        _say_what_is_wrong(one)
        _follow(one, folders[one.name])


def _chosen(names: list[str]) -> list[str]:
    # Not bound to the URL like all other widgets: streamlit leaves a default out of it, and a copied
    # link would show whatever study is newest on the day it is opened.
    wanted = st.query_params.get("study")
    index = names.index(wanted) if wanted in names else 0
    first = st.sidebar.selectbox("Study", names, index=index, key="study", format_func=_short)
    st.query_params["study"] = first
    others = [name for name in names if name != first]
    if not others:
        return [first]
    second = st.sidebar.selectbox(
        "Beside it", others, index=None, key="beside", bind="query-params", placeholder="no other",
        format_func=_short,
        help="Two studies side by side: the same networks on two devices, say",
    )  # fmt: skip
    return [first, second] if second else [first]


def _short(name: str) -> str:
    """The study's own name first: a long one is cut off at its end."""
    *place, own = name.split("/")
    return f"{own} ({' / '.join(place)})" if place else own


def _load(name: str, study: StudySpec, folder: Path) -> data.Loaded:
    with st.spinner("Reading records", show_time=True):
        return data.load(name, study, folder)


def _say_what_is_wrong(loaded: data.Loaded) -> None:
    """One error for each record that can't be read; the rest is shown all the same."""
    invalid = loaded.runs.loc[loaded.runs["status"] == "invalid", "reason"]
    for reason in invalid.head(3):
        st.sidebar.error(views.plain(reason))
    if len(invalid) > 3:
        st.sidebar.error(f"and {len(invalid) - 3} more: see Coverage and provenance")


def _follow(loaded: data.Loaded, folder: Path) -> None:
    """Look every few seconds whether a study has changed, and only then draw anew."""
    if loaded.paths.is_reference:
        return
    missing = int((loaded.runs["status"] == "missing").sum())

    @st.fragment(run_every=FOLLOW_SECONDS if missing else LOOK_SECONDS)
    def watch() -> None:
        # With the page itself the folder has just been looked at; the timer's runs look again.
        drawn_now = st.session_state.pop(DRAWN_NOW, False)
        if not drawn_now and data.change_mark(folder) != loaded.mark:
            data.look_again(folder)
            st.rerun(scope="app")
        if not missing:
            return
        whole = len(loaded.runs)
        st.progress((whole - missing) / whole, f"{whole - missing} of {whole} records")
        for job, live in loaded.running:
            text = f"{job.variant}, {job.recipe}, seed {job.seed}"
            st.caption(views.plain(f"{text}: epoch {len(live.epochs)} of {live.num_epochs}"))

    st.session_state[DRAWN_NOW] = True
    with st.sidebar:
        watch()


def loaded_study() -> data.Loaded:
    """The study that `pick_studies` has loaded for this run of the page."""
    return st.session_state[KEY][0]


def side_by_side() -> Iterator[data.Loaded]:
    """Each chosen study, within a column of its own where there are two."""
    loaded = st.session_state[KEY]
    if len(loaded) == 1:
        yield loaded[0]
        return
    for column, one in zip(st.columns(len(loaded), gap="medium"), loaded, strict=True):
        with column:
            st.subheader(views.plain(one.name))
            yield one
