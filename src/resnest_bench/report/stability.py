"""Tables of the spread over seeds for readers: stability, variance by source, and more seeds or images."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from resnest_bench.files import write_text
from resnest_bench.formats import (
    GAP,
    escape_paragraph,
    format_p_value,
    format_points,
    is_known,
    latex_table,
    markdown_bullets,
    markdown_table,
    row_dicts,
)
from resnest_bench.frames.files import write_csv
from resnest_bench.report.captions import Caption, distinct
from resnest_bench.results import StudyResults
from resnest_bench.specs import StudySpec
from resnest_bench.stats.failures import ALPHA, MIN_SEEDS
from resnest_bench.words import list_names

FEW_SEEDS = (
    f"Below {MIN_SEEDS} seeds only trainings at chance level are flagged, and even with more seeds only gross "
    "failures are found"
)
STABILITY_METHOD = (
    "A seed has failed if it is at chance level, or far below the others: by Grubbs' test at "
    f"{100 * ALPHA:g} % and by more than 3.5 typical standard deviations",
    f"Two groups are flagged if one normal distribution is unlikely (p ≤ {ALPHA:g}, by simulation); each test "
    "flags about one in 20 networks by chance",
    FEW_SEEDS,
    "All other tables include failed seeds",
    "IQM is the interquartile mean",
    "Optimism is the test accuracy of the best epoch minus that of the last one, averaged over seeds: what "
    "choosing the epoch on the test images would add",
)
COMPONENTS_METHOD = (
    "Each row is the standard deviation of the test accuracy over seeds if only the named sources follow the "
    "seed, with its 95 % interval for normal accuracies",
    "Share is the variance relative to the recipe with most sources",
    "Shares need not add up to 100 %: sources interact, and a few seeds show a spread only roughly",
)
SEEDS_OR_IMAGES_METHOD = (
    "The test set's share is the part of the variance over seeds that would vanish with infinitely many test "
    "images (Jordan, Calibrated Chaos, ICLR 2024)",
    "The last column says what halves the 95 % interval of a mean accuracy, for new seeds on new test images "
    "and the same training images",
    "It assumes that test images are independent: with several images per patient or scene, images count less",
)


@dataclass(frozen=True)
class SpreadTable:
    """One of the tables of this module: its file name, title, display and method."""

    name: str
    title: str
    read: Callable[[StudyResults], pd.DataFrame]
    display: Callable[[pd.DataFrame], pd.DataFrame]
    method: tuple[str, ...]

    def caption(self, table: pd.DataFrame, study: StudySpec) -> Caption:
        """The caption with the data."""
        data = list_names(distinct(table, "dataset_label"), 4) or "no result yet"
        return Caption(f"{self.title}, study {study.study}: {data}", self.method)


def stability_display(table: pd.DataFrame) -> pd.DataFrame:
    """`StudyResults.stability` as rounded texts."""
    return pd.DataFrame(
        [
            {
                **_identity(row),
                "n": str(row["n"]),
                "mean %": _number(row["accuracy_mean_percent"]),
                "median %": _number(row["accuracy_median_percent"]),
                "IQM %": _number(row["accuracy_iqm_percent"]),
                "std": _number(row["accuracy_std_points"]),
                "failed seeds": _list_seeds(row["failed_seeds"]),
                "without: mean %": _without(row, "mean_percent"),
                "without: median %": _without(row, "median_percent"),
                "without: std": _without(row, "std_points"),
                "lower group": _list_seeds(row["lower_group_seeds"]),
                "p (one group)": format_p_value(row["groups_p"]),
                "optimism, points": _number(row["best_epoch_optimism_points"]),
            }
            for row in row_dicts(table)
        ]
    )


def components_display(table: pd.DataFrame) -> pd.DataFrame:
    """`StudyResults.variance_components` as rounded texts."""
    return pd.DataFrame(
        [
            {
                **_identity(row),
                "varies": row["varies"],
                "n": str(row["n"]),
                "std, points": _format_std(row),
                "share of variance": _percent(row["share_percent"]),
            }
            for row in row_dicts(table)
        ]
    )


def seeds_or_images_display(table: pd.DataFrame) -> pd.DataFrame:
    """`StudyResults.seeds_or_images` as rounded texts."""
    return pd.DataFrame(
        [
            {
                **_identity(row),
                "n": str(row["n"]),
                "test images": f"{row['num_images']:,}" if is_known(row["num_images"]) else GAP,
                "std, points": _number(row["std_points"]),
                "test set's share": _percent(row["test_set_share_percent"]),
                "std of the seeds": _number(row["seed_std_points"]),
                "what halves the interval": row["advice"] if is_known(row["advice"]) else GAP,
            }
            for row in row_dicts(table)
        ]
    )


STABILITY = SpreadTable(
    "stability",
    "Stability over seeds",
    lambda results: results.stability,
    stability_display,
    STABILITY_METHOD,
)
COMPONENTS = SpreadTable(
    "variance_components",
    "Spread over seeds by source",
    lambda results: results.variance_components,
    components_display,
    COMPONENTS_METHOD,
)
SEEDS_OR_IMAGES = SpreadTable(
    "seeds_or_images",
    "More seeds or more test images?",
    lambda results: results.seeds_or_images,
    seeds_or_images_display,
    SEEDS_OR_IMAGES_METHOD,
)
SPREAD_TABLES = (STABILITY, COMPONENTS, SEEDS_OR_IMAGES)


def spread_notes(table: pd.DataFrame) -> list[str]:
    """One note per row with a problem or a flag."""
    return [
        f"{row['variant']}, {row['recipe']}: {row['status']}"
        for row in row_dicts(table)
        if row["status"] != "ok"
    ]


def failure_warning(stability: pd.DataFrame) -> str:
    """One sentence that names the networks with failed, diverged or grouped seeds; '' without any."""
    flagged = stability[
        stability["failed_seeds"].map(len).gt(0)
        | stability["lower_group_seeds"].map(len).gt(0)
        | stability["num_diverged"].gt(0)
    ]
    if not len(flagged):
        return ""
    rows = row_dicts(flagged)
    named = list_names([f"{r['variant']} ({r['recipe']}): {r['status']}" for r in rows], 5, "; ")
    return (
        f"Some trainings stand out. {named}. Figures on all pages include these seeds, except those that "
        "diverged; the table of stability has the figures without them."
    )


def write_spread(results: StudyResults) -> list[Path]:
    """Write each table that has rows as .csv (unrounded), .md and .tex; return the files."""
    study, written = results.spec, []
    for one in SPREAD_TABLES:
        table = one.read(results)
        if not len(table):
            continue
        files = [results.paths.tables / f"{one.name}.{ending}" for ending in ("csv", "md", "tex")]
        display, notes = one.display(table), spread_notes(table)
        above = str(one.caption(table, study))
        lines = [f"## {one.title}", "", escape_paragraph(above), "", markdown_table(display), ""]
        bullets = markdown_bullets(notes)
        write_csv(files[0], table)
        write_text(files[1], "\n".join([*lines, *bullets, *([""] if bullets else [])]))
        label = f"{study.study}-{one.name}"
        write_text(files[2], latex_table(display, above, label, notes))
        written += files
    return written


def _identity(row: dict[str, Any]) -> dict[str, str]:
    return {"variant": row["variant"], "dataset": row["dataset"], "recipe": row["recipe"]}


def _number(value: Any) -> str:
    return format_points(value) if is_known(value) else GAP


def _percent(value: Any) -> str:
    return f"{value:.0f} %" if is_known(value) and math.isfinite(value) else GAP


def _without(row: dict[str, Any], name: str) -> str:
    return _number(row[f"without_failed_{name}"]) if row["failed_seeds"] else "same"


def _list_seeds(seeds: Any) -> str:
    return ", ".join(map(str, seeds)) if isinstance(seeds, list) and seeds else GAP


def _format_std(row: dict[str, Any]) -> str:
    if not is_known(row["std_points"]):
        return GAP
    if not is_known(row["std_low_points"]):
        return format_points(row["std_points"])
    ends = f"{format_points(row['std_low_points'])}, {format_points(row['std_high_points'])}"
    return f"{format_points(row['std_points'])} [{ends}]"
