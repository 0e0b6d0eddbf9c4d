"""Tables as files: unrounded CSV for programs, rounded Markdown and LaTeX for readers."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from resnest_bench.files import write_text
from resnest_bench.formats import (
    GAP,
    escape_paragraph,
    format_binomial,
    format_mean,
    format_millions,
    format_points,
    format_probability,
    format_signed,
    format_significant,
    is_known,
    latex_table,
    markdown_bullets,
    markdown_table,
    row_dicts,
)
from resnest_bench.frames.cache import write_frames
from resnest_bench.frames.files import write_csv, write_parquet
from resnest_bench.paths import StudyPaths
from resnest_bench.report.captions import TITLES, caption, notes
from resnest_bench.report.claims import claims_summary, write_claims
from resnest_bench.report.datasets import write_dataset_ranks
from resnest_bench.report.deployment import deployment_markdown, write_deployment
from resnest_bench.report.devices import write_devices
from resnest_bench.report.differences import differences_summary, write_differences
from resnest_bench.report.per_class import write_per_class
from resnest_bench.report.search import FAMILIES, FINALISTS, search_markdown, write_search
from resnest_bench.report.stability import write_spread
from resnest_bench.results import StudyResults
from resnest_bench.specs import StudySpec
from resnest_bench.stats.intervals import IMAGES
from resnest_bench.tables.headline import metric_words

log = logging.getLogger(__name__)
MAX_LOGGED = 50


def write_tables(study: StudySpec, paths: StudyPaths) -> list[Path]:
    """Write all tables of a study to `paths.tables`; return the files. Same records, same bytes.

    The frames behind them are cached in `paths.frames`, so that unchanged records aren't read again. The
    tables name everything that is missing, failed, invalid or stale. Raises UserError if a file can't be
    written.
    """
    results = StudyResults(study, paths)
    _log_gaps(study, results.runs)
    written = []
    for name, table in results.tables.items():
        written += _write_table(name, name, table, study, paths.tables)
    for table in results.other_tables:
        experiment = "-".join(str(table[name].iloc[0]) for name in ("dataset", "recipe"))
        written += _write_table(
            "accuracies", f"accuracies-{experiment}", table, study, paths.tables
        )
    if study.claims:
        written += write_claims(results)
    written += write_differences(results)
    written += write_dataset_ranks(results)
    written += write_deployment(results)
    written += write_per_class(results)
    written += write_devices(results)
    written += write_spread(results)
    written += write_search(results)
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
    """Noise floors, differences by factor, and the paper next to ours, if the study has them."""
    made, study = {}, results.spec
    if study.timed:
        made["noise"] = pd.concat([results.noise, results.energy_noise], ignore_index=True)
    if study.tables.ablation:
        made["factors"] = results.factors
    tables = (study.tables.ablation, study.tables.tradeoff, study.tables.transfer)
    if any(table and table.paper for table in tables):
        made["paper"] = results.paper
    return made


def _log_gaps(study: StudySpec, runs: pd.DataFrame) -> None:
    """Log one line per job that is not ok, or a single line for hundreds with the same reason."""
    bad = runs[runs["status"] != "ok"]
    for (status, reason), rows in bad.groupby(["status", "reason"], sort=False):
        if len(rows) > MAX_LOGGED:
            log.warning("%d jobs: %s: %s", len(rows), status, reason)
            continue
        for row in rows.index:
            log.warning("%s: %s: %s", study.jobs()[row], status, reason)


def _write_table(
    name: str, file: str, table: pd.DataFrame, study: StudySpec, folder: Path
) -> list[Path]:
    files = [folder / f"{file}.{ending}" for ending in ("csv", "md", "tex")]
    write_csv(files[0], table)
    write_text(files[1], table_markdown(name, table, study))
    display = display_frame(table)
    above, label = str(caption(name, table, study)), f"{study.study}-{file}"
    write_text(files[2], latex_table(display, above, label, notes(table)))
    return files


def summary_text(study: StudySpec, paths: StudyPaths) -> str:
    """All tables of a study as Markdown for a terminal, with its verdicts and the counts of its jobs."""
    results = StudyResults(study, paths)
    parts = [table_markdown(name, table, study) for name, table in results.tables.items()]
    parts += [table_markdown("accuracies", table, study) for table in results.other_tables]
    differences = results.main_differences
    if differences and len(differences.pairs):
        parts.append(differences_summary(differences))
    if study.search:
        parts.append(search_markdown(results, (FINALISTS, FAMILIES)))
    if study.deploy:
        parts.append(deployment_markdown(results.deployment))
    if study.claims:
        parts.append(claims_summary(results.claims()))
    unlisted = _count_unlisted(results.frames.unlisted)
    return "\n".join([*parts, _count_jobs(results.runs), *unlisted])


def _count_jobs(runs: pd.DataFrame) -> str:
    counts = runs["status"].value_counts()
    return f"{len(runs)} jobs: " + ", ".join(f"{n} {status}" for status, n in counts.items())


def _count_unlisted(unlisted: list[Path]) -> list[str]:
    count = len(unlisted)
    return [f"{count} records belong to no job of the study and are in no table"] if count else []


def table_markdown(name: str, table: pd.DataFrame, study: StudySpec) -> str:
    """Heading, caption, the rounded table and its notes."""
    lines = [f"## {TITLES[name]}", "", escape_paragraph(str(caption(name, table, study))), ""]
    lines.append(markdown_table(display_frame(table)))
    bullets = markdown_bullets(notes(table))
    return "\n".join([*lines, *(["", *bullets] if bullets else []), ""])


def display_frame(table: pd.DataFrame) -> pd.DataFrame:
    """The table as rounded texts with readable headings: no mean without its n."""
    rows = [
        {
            **_identity(row),
            **_headline(row),
            **_accuracy(row),
            **_latency(row),
            **_front(row),
            **_printed(row),
            "status": "ok" if row["status"] == "ok" else "see notes",
        }
        for row in row_dicts(table)
    ]
    display = pd.DataFrame(rows or [{"variant": "no variant of this study", "status": GAP}])
    # Only one family has settings: without it the column is empty.
    empty = [c for c in ("setting", "MACs") if c in display and (display[c] == GAP).all()]
    return display.drop(columns=empty)


def _identity(row: Mapping[str, Any]) -> dict[str, str]:
    more = [name for name in ("weights", "teacher") if name in row]
    return {
        "variant": row["variant"],
        **({name: row[name] for name in ("recipe", *more)} if more else {}),
        "setting": row["setting"] if is_known(row["setting"]) else GAP,
        "parameters": format_millions(row["num_params"]),
        **({"MACs": format_millions(row["num_macs"], 1)} if "num_macs" in row else {}),
    }


def _accuracy(row: Mapping[str, Any]) -> dict[str, str]:
    stale = " (stale)" if row["stale"] is True else ""
    std = row["accuracy_std_points"]
    # Two values are shown themselves.
    shown_std = format_points(std) if is_known(std) and row["n"] > 2 else GAP
    cells = {"accuracy %": format_accuracy(row) + stale, "std": shown_std}
    if "gain_n" in row:
        mean, low, high = (row[f"gain_{name}_points"] for name in ("mean", "low", "high"))
        base = "labels alone" if "teacher" in row else "scratch"
        cells[f"gain over {base}"] = format_mean(
            mean, low, high, row["gain_n"], row["gain_seed_points"], format_signed
        )
    return cells


def _headline(row: Mapping[str, Any]) -> dict[str, str]:
    """The headline metric, if it isn't the accuracy; 'not kept' for records from before it was."""
    if "headline_metric" not in row or not is_known(row["headline_metric"]):
        return {}
    mean, low, high = (row[f"headline_{name}_percent"] for name in ("mean", "low", "high"))
    values = row["headline_seed_percent"]
    text = format_mean(mean, low, high, row["headline_n"], values)
    is_gap = not is_known(mean) and is_known(row["accuracy_mean_percent"])
    return {f"{metric_words(row['headline_metric'])} %": "not kept" if is_gap else text}


def format_accuracy(row: Mapping[str, Any]) -> str:
    """Format like `format_mean`, for one seed '62.64 [61.69, 63.58] (n=1, binomial)'."""
    mean, low, high = (row[f"accuracy_{name}_percent"] for name in ("mean", "low", "high"))
    if row["accuracy_interval_about"] == IMAGES:
        return format_binomial(mean, low, high)
    return format_mean(mean, low, high, row["n"], row["seed_accuracies_percent"])


def _latency(row: Mapping[str, Any]) -> dict[str, str]:
    if "latency_p50_ms" not in row:
        return {}
    marks = (" (noisy)" if row["latency_noisy"] is True else "") + (
        " (stale)" if row["latency_stale"] is True else ""
    )
    p50 = row["latency_p50_ms"]
    gap = "does not fit" if row["latency_does_not_fit"] is True else GAP
    text = format_mean(
        p50,
        row["latency_low_ms"],
        row["latency_high_ms"],
        row["latency_rounds"],
        row["latency_round_p50_ms"],
        format_significant,
    )
    kinds = str(row["latency_device"]).split(" ")[0] if is_known(row["latency_device"]) else GAP
    throughput, batch = row["throughput_images_per_second"], row["throughput_batch_size"]
    fastest = f"{format_significant(throughput)} (batch {batch})" if is_known(throughput) else GAP
    return {
        "latency p50 ms": text + marks if is_known(p50) else gap,
        "IQR ms": format_significant(row["latency_iqr_ms"]),
        "on": kinds,
        "images/s": fastest,
        "ms/image, paper's protocol": format_significant(row["paper_ms_per_image"]),
        **_consumption(row),
    }


def _consumption(row: Mapping[str, Any]) -> dict[str, str]:
    """Memory, energy and cost, where the study asks for them."""
    cells = {}
    if "resident_bytes" in row:
        memory = row["resident_bytes"]
        cells["peak memory MiB"] = f"{memory / 2**20:.0f}" if is_known(memory) else GAP
    for name, heading, ends, values in (
        ("energy_joules_per_image", "J/image", "energy_{}_joules", "energy_round_joules"),
        ("cost_per_million_images", "cost of a million images", "cost_{}", "cost_round_values"),
    ):
        if name in row:
            low, high = (row[ends.format(end)] for end in ("low", "high"))
            count = row[ends.split("{")[0] + "rounds"]
            cells[heading] = format_mean(
                row[name], low, high, count, row[values], format_significant
            )
    return cells


def _front(row: Mapping[str, Any]) -> dict[str, str]:
    """Whether the row is Pareto-optimal by its means, and the probability of that."""
    if "front_probability" not in row:
        return {}
    return {
        "Pareto-optimal": ("yes" if row["front"] else "no") if is_known(row["front"]) else GAP,
        "P(Pareto-optimal)": format_probability(row["front_probability"]),
    }


def _printed(row: Mapping[str, Any]) -> dict[str, str]:
    if "printed_accuracy_percent" not in row:
        return {}
    printed, minus = row["printed_accuracy_percent"], row["accuracy_minus_printed_points"]
    cells = {
        "printed accuracy %": f"{printed:.2f}" if is_known(printed) else GAP,
        "ours − printed": f"{minus:+.2f}" if is_known(minus) else GAP,
    }
    if "printed_ms_per_image" in row:
        ms = row["printed_ms_per_image"]
        cells["printed ms/image (T4)"] = f"{ms:.4f}" if is_known(ms) else GAP
    return cells
