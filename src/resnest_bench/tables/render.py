"""Tables to files: CSV unrounded for programs, Markdown and LaTeX rounded for readers."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from resnest_bench import records
from resnest_bench.paths import StudyPaths
from resnest_bench.specs import StudySpec
from resnest_bench.tables.captions import TITLES, caption, notes
from resnest_bench.tables.claim_files import claims_summary, read_claims, write_claims
from resnest_bench.tables.difference_files import (
    differences_summary,
    read_differences,
    write_differences,
)
from resnest_bench.tables.factors import factor_table
from resnest_bench.tables.files import write_csv, write_parquet
from resnest_bench.tables.formats import (
    GAP,
    binomial_text,
    known,
    latex_table,
    markdown_table,
    millions,
    probability_text,
    row_dicts,
    significant,
    uncertain_text,
)
from resnest_bench.tables.intervals import IMAGES
from resnest_bench.tables.noise import noise_table
from resnest_bench.tables.outcomes import prepared_fingerprints
from resnest_bench.tables.paper_table import paper_table
from resnest_bench.tables.store import Frames, load_frames, write_frames
from resnest_bench.tables.tables import ablation_table, tradeoff_table, transfer_table

log = logging.getLogger(__name__)
MAX_LOGGED = 50


def make_tables(
    study: StudySpec, runs: pd.DataFrame, cells: pd.DataFrame
) -> dict[str, pd.DataFrame]:
    """By name those of ablation, tradeoff and transfer that the study asks for or that have rows."""
    made = {
        "ablation": ablation_table(study, runs, cells),
        "tradeoff": tradeoff_table(study, runs, cells),
        "transfer": transfer_table(study, runs, cells),
    }
    asked = {name for name in ("ablation", "tradeoff") if getattr(study.tables, name)}
    return {name: table for name, table in made.items() if len(table) or name in asked}


def write_tables(study: StudySpec, paths: StudyPaths) -> list[Path]:
    """Write all tables of a study to `paths.tables`; return the files. Same records, same bytes.

    The frames behind them are kept in `paths.frames`, so that unchanged records aren't read again.
    Whatever is missing, failed, invalid or stale is named in them. Raises UserError where a file
    can't be written.
    """
    fingerprints = prepared_fingerprints(study)
    frames = load_frames(study, paths, fingerprints)
    _log_gaps(study, frames.runs)
    written = []
    for name, table in make_tables(study, frames.runs, frames.cells).items():
        written += _write_table(name, table, study, paths.tables)
    if study.claims:
        claims = read_claims(study, paths, frames, fingerprints)
        written += write_claims(study, *claims, paths.tables)
    written += write_differences(study, paths, frames, fingerprints)
    shown = {"runs": frames.runs, "latency_cells": frames.cells, "epochs": frames.epochs}
    shown |= _comparisons(study, frames)
    for name, frame in shown.items():
        written.append(paths.tables / f"{name}.csv")
        write_csv(written[-1], frame)
    written.append(paths.tables / "runs.parquet")
    write_parquet(written[-1], frames.runs)
    write_frames(paths, frames)
    return written


def _comparisons(study: StudySpec, frames: Frames) -> dict[str, pd.DataFrame]:
    """Noise floors, differences by factor, the paper beside ours: where the study asks for them."""
    made = {}
    if study.latency:
        made["noise"] = noise_table(frames.runs)
    if study.tables.ablation:
        made["factors"] = factor_table(study, frames.runs)
    tables = (study.tables.ablation, study.tables.tradeoff, study.tables.transfer)
    if any(table and table.paper for table in tables):
        made["paper"] = paper_table(study, frames.runs, frames.cells)
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


def _write_table(name: str, table: pd.DataFrame, study: StudySpec, folder: Path) -> list[Path]:
    files = [folder / f"{name}.{ending}" for ending in ("csv", "md", "tex")]
    write_csv(files[0], table)
    records.write_text(files[1], table_markdown(name, table, study))
    display = display_frame(table)
    text = latex_table(display, caption(name, table, study), f"{study.study}-{name}", notes(table))
    records.write_text(files[2], text)
    return files


def summary_text(study: StudySpec, paths: StudyPaths) -> str:
    """All tables of a study as Markdown for a terminal, its verdicts, and how many jobs are not ok."""
    fingerprints = prepared_fingerprints(study)
    frames = load_frames(study, paths, fingerprints)
    parts = [
        table_markdown(name, table, study)
        for name, table in make_tables(study, frames.runs, frames.cells).items()
    ]
    found = read_differences(study, paths, fingerprints)
    if found and len(found.pairs):
        parts.append(differences_summary(found))
    if study.claims:
        parts.append(claims_summary(read_claims(study, paths, frames, fingerprints)[0]))
    return "\n".join([*parts, _counts_text(frames.runs), *_unlisted_text(frames.unlisted)])


def _counts_text(runs: pd.DataFrame) -> str:
    counts = runs["status"].value_counts()
    return f"{len(runs)} jobs: " + ", ".join(f"{n} {status}" for status, n in counts.items())


def _unlisted_text(unlisted: list[Path]) -> list[str]:
    count = len(unlisted)
    return [f"{count} records are of no job of the study, and in no table"] if count else []


def table_markdown(name: str, table: pd.DataFrame, study: StudySpec) -> str:
    """Heading, caption, the rounded table and its notes."""
    lines = [f"## {TITLES[name]}", "", caption(name, table, study), ""]
    lines.append(markdown_table(display_frame(table)))
    found = [f"- {' '.join(note.split())}" for note in notes(table)]
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
    cells = {"accuracy %": accuracy_text(row) + stale, "std": f"{std:.2f}" if known(std) else GAP}
    if "gain_n" in row:
        gain = (row["gain_mean_points"], row["gain_interval_points"], row["gain_n"])
        cells["gain over scratch"] = uncertain_text(*gain, sign="+")
    return cells


def accuracy_text(row: Mapping[str, Any]) -> str:
    """'62.64 ± 0.31 (n=5)'; of one seed '62.64 [61.69, 63.58] (n=1, binomial)'; '–' without any."""
    if row["accuracy_interval_about"] == IMAGES:
        names = ("accuracy_mean_percent", "accuracy_low_percent", "accuracy_high_percent")
        return binomial_text(*(row[name] for name in names))
    mean, half = row["accuracy_mean_percent"], row["accuracy_interval_points"]
    return uncertain_text(mean, half, row["n"])


def _latency(row: Mapping[str, Any]) -> dict[str, str]:
    if "latency_p50_ms" not in row:
        return {}
    marks = (" (noisy)" if row["latency_noisy"] is True else "") + (
        " (stale)" if row["latency_stale"] is True else ""
    )
    p50, iqr = row["latency_p50_ms"], row["latency_iqr_ms"]
    gap = "does not fit" if row["latency_does_not_fit"] is True else GAP
    half = row["latency_interval_ms"]
    interval = f" ± {significant(half)}" if known(half) else ""
    text = f"{significant(p50)}{interval} [{significant(iqr)}] (n={row['latency_rounds']}){marks}"
    kinds = str(row["latency_device"]).split(" ")[0] if known(row["latency_device"]) else GAP
    throughput, batch = row["throughput_images_per_second"], row["throughput_batch_size"]
    fastest = f"{significant(throughput)} (batch {batch})" if known(throughput) else GAP
    return {
        "latency p50 [IQR] ms": text if known(p50) else gap,
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
