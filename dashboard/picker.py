"""What all pages share: the choice of one or two studies, and updates while a study is running."""

from collections.abc import Iterator
from pathlib import Path

import streamlit as st

import address
import data
import progress
import views
from resnest_bench.errors import UserError
from resnest_bench.frames.data_notes import data_notes
from resnest_bench.specs import StudySpec

KEY = "loaded_studies"
CHOSEN = "chosen_studies"
DRAWN_NOW = "drawn_now"
FOLLOW_SECONDS, LOOK_SECONDS = 4, 15
NOTHING = (
    "There are no results yet. Run `make demo`, or your own study with `resnest-bench run`, and reload this "
    "page. The results folder is {folder}; `--results` or RESNEST_BENCH_RESULTS sets another one."
)


def choose_studies() -> None:
    """Let the reader choose a study and, optionally, a second one."""
    folders = data.study_folders()
    studies = {}
    for name, folder in folders.items():
        try:
            studies[name] = data.read_study(folder)
        except UserError as error:
            st.sidebar.error(views.plain(str(error)))
    chosen = _chosen(list(studies)) if studies else []
    st.session_state[CHOSEN] = [(name, studies[name], folders[name]) for name in chosen]


def chosen_study() -> StudySpec | None:
    """The spec of the first chosen study, before its records are read."""
    return next((study for _, study, _ in st.session_state[CHOSEN]), None)


def name_tab(page: str) -> None:
    """The browser's tab says which page of which study it shows: its history lists them by that."""
    studies = [_short(name) for name, _, _ in st.session_state[CHOSEN]]
    st.set_page_config(page_title=" · ".join([page, " and ".join(studies) or "resnest-bench"]))


def load_studies() -> None:
    """Read the records of the studies chosen, or stop with what to do instead."""
    chosen = st.session_state[CHOSEN]
    if not chosen:
        st.info(NOTHING.format(folder=views.plain(str(data.results_folder()))))
        st.stop()
    loaded = [_load(*one) for one in chosen]
    st.session_state[KEY] = loaded
    for one, (_, _, folder) in zip(loaded, chosen, strict=True):
        _say_what_is_wrong(one)
        _follow(one, folder)


def _chosen(names: list[str]) -> list[str]:
    # The default is in the address too: a copied link would else show whatever study is newest on the
    # day it is opened.
    first = address.pick_one(
        "Study", names, address.STUDY, _short, draw=st.sidebar.selectbox, always=True
    )
    others = [name for name in names if name != first]
    if not others:
        return [first]
    second = address.pick_or_none(
        "Compare with",
        others,
        address.BESIDE,
        _short,
        draw=st.sidebar.selectbox,
        placeholder="no other study",
        help="Show two studies side by side, for example the same networks on two devices",
    )
    return [first, second] if second else [first]


def _short(name: str) -> str:
    """The study's own name first: a long one is cut off at its end."""
    *place, own = name.split("/")
    return f"{own} ({' / '.join(place)})" if place else own


def _load(name: str, study: StudySpec, folder: Path) -> data.Loaded:
    with st.spinner("Reading records", show_time=True):
        return data.load(name, study, folder)


def _say_what_is_wrong(loaded: data.Loaded) -> None:
    """One error per record that can't be read; everything else is shown."""
    invalid = loaded.runs.loc[loaded.runs["status"] == "invalid", "reason"]
    for reason in invalid.head(3):
        st.sidebar.error(views.plain(reason))
    if len(invalid) > 3:
        st.sidebar.error(f"and {len(invalid) - 3} more: see Coverage and provenance")


def _follow(loaded: data.Loaded, folder: Path) -> None:
    """Look every few seconds whether a study has changed, and only then draw anew."""
    if loaded.paths.is_reference:
        return
    goes_on = any(state.to_do for state in loaded.states)

    @st.fragment(run_every=FOLLOW_SECONDS if goes_on else LOOK_SECONDS)
    def watch() -> None:
        # With the page itself the folder has just been looked at; the timer's runs look again.
        drawn_now = st.session_state.pop(DRAWN_NOW, False)
        if not drawn_now and data.change_mark(folder) != loaded.mark:
            data.look_again(folder)
            st.rerun(scope="app")
        status = data.read_study_status(loaded)
        if goes_on or status.failed:
            progress.show_head(status)

    st.session_state[DRAWN_NOW] = True
    with st.sidebar:
        watch()


def warn_of_data() -> None:
    """What a reader of accuracies must know of the data: above the page, a line for each."""
    for loaded in loaded_studies():
        for note in data_notes(loaded.study, loaded.runs).values():
            st.caption(f":material/warning: {views.plain(note)}")


def loaded_studies() -> list[data.Loaded]:
    """The one or two studies that `load_studies` has loaded for this run of the page."""
    loaded: list[data.Loaded] = st.session_state[KEY]
    return loaded


def loaded_study() -> data.Loaded:
    """The first of them, which the page's choices are about."""
    return loaded_studies()[0]


def name_part(one: data.Loaded, name: str) -> str:
    """A widget's name for each study: two next to each other have their own."""
    return name if one.name == loaded_study().name else f"{name}_beside"


def side_by_side() -> Iterator[data.Loaded]:
    """Each chosen study, within a column of its own where there are two."""
    loaded = loaded_studies()
    if len(loaded) == 1:
        yield loaded[0]
        return
    for column, one in zip(st.columns(len(loaded), gap="medium"), loaded, strict=True):
        with column:
            st.subheader(views.plain(one.name))
            yield one
