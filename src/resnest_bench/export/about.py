"""What a study is, how it was made, what became of its jobs, and its raw tables."""

from collections.abc import Iterable
from typing import Any, cast

import pandas as pd

from resnest_bench import __version__
from resnest_bench.charts import coverage_chart
from resnest_bench.export.blocks import (
    Block,
    Facts,
    Files,
    Section,
    make_figure,
    make_file,
    make_table,
)
from resnest_bench.export.results import PageResults
from resnest_bench.frames.data_notes import data_notes
from resnest_bench.records.observations import Environment
from resnest_bench.specs import dump_study
from resnest_bench.status.outcomes import STATUSES
from resnest_bench.tables.values import name_devices

# What is true of the page and of nothing else.
PAGE = "Page"
EXPERIMENT = ["kind", "dataset", "dataset_label", "recipe"]
# What a record's machine is told by here; of records that share all of it, one is read.
MACHINE = ["device_kind", "device_name", "torch", "git_commit"]


def about(results: PageResults) -> Section:
    """Name, jobs, experiments, data, devices, software, commits and dates."""
    runs = results.runs
    known = runs[runs["status"].isin(["ok", "stale"])]
    rows = {
        "Study": [results.spec.study],
        "Jobs": [counts_text(runs)],
        "Asked for": _experiments(runs),
        "Data": [*_data(known), *data_notes(results.spec, runs).values()],
        "Devices": _devices(known),
        "Software": _software(results, known),
        "Commits": _commits(known),
        "Run": _dates(known),
        PAGE: [f"resnest-bench {__version__}; whole in this one file, nothing is loaded"],
    }
    kept = tuple((name, tuple(lines)) for name, lines in rows.items() if lines)
    text = (
        "Networks compared by test accuracy, latency and size. Every figure is from records of runs; "
        "its spread over seeds or rounds stands beside it.",
    )
    return Section("about", "About this study", text, (Facts(kept),))


def counts_text(runs: pd.DataFrame) -> str:
    """'20 jobs: 12 ok, 8 missing'."""
    counts = runs["status"].value_counts()
    parts = [f"{counts[status]:,} {status}" for status in STATUSES if status in counts]
    return f"{len(runs):,} jobs: {', '.join(parts)}"


def _experiments(runs: pd.DataFrame) -> list[str]:
    """'train: DATA, recipe R, 9 networks, 3 seeds'."""
    groups = runs.groupby(EXPERIMENT, sort=False)[["variant", "seed"]].nunique()
    lines = []
    for key, row in groups.iterrows():
        kind, _, label, recipe = cast("tuple[str, str, str, str]", key)
        how = "protocol" if kind == "latency" else "recipe"
        repeats = _count(row["seed"], "round" if kind == "latency" else "seed")
        networks = _count(row["variant"], "network")
        lines.append(f"{kind}: {label}, {how} {recipe}, {networks}, {repeats}")
    return lines


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _data(known: pd.DataFrame) -> list[str]:
    columns = ["dataset", "dataset_label", "num_train", "num_test"]
    rows = known[columns].dropna().drop_duplicates().itertuples(index=False, name=None)
    return [
        f"{name}: {label}, {train:,} training and {test:,} test images"
        for name, label, train, test in rows
    ]


def _devices(known: pd.DataFrame) -> list[str]:
    """'train on CPU NAME, 2 threads', a line a kind of job and device."""
    pairs = pd.DataFrame({"kind": known["kind"], "device": name_devices(known)}).dropna()
    rows = pairs.drop_duplicates().itertuples(index=False, name=None)
    return [f"{kind}: {device}" for kind, device in rows]


def _software(results: PageResults, known: pd.DataFrame) -> list[str]:
    firsts = set(known.drop_duplicates(MACHINE).index)
    jobs = [job for place, job in enumerate(results.spec.jobs()) if place in firsts]
    environments = [o.record.environment for o in results.read_outcomes(jobs) if o.record]
    lines = _distinct(map(_software_text, environments))
    # Nobody reads ten thousand records for a line.
    count = _count(len(environments), "record")
    note = f"(as {count} say{'s' if len(environments) == 1 else ''}: one for each device, torch and commit)"
    return [*lines, note] if lines else []


def _software_text(seen: Environment) -> str:
    versions = {"python": seen.python, **seen.versions, "CUDA": seen.cuda, "driver": seen.driver}
    names = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    return f"{names}; {seen.os}"


def _commits(known: pd.DataFrame) -> list[str]:
    """A line a commit: with how many records, and whether the tree had changes of its own."""
    groups = known.groupby(["git_commit", "git_dirty"], sort=False, dropna=False).size()
    keys = cast("Iterable[tuple[Any, Any]]", groups.index)
    return [
        f"{commit if pd.notna(commit) else 'not known'}"
        f"{', with uncommitted changes' if pd.notna(dirty) and dirty else ''}: "
        f"{_count(count, 'record')}"
        for (commit, dirty), count in zip(keys, groups, strict=True)
    ]


def _dates(known: pd.DataFrame) -> list[str]:
    """From the first start to the last end; a record may hold any text there."""
    first, last = (
        pd.to_datetime(known[name], utc=True, format="ISO8601", errors="coerce")
        for name in ("started_at", "finished_at")
    )
    if first.isna().all() or last.isna().all():
        return []
    return [f"{first.min():%Y-%m-%d %H:%M} to {last.max():%Y-%m-%d %H:%M} UTC"]


def _distinct(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def coverage(results: PageResults) -> Section:
    """Jobs by status, and every job that is not ok, with its reason."""
    runs = results.runs
    gaps = _gaps(runs[runs["status"] != "ok"])
    text = [
        f"{counts_text(runs)}." + ("" if len(gaps) else " Nothing is missing, failed or stale.")
    ]
    if len(results.frames.unlisted):
        count = _count(len(results.frames.unlisted), "record")
        text.append(f"{count} of no job of the study: in no table and no chart.")
    blocks: list[Block] = [make_figure(coverage_chart(runs))]
    if len(gaps):
        blocks.append(
            make_table("Jobs that are not ok", gaps, "Every job that is not ok, and why.")
        )
    return Section("coverage", "Coverage", tuple(text), tuple(blocks))


def _gaps(bad: pd.DataFrame) -> pd.DataFrame:
    """A row for all seeds or rounds of a job that share status and reason."""
    keys = ["kind", "dataset", "recipe", "variant", "status", "reason"]
    grouped = bad.groupby(keys, sort=False)["seed"].agg(lambda seeds: ", ".join(map(str, seeds)))
    rows = grouped.reset_index(name="seeds or rounds")
    return rows[[*keys[:4], "seeds or rounds", "status", "reason"]]


def files(results: PageResults) -> Section:
    """The raw tables and the study itself, to download from within the page."""
    frames = {"runs": results.runs, "latency_cells": results.cells}
    made = [
        make_file(f"{name}.csv", frame.to_csv(index=False, lineterminator="\n"), "text/csv")
        for name, frame in frames.items()
        if len(frame)
    ]
    made.append(make_file("study.json", dump_study(results.spec), "application/json"))
    text = (
        "Unrounded, one row a job (runs) or a latency at one batch size and setting (latency_cells); "
        "study.json is all that was asked for.",
    )
    return Section("files", "Raw tables", text, (Files(tuple(made)),))
