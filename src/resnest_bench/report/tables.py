"""Tables to files: CSV unrounded for programs, Markdown and LaTeX rounded for readers."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from resnest_bench.files import write_text
from resnest_bench.formats import (
    GAP,
    binomial_text,
    escape_paragraph,
    known,
    latex_table,
    markdown_bullets,
    markdown_table,
    millions,
    points_text,
    probability_text,
    row_dicts,
    signed_text,
    significant,
    uncertain_text,
)
from resnest_bench.frames.cache import write_frames
from resnest_bench.frames.files import write_csv, write_parquet
from resnest_bench.paths import StudyPaths
from resnest_bench.report.captions import TITLES, caption, notes
from resnest_bench.report.claims import claims_summary, write_claims
from resnest_bench.report.differences import differences_summary, write_differences
from resnest_bench.results import StudyResults
from resnest_bench.specs import StudySpec
from resnest_bench.stats.intervals import IMAGES

log = logging.getLogger(__name__)
MAX_LOGGED = 50


def write_tables(study: StudySpec, paths: StudyPaths) -> list[Path]:
    """Write all tables of a study to `paths.tables`; return the files. Same records, same bytes.

    The frames behind them are kept in `paths.frames`, so that unchanged records aren't read again.
    Whatever is missing, failed, invalid or stale is named in them. Raises UserError where a file
    can't be written.
    """
    results = StudyResults(study, paths)
    _log_gaps(study, results.runs)
    written = []
    for name, table in results.tables.items():
        written += _write_table(name, name, table, study, paths.tables)
    for table in results.other_tables:
        place = "-".join(str(table[name].iloc[0]) for name in ("dataset", "recipe"))
        written += _write_table("accuracies", f"accuracies-{place}", table, study, paths.tables)
    if study.claims:
        written += write_claims(results)
    written += write_differences(results)
    shown = {"runs": results.runs, "latency_cells": results.cells, "epochs": results.epochs}
    shown |= _comparisons(results)
    for name, frame in shown.items():
        written.append(paths.tables / f"{name}.csv")
        write_csv(written[-1], frame)
    written.append(paths.tables / "runs.parquet")
    write_parquet(written[-1], results.runs)
    write_frames(paths, results.frames)
    return written


def _comparisons(results: StudyResults) -> dict[str, pd.DataFrame]:
    """Noise floors, differences by factor, the paper beside ours: where the study asks for them."""
    made, study = {}, results.spec
    if study.latency:
        made["noise"] = results.noise
    if study.tables.ablation:
        made["factors"] = results.factors
    tables = (study.tables.ablation, study.tables.tradeoff, study.tables.transfer)
    if any(table and table.paper for table in tables):
        made["paper"] = results.paper
    return made


def _log_gaps(study: StudySpec, runs: pd.DataFrame) -> None:
    """A line for each job that is not ok; one line for all where hundreds have the same reason."""
    bad = runs[runs["status"] != "ok"]
    for (status, reason), rows in bad.groupby(["status", "reason"], sort=False):
        if len(rows) > MAX_LOGGED:
            log.warning("%d jobs: %s: %s", len(rows), status, reason)
            continue
        for place in rows.index:
            log.warning("%s: %s: %s", study.jobs()[place], status, reason)


def _write_table(
    name: str, file: str, table: pd.DataFrame, study: StudySpec, folder: Path
) -> list[Path]:
    files = [folder / f"{file}.{ending}" for ending in ("csv", "md", "tex")]
    write_csv(files[0], table)
    write_text(files[1], table_markdown(name, table, study))
    display = display_frame(table)
    text = latex_table(display, caption(name, table, study), f"{study.study}-{file}", notes(table))
    write_text(files[2], text)
    return files


def summary_text(study: StudySpec, paths: StudyPaths) -> str:
    """All tables of a study as Markdown for a terminal, its verdicts, and how many jobs are not ok."""
    results = StudyResults(study, paths)
    parts = [table_markdown(name, table, study) for name, table in results.tables.items()]
    parts += [table_markdown("accuracies", table, study) for table in results.other_tables]
    found = results.main_differences
    if found and len(found.pairs):
        parts.append(differences_summary(found))
    if study.claims:
        parts.append(claims_summary(results.claims()))
    unlisted = _unlisted_text(results.frames.unlisted)
    return "\n".join([*parts, _counts_text(results.runs), *unlisted])


def _counts_text(runs: pd.DataFrame) -> str:
    counts = runs["status"].value_counts()
    return f"{len(runs)} jobs: " + ", ".join(f"{n} {status}" for status, n in counts.items())


def _unlisted_text(unlisted: list[Path]) -> list[str]:
    count = len(unlisted)
    return [f"{count} records are of no job of the study, and in no table"] if count else []


def table_markdown(name: str, table: pd.DataFrame, study: StudySpec) -> str:
    """Heading, caption, the rounded table and its notes."""
    lines = [f"## {TITLES[name]}", "", escape_paragraph(caption(name, table, study)), ""]
    lines.append(markdown_table(display_frame(table)))
    found = markdown_bullets(notes(table))
    return "\n".join([*lines, *(["", *found] if found else []), ""])


def display_frame(table: pd.DataFrame) -> pd.DataFrame:
    """The table as rounded texts under readable headings: no aggregate without its n."""
    rows = [
        {
            **_identity(row),
            **_accuracy(row),
            **_latency(row),
            **_front(row),
            **_printed(row),
            "status": "ok" if row["status"] == "ok" else "see notes",
        }
        for row in row_dicts(table)
    ]
    display = pd.DataFrame(rows or [{"variant": "no variant of this study", "status": GAP}])
    # A setting belongs to one family: without it, the column says nothing.
    empty = [c for c in ("setting", "MACs") if c in display and (display[c] == GAP).all()]
    return display.drop(columns=empty)


def _identity(row: Mapping[str, Any]) -> dict[str, str]:
    transfer = {"recipe": row["recipe"], "weights": row["weights"]} if "gain_n" in row else {}
    return {
        "variant": row["variant"],
        **transfer,
        "setting": row["setting"] if known(row["setting"]) else GAP,
        "parameters": millions(row["num_params"]),
        **({"MACs": millions(row["num_macs"], 1)} if "num_macs" in row else {}),
    }


def _accuracy(row: Mapping[str, Any]) -> dict[str, str]:
    stale = " (stale)" if row["stale"] is True else ""
    std = row["accuracy_std_points"]
    # Two values say it themselves.
    shown_std = points_text(std) if known(std) and row["n"] > 2 else GAP
    cells = {"accuracy %": accuracy_text(row) + stale, "std": shown_std}
    if "gain_n" in row:
        mean, low, high = (row[f"gain_{name}_points"] for name in ("mean", "low", "high"))
        cells["gain over scratch"] = uncertain_text(
            mean, low, high, row["gain_n"], row["gain_seed_points"], signed_text
        )
    return cells


def accuracy_text(row: Mapping[str, Any]) -> str:
    """'62.64 [62.10, 63.18] (n=5)'; of one seed '62.64 [61.69, 63.58] (n=1, binomial)'.

    Otherwise as `uncertain_text`.
    """
    mean, low, high = (row[f"accuracy_{name}_percent"] for name in ("mean", "low", "high"))
    if row["accuracy_interval_about"] == IMAGES:
        return binomial_text(mean, low, high)
    return uncertain_text(mean, low, high, row["n"], row["seed_accuracies_percent"])


def _latency(row: Mapping[str, Any]) -> dict[str, str]:
    if "latency_p50_ms" not in row:
        return {}
    marks = (" (noisy)" if row["latency_noisy"] is True else "") + (
        " (stale)" if row["latency_stale"] is True else ""
    )
    p50 = row["latency_p50_ms"]
    gap = "does not fit" if row["latency_does_not_fit"] is True else GAP
    text = uncertain_text(
        p50,
        row["latency_low_ms"],
        row["latency_high_ms"],
        row["latency_rounds"],
        row["latency_round_p50_ms"],
        significant,
    )
    kinds = str(row["latency_device"]).split(" ")[0] if known(row["latency_device"]) else GAP
    throughput, batch = row["throughput_images_per_second"], row["throughput_batch_size"]
    fastest = f"{significant(throughput)} (batch {batch})" if known(throughput) else GAP
    return {
        "latency p50 ms": text + marks if known(p50) else gap,
        "IQR ms": significant(row["latency_iqr_ms"]),
        "on": kinds,
        "images/s": fastest,
        "ms/image, paper's protocol": significant(row["paper_ms_per_image"]),
    }


def _front(row: Mapping[str, Any]) -> dict[str, str]:
    """Whether it is on the front by the means, and how probably."""
    if "front_probability" not in row:
        return {}
    place = ("yes" if row["front"] else "no") if known(row["front"]) else GAP
    return {"on the front": place, "P(on the front)": probability_text(row["front_probability"])}


def _printed(row: Mapping[str, Any]) -> dict[str, str]:
    if "printed_accuracy_percent" not in row:
        return {}
    printed, minus = row["printed_accuracy_percent"], row["accuracy_minus_printed_points"]
    cells = {
        "printed accuracy %": f"{printed:.2f}" if known(printed) else GAP,
        "ours − printed": f"{minus:+.2f}" if known(minus) else GAP,
    }
    if "printed_ms_per_image" in row:
        ms = row["printed_ms_per_image"]
        cells["printed ms/image (T4)"] = f"{ms:.4f}" if known(ms) else GAP
    return cells
