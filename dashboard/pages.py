"""The pages in three groups, and why a study can't fill some of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

import address
from resnest_bench.specs import StudySpec
from resnest_bench.tables.selection import list_experiments


def _never(study: StudySpec) -> str:
    return ""


def _trains_nothing(study: StudySpec) -> str:
    return "" if list_experiments(study)[0] else "This study trains nothing"


def _trains_no_two(study: StudySpec) -> str:
    trained = {(job.experiment, job.variant) for job in study.jobs() if job.kind != "latency"}
    experiments = [experiment for experiment, _ in trained]
    if not trained:
        return _trains_nothing(study)
    two = len(set(experiments)) < len(experiments)
    return "" if two else "This study trains only one network: there is nothing to compare"


def _times_nothing(study: StudySpec) -> str:
    return "" if list_experiments(study)[1] else "This study measures no latency"


def _claims_nothing(study: StudySpec) -> str:
    return "" if study.claims else "This study makes no claims: add some under claims in its config"


def _transfers_nothing(study: StudySpec) -> str:
    from_teacher = any(recipe.teacher for recipe in study.recipes.values())
    return "" if study.finetune or from_teacher else "This study fine-tunes and distils nothing"


def _searches_nothing(study: StudySpec) -> str:
    return "" if study.search else "This study searches for no settings"


def _has_no_ablation(study: StudySpec) -> str:
    return "" if study.tables.ablation else "This study has no ablation table in its config"


def _has_no_paper(study: StudySpec) -> str:
    tables = (study.tables.ablation, study.tables.tradeoff, study.tables.transfer)
    printed = any(getattr(table, "paper", False) for table in tables if table)
    return "" if printed else "This study is not compared with a paper"


@dataclass(frozen=True)
class Page:
    """A page's file, its name, and a function that says why a study can't fill it, or ''."""

    name: str
    title: str
    icon: str
    lacks: Callable[[StudySpec], str] = _never
    # Whether it is about accuracies, whose data may need a warning.
    of_accuracies: bool = True


GROUPS: Mapping[str, tuple[Page, ...]] = {
    "Choose": (
        Page("answer", "Answer", "lightbulb"),
        Page("tradeoff", "Trade-off", "scatter_plot"),
        Page("compare", "Compare two", "balance", _trains_no_two),
    ),
    "Explain": (
        Page("differences", "Differences", "compare_arrows", _trains_no_two),
        Page("classes", "Per class", "grid_on", _trains_nothing),
        Page("ablation", "Ablation", "tune", _has_no_ablation),
        Page("training", "Training", "show_chart", _trains_nothing),
        Page("latency", "Latency", "timer", _times_nothing, of_accuracies=False),
        Page("devices", "Devices", "devices", _times_nothing, of_accuracies=False),
        Page("transfer", "Transfer", "move_down", _transfers_nothing),
        Page("search", "Search", "travel_explore", _searches_nothing),
    ),
    "Trust": (
        Page("claims", "Claims", "gavel", _claims_nothing),
        Page("paper", "Paper and ours", "article", _has_no_paper),
        Page("coverage", "Coverage and provenance", "fact_check"),
        Page("glossary", "Glossary", "menu_book", of_accuracies=False),
    ),
}


@st.cache_resource(max_entries=20, show_spinner=False, hash_funcs={StudySpec: id})
def list_reasons(study: StudySpec) -> dict[str, str]:
    """Why the study can't fill a page, by the page's name, for those that it can't."""
    reasons = {page.name: page.lacks(study) for group in GROUPS.values() for page in group}
    return {name: reason for name, reason in reasons.items() if reason}


def make_pages() -> dict[str, Any]:
    """Streamlit's pages by name; the first is the landing page."""
    first = next(iter(GROUPS.values()))[0]
    return {
        page.name: st.Page(
            f"app_pages/{page.name}.py",
            title=page.title,
            icon=f":material/{page.icon}:",
            default=page is first,
        )
        for group in GROUPS.values()
        for page in group
    }


def show_menu(pages: Mapping[str, Any], study: StudySpec | None) -> None:
    """Links to all pages. One that the study can't fill is grey, and says why: there, and by its help."""
    reasons = list_reasons(study) if study is not None else {}
    for title, group in GROUPS.items():
        st.caption(title)
        for page in group:
            reason = reasons.get(page.name)
            st.page_link(
                pages[page.name],
                label=f":gray[{page.title}]" if reason else page.title,
                help=reason,
                query_params=address.link(),
                width="stretch",
            )


def find_page(title: str) -> Page:
    return next(page for group in GROUPS.values() for page in group if page.title == title)
