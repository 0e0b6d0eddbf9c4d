"""The tables of a search for readers."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from resnest_bench.files import write_text
from resnest_bench.formats import (
    GAP,
    escape_paragraph,
    format_mean,
    format_signed,
    format_significant,
    is_known,
    latex_table,
    markdown_bullets,
    markdown_table,
    row_dicts,
)
from resnest_bench.frames.files import write_csv
from resnest_bench.report.captions import Caption, distinct
from resnest_bench.results import StudyResults
from resnest_bench.search.tables import SearchTables
from resnest_bench.specs import StudySpec
from resnest_bench.words import count_noun, list_names

MAX_NAMED = 5
NO_TEST = "Trials are compared on validation images only: images held out of the training images"
FINALISTS_METHOD = (
    "Selected is the validation accuracy that the trial was chosen for; it is the best of many, and so too high on "
    "average",
    "New seeds trained the same setting again: new validation is their mean on their own held-out images, test "
    "accuracy their mean on the test images with its 95 % interval",
    "Luck is selected minus new validation, the gap is selected minus test accuracy; both are in points",
)
FAMILIES_METHOD = (
    NO_TEST,
    "A training of fewer epochs counts as its share of one",
    "Failed trials are part of the budget; skipped and repeated ones cost nothing",
)
TRIALS_METHOD = (
    NO_TEST,
    "Best so far is that of trials with all epochs",
)
CURVES_METHOD = (
    "Expected is the mean of the best of n random trials (Dodge et al. 2019); for n near the number of trials it "
    "is too low",
    "Median is the exact 95 % interval of the median best of n (Lourie et al. 2023); an open end means that so few "
    "trials set no limit",
    "A failed trial counts as accuracy 0",
)
NOT_INDEPENDENT = (
    "Sampler {sampler} learns from earlier trials, so they are no random draws: read the curve as a description "
    "of these trials"
)


@dataclass(frozen=True)
class SearchTable:
    """One of a search's tables: its file name, title, frame, display and method."""

    name: str
    title: str
    read: Callable[[SearchTables], pd.DataFrame]
    display: Callable[[pd.DataFrame], pd.DataFrame]
    method: tuple[str, ...]

    def caption(self, results: StudyResults) -> Caption:
        """The caption, with the data and the sampler."""
        study = results.spec
        assert study.search
        label = getattr(study.dataset(study.search.dataset), "label", "") or study.search.dataset
        labels = distinct(results.search.finalists, "dataset_label") or [label]
        method = self.method
        if self.name == "search_curves" and study.search.sampler in ("tpe", "nsga2"):
            method = (*method, NOT_INDEPENDENT.format(sampler=study.search.sampler))
        return Caption(f"{self.title}, study {study.study}: {labels[0]}", method)


def finalists_display(table: pd.DataFrame) -> pd.DataFrame:
    """`SearchTables.finalists` as rounded texts."""
    with_latency = table["latency_ms"].notna().any() or table["search_latency_ms"].notna().any()
    return pd.DataFrame(
        [
            {
                "network": row["variant"],
                "trial": str(row["trial"]),
                "best of": str(row["num_trials"]),
                "settings": row["settings"],
                "selected %": _number(row["selected_percent"]),
                "new validation %": _number(row["new_validation_percent"]),
                "test accuracy %": format_mean(
                    row["confirmed_percent"],
                    row["confirmed_low_percent"],
                    row["confirmed_high_percent"],
                    row["n"],
                    row["confirmed_seed_percents"],
                    lambda value: f"{value:.2f}",
                )
                if is_known(row["confirmed_percent"])
                else GAP,
                "luck": _signed(row["luck_points"]),
                "gap": _signed(row["gap_points"]),
                **(_latencies(row) if with_latency else {}),
                "status": "ok" if row["status"] == "ok" else "see notes",
            }
            for row in row_dicts(table)
        ]
        or [{"network": "no finalist yet", "status": GAP}]
    )


def _latencies(row: dict[str, Any]) -> dict[str, str]:
    cells = {"latency ms": format_significant(row["latency_ms"])}
    if is_known(row["search_latency_ms"]):
        cells = {"quick latency ms": format_significant(row["search_latency_ms"]), **cells}
        cells["Pareto-optimal, before"] = _yes(row["on_front_before"])
        cells["Pareto-optimal, confirmed"] = _yes(row["on_front_after"])
    return cells


def families_display(table: pd.DataFrame) -> pd.DataFrame:
    """`SearchTables.families` as rounded texts."""
    return pd.DataFrame(
        [
            {
                "family": row["family"],
                "sampler": row["sampler"],
                "budget": f"{row['budget_trainings']:g} trainings"
                if is_known(row["budget_trainings"])
                else f"{row['budget_minutes']:g} minutes",
                "used: trainings": f"{row['used_trainings']:.3g}",
                "minutes": f"{row['used_minutes']:.3g}",
                "proposed": str(row["num_proposed"]),
                "all epochs": str(row["num_ok"]),
                "shortened": str(row["num_shortened"]),
                "failed": str(row["num_failed"]),
                "skipped": str(row["num_skipped"]),
                "repeated": str(row["num_repeated"]),
                "waiting": str(row["num_waiting"]),
                "best validation %": _number(row["best_percent"]),
            }
            for row in row_dicts(table)
        ]
    )


def trials_display(table: pd.DataFrame) -> pd.DataFrame:
    """`SearchTables.trials` as rounded texts."""
    rows = [
        {
            "family": row["family"],
            "trial": str(row["trial"]),
            "round": str(row["round"]),
            "settings": row["settings"],
            "epochs": str(row["epochs"]) if is_known(row["epochs"]) else GAP,
            "validation %": _number(row["validation_accuracy_percent"]),
            "latency ms": format_significant(row["latency_ms"]),
            "best so far %": _number(row["best_percent"]),
            "minutes": f"{row['minutes']:.3g}",
            "finalist": str(row["finalist"]) if is_known(row["finalist"]) else GAP,
            "status": row["status"],
        }
        for row in row_dicts(table)
    ]
    display = pd.DataFrame(rows or [{"family": "no trial yet", "status": GAP}])
    empty = [c for c in ("latency ms",) if c in display and (display[c] == GAP).all()]
    return display.drop(columns=empty)


def curves_display(table: pd.DataFrame) -> pd.DataFrame:
    """`SearchTables.curves` as rounded texts."""
    return pd.DataFrame(
        [
            {
                "family": row["family"],
                "trainings": str(row["n"]),
                "expected best %": _number(row["expected_percent"]),
                "median best %": _interval(row["median_low_percent"], row["median_high_percent"]),
                "of trials": str(row["num_trials"]),
            }
            for row in row_dicts(table)
        ]
    )


def _interval(low: Any, high: Any) -> str:
    if not is_known(low) and not is_known(high):
        return GAP
    return (
        f"[{_number(low) if is_known(low) else '0'}, {_number(high) if is_known(high) else 'open'}]"
    )


def _number(value: Any) -> str:
    return f"{value:.2f}" if is_known(value) else GAP


def _signed(value: Any) -> str:
    return format_signed(value) if is_known(value) else GAP


def _yes(value: Any) -> str:
    return ("yes" if value else "no") if is_known(value) else GAP


FINALISTS = SearchTable(
    "search_finalists",
    "What the search chose, and what new seeds confirm",
    lambda found: found.finalists,
    finalists_display,
    FINALISTS_METHOD,
)
FAMILIES = SearchTable(
    "search_families",
    "The search: budget used by each family",
    lambda found: found.families,
    families_display,
    FAMILIES_METHOD,
)
CURVES = SearchTable(
    "search_curves",
    "Expected validation accuracy against the budget",
    lambda found: found.curves,
    curves_display,
    CURVES_METHOD,
)
TRIALS = SearchTable(
    "search_trials",
    "Trials of the search",
    lambda found: found.trials,
    trials_display,
    TRIALS_METHOD,
)
SEARCH_TABLES = (FINALISTS, FAMILIES, CURVES, TRIALS)


def search_notes(one: SearchTable, table: pd.DataFrame) -> list[str]:
    """Why trials failed or were skipped, by reason; and what new seeds of a finalist lack."""
    if one is FINALISTS:
        return [f"{r['variant']}: {r['status']}" for r in row_dicts(table) if r["status"] != "ok"]
    if one is not TRIALS:
        return []
    found = []
    for status in ("failed", "skipped", "waiting"):
        rows = table[table["status"] == status]
        for reason, group in rows.groupby("reason", sort=False):
            names = [f"{r['family']} {r['trial']}" for r in row_dicts(group)]
            named = list_names(names, MAX_NAMED)
            found.append(f"{count_noun(len(names), 'trial')} {status} ({named}): {reason}")
    return found


def describe_search(study: StudySpec, found: SearchTables) -> list[str]:
    """Sentences: how far the search is, and how lucky the winners were."""
    if not found.num_rounds:
        return ["The search has not begun."]
    num = len(found.trials)
    text = f"{count_noun(found.num_rounds, 'round')}, {count_noun(num, 'proposed trial')}: "
    sentences = [text + (f"ended, since {found.stop}." if found.stop else "under way.")]
    confirmed = [r for r in row_dicts(found.finalists) if is_known(r["gap_points"])]
    sentences += [
        f"{r['variant']} was selected at {r['selected_percent']:.2f} % validation accuracy, the best of "
        f"{r['num_trials']} trials; {count_noun(r['n'], 'new seed')} reach {_number(r['new_validation_percent'])} % on "
        f"validation images and {r['confirmed_percent']:.2f} % on test images."
        for r in confirmed
    ]
    if found.stop and not len(found.finalists):
        sentences.append("No trial had a result with all epochs, so there is no finalist.")
    return sentences


def search_markdown(results: StudyResults, tables: tuple[SearchTable, ...] = SEARCH_TABLES) -> str:
    """The search as Markdown: sentences, and its tables."""
    study, found = results.spec, results.search
    lines = ["## Search", "", *(escape_paragraph(t) for t in describe_search(study, found)), ""]
    for one in tables:
        table = one.read(found)
        if len(table):
            lines += [_markdown(one, table, results, "###"), ""]
    return "\n".join(lines)


def _markdown(one: SearchTable, table: pd.DataFrame, results: StudyResults, mark: str) -> str:
    above = escape_paragraph(str(one.caption(results)))
    bullets = markdown_bullets(search_notes(one, table))
    lines = [f"{mark} {one.title}", "", above, "", markdown_table(one.display(table))]
    return "\n".join([*lines, *(["", *bullets] if bullets else [])])


def write_search(results: StudyResults) -> list[Path]:
    """Write finalists, families and each other table with rows as .csv (unrounded), .md and .tex.

    Returns the files; none for a study without a search.
    """
    written: list[Path] = []
    for one in SEARCH_TABLES if results.spec.search else ():
        table = one.read(results.search)
        if not len(table) and one not in (FINALISTS, FAMILIES):
            continue
        files = [results.paths.tables / f"{one.name}.{ending}" for ending in ("csv", "md", "tex")]
        write_csv(files[0], table)
        write_text(files[1], _markdown(one, table, results, "##") + "\n")
        label = f"{results.spec.study}-{one.name}"
        above, notes = str(one.caption(results)), search_notes(one, table)
        write_text(files[2], latex_table(one.display(table), above, label, notes))
        written += files
    return written
