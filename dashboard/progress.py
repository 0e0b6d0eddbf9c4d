"""The progress of a study: in short next to every page, and in detail on the page of its jobs.

It is what `resnest-bench status` prints, by the same functions.
"""

import streamlit as st

import data
import views
from resnest_bench.live.from_files import StudyStatus
from resnest_bench.live.snapshot import LiveJob, Outcome, Running
from resnest_bench.live.view import counts_text, duration_text, silence_text
from resnest_bench.paths import Job

MAX_RUNNING, MAX_FAILED = 6, 10
FOLLOW_SECONDS = 4


def show_head(status: StudyStatus) -> None:
    """What is done of all, and what runs."""
    seen = status.snapshot
    st.progress(seen.done / max(seen.total, 1), counts_text(seen))
    for running in seen.running[:MAX_RUNNING]:
        st.caption(_describe_running(running))
    _say_how_many_more(len(seen.running) - MAX_RUNNING)


def show_whole(loaded: data.Loaded) -> None:
    """The same, with the last results and with each failure and its reason, while there is any."""

    @st.fragment(run_every=FOLLOW_SECONDS if any(state.to_do for state in loaded.states) else None)
    def show() -> None:
        status = data.read_study_status(loaded)
        if status.snapshot.done < status.snapshot.total or status.failed:
            _show_whole(status)

    show()


def _show_whole(status: StudyStatus) -> None:
    st.subheader("Progress")
    show_head(status)
    if silence := silence_text(status.snapshot):
        st.caption(views.plain(silence))
    if status.snapshot.outcomes:
        last = reversed(status.snapshot.outcomes)
        st.markdown("**Last results**  \n" + "  \n".join(map(_describe_result, last)))
    for live, outcome in status.failed[:MAX_FAILED]:
        st.error(_describe_failure(live, outcome), icon=":material/error:")
    _say_how_many_more(len(status.failed) - MAX_FAILED)


def find_reasons(status: StudyStatus) -> dict[Job, str]:
    """Why jobs have no record, as far as a log says it."""
    return {job: outcome.text for live, outcome in status.failed for job in live.records}


def _describe_running(running: Running) -> str:
    parts = [running.title, *([running.progress] if running.progress else [])]
    return views.plain(f"{': '.join(parts)} ({duration_text(running.seconds)})")


def _describe_result(outcome: Outcome) -> str:
    return views.plain(f"{outcome.title}: {outcome.text}" if outcome.text else outcome.title)


def _describe_failure(live: LiveJob, outcome: Outcome) -> str:
    lines = [f"**{views.plain(outcome.title)}**", views.plain(outcome.text)]
    waiting = [job for job in live.records if str(job) != live.title]
    if len(waiting) > 1 or live.rule in ("data", "weights"):
        lines.append(f"Records missing because of this: {len(live.records)}")
    return "  \n".join([*lines, f"log: {views.plain(str(live.log))}"])


def _say_how_many_more(count: int) -> None:
    if count > 0:
        st.caption(f"and {count} more")
