"""Deployment modes for readers: a table as a file, and sentences."""

from pathlib import Path

import pandas as pd

from resnest_bench.files import write_text
from resnest_bench.formats import (
    GAP,
    escape_paragraph,
    format_significant,
    is_known,
    markdown_bullets,
    markdown_table,
    row_dicts,
)
from resnest_bench.frames.files import write_csv
from resnest_bench.report.captions import Caption
from resnest_bench.results import StudyResults

TITLE = "Deployment modes"
# Shown where the protocol asks for them, or the config has a price.
CONSUMPTION = {
    "peak memory MiB": "memory{}_mib",
    "J/image": "energy{}_joules",
    "cost of a million images": "cost{}",
}


def write_deployment(results: StudyResults) -> list[Path]:
    """Write deployment.csv (unrounded) and .md; nothing for a study without a deploy block."""
    if not results.spec.deploy:
        return []
    table = results.deployment
    files = [results.paths.tables / f"deployment.{ending}" for ending in ("csv", "md")]
    write_csv(files[0], table)
    write_text(files[1], deployment_markdown(table))
    return files


def deployment_markdown(table: pd.DataFrame) -> str:
    """Heading, caption, the rounded table and its notes."""
    lines = [f"## {TITLE}", "", escape_paragraph(str(deployment_caption(table))), ""]
    lines.append(markdown_table(deployment_display(table)))
    bullets = markdown_bullets(deployment_notes(table))
    return "\n".join([*lines, *(["", *bullets] if bullets else []), ""])


def deployment_caption(table: pd.DataFrame) -> Caption:
    """The caption: what is compared, on which images and device."""
    labels = " and ".join(dict.fromkeys(table["dataset_label"].dropna()))
    devices = " and ".join(dict.fromkeys(table["device"].dropna()))
    batches = " and ".join(str(size) for size in dict.fromkeys(table["batch_size"].dropna()))
    timed = f"; latency of {batches} image(s) on {devices}" if devices else ""
    return Caption(
        f"The same trained weights in each mode, on the test images of {labels}{timed}",
        (
            "Loss or gain: accuracy in this mode minus that in eager mode (torch, fp32), with its 95 % interval "
            "for new seeds on new test images, paired by seed and image",
            "Times as fast: eager mode's latency divided by this one's, with its 95 % interval over rounds",
            "int8: static quantisation, calibrated on training images",
            "Size on disk: the mode's files; in torch, the weights",
        ),
    )


def deployment_display(table: pd.DataFrame) -> pd.DataFrame:
    """The table as rounded texts with readable headings."""
    several = len(set(table["recipe"])) > 1
    measured = {
        heading: name
        for heading, name in CONSUMPTION.items()
        if table[name.format("")].notna().any()
    }
    rows = [
        {
            "variant": row["variant"],
            **({"recipe": row["recipe"]} if several else {}),
            "mode": row["mode"],
            "accuracy %": _format(row, "accuracy{}_percent", "{:.2f}"),
            "loss or gain (points)": _format_difference(row),
            "n": str(row["n"]) if is_known(row["n"]) else GAP,
            "latency p50 ms": _format(row, "latency{}_ms"),
            "times as fast": _format(row, "speedup{}"),
            "rounds": str(row["rounds"]) if is_known(row["rounds"]) else GAP,
            "size on disk MB": format_significant(
                row["file_bytes"] / 1e6 if is_known(row["file_bytes"]) else None
            ),
            **{heading: _format(row, name) for heading, name in measured.items()},
        }
        for row in row_dicts(table)
    ]
    return pd.DataFrame(rows or [{"variant": "no network was deployed", "mode": GAP}])


def _format(row: dict, name: str, number: str = "") -> str:
    def show(value: float) -> str:
        return number.format(value) if number else format_significant(value)

    mean, low, high = (row[name.format(part)] for part in ("", "_low", "_high"))
    if not is_known(mean):
        return GAP
    return f"{show(mean)} [{show(low)}, {show(high)}]" if is_known(low) else show(mean)


def _format_difference(row: dict) -> str:
    if is_known(row["same_predictions"]) and row["same_predictions"]:
        return "0, right on the same images"
    return _format(row, "difference{}_points", "{:+.2f}")


def deployment_notes(table: pd.DataFrame) -> list[str]:
    """'NAMES in MODE: REASON' for each accuracy and latency that is not there."""
    notes = []
    for column in ("accuracy_status", "latency_status"):
        problems = table[table[column].notna() & (table[column] != "ok")]
        for text, rows in problems.groupby(column, sort=False):
            modes = ", ".join(dict.fromkeys(rows["mode"]))
            names = ", ".join(dict.fromkeys(rows["variant"]))
            place = f"{names} in {modes}: "
            notes.append(f"{place}{str(text).replace(place, '')}")
    return notes
