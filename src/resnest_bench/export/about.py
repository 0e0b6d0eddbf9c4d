"""A study's origin, the status of its jobs, and its raw tables."""

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
from resnest_bench.words import count_noun

# A fact about the page itself.
PAGE = "Page"
EXPERIMENT = ["kind", "dataset", "dataset_label", "recipe"]
# Columns that identify a machine and its software; of records that share them, one is read.
MACHINE = ["device_kind", "device_name", "torch", "git_commit"]


def about(results: PageResults) -> Section:
    """Name, jobs, experiments, data, devices, software, commits and dates."""
    runs = results.runs
    usable = runs[runs["status"].isin(["ok", "stale"])]
    rows = {
        "Study": [results.spec.study],
        "Jobs": [count_jobs(runs)],
        "Experiments": _experiments(runs),
        "Data": [*_data(usable), *data_notes(results.spec, runs).values()],
        "Devices": _devices(usable),
        "Software": _software(results, usable),
        "Commits": _commits(usable),
        "Run": _dates(usable),
        "Imported": _imports(usable),
        PAGE: [f"resnest-bench {__version__}; this file is self-contained and loads nothing"],
    }
    facts = tuple((name, tuple(lines)) for name, lines in rows.items() if lines)
    text = (
        "Networks compared by test accuracy, latency and size. Every figure comes from records of runs and "
        "is shown with its spread over seeds or rounds.",
    )
    return Section("about", "About this study", text, (Facts(facts),))


def count_jobs(runs: pd.DataFrame) -> str:
    """'20 jobs: 12 ok, 8 missing'."""
    counts = runs["status"].value_counts()
    parts = [f"{counts[status]:,} {status}" for status in STATUSES if status in counts]
    return f"{len(runs):,} jobs: {', '.join(parts)}"


def _experiments(runs: pd.DataFrame) -> list[str]:
    """'train: DATA, recipe R, 9 networks, 3 seeds', one line per experiment."""
    groups = runs.groupby(EXPERIMENT, sort=False)[["variant", "seed"]].nunique()
    lines = []
    for key, row in groups.iterrows():
        kind, _, label, recipe = cast("tuple[str, str, str, str]", key)
        method = "protocol" if kind == "latency" else "recipe"
        repeats = count_noun(row["seed"], "round" if kind == "latency" else "seed")
        networks = count_noun(row["variant"], "network")
        lines.append(f"{kind}: {label}, {method} {recipe}, {networks}, {repeats}")
    return lines


def _data(usable: pd.DataFrame) -> list[str]:
    columns = ["dataset", "dataset_label", "num_train", "num_test"]
    # Imported results may say neither.
    rows = usable[columns].dropna().drop_duplicates().itertuples(index=False, name=None)
    return [
        f"{name}: {label}, {train:,} training and {test:,} test images"
        for name, label, train, test in rows
    ]


def _devices(usable: pd.DataFrame) -> list[str]:
    """'train: CPU NAME, 2 threads', one line per kind of job and device."""
    pairs = pd.DataFrame({"kind": usable["kind"], "device": name_devices(usable)}).dropna()
    rows = pairs.drop_duplicates().itertuples(index=False, name=None)
    return [f"{kind}: {device}" for kind, device in rows]


def _software(results: PageResults, usable: pd.DataFrame) -> list[str]:
    firsts = set(usable.drop_duplicates(MACHINE).index)
    jobs = [job for row, job in enumerate(results.spec.jobs()) if row in firsts]
    read = [o.record for o in results.read_outcomes(jobs) if o.record]
    environments = [record.environment for record in read if record.environment]
    lines = list(dict.fromkeys(map(_describe_software, environments)))
    # Reading ten thousand records for a line takes too long.
    count = count_noun(len(environments), "record")
    note = f"(from {count}: one per device, torch version and commit)"
    return [*lines, note] if lines else []


def _describe_software(environment: Environment) -> str:
    versions = {
        "python": environment.python,
        **environment.versions,
        "CUDA": environment.cuda,
        "driver": environment.driver,
    }
    names = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    return f"{names}; {environment.os}"


def _commits(usable: pd.DataFrame) -> list[str]:
    """One line per commit: the number of records, and whether there were uncommitted changes."""
    own = usable[usable["imported_from"].isna()]
    groups = own.groupby(["git_commit", "git_dirty"], sort=False, dropna=False).size()
    keys = cast("Iterable[tuple[Any, Any]]", groups.index)
    return [
        f"{commit if pd.notna(commit) else 'unknown'}"
        f"{', with uncommitted changes' if pd.notna(dirty) and dirty else ''}: "
        f"{count_noun(count, 'record')}"
        for (commit, dirty), count in zip(keys, groups, strict=True)
    ]


def _imports(usable: pd.DataFrame) -> list[str]:
    counts = usable["imported_from"].value_counts(sort=False)
    return [
        f"{file}: {count_noun(count, 'record')} with results from elsewhere"
        for file, count in counts.items()
    ]


def _dates(usable: pd.DataFrame) -> list[str]:
    """From the first start to the last end; a record may have an invalid date."""
    first, last = (
        pd.to_datetime(usable[name], utc=True, format="ISO8601", errors="coerce")
        for name in ("started_at", "finished_at")
    )
    if first.isna().all() or last.isna().all():
        return []
    return [f"{first.min():%Y-%m-%d %H:%M} to {last.max():%Y-%m-%d %H:%M} UTC"]


def coverage(results: PageResults) -> Section:
    """Jobs by status, and every job that is not ok with its reason."""
    runs = results.runs
    gaps = _gaps(runs[runs["status"] != "ok"])
    text = [f"{count_jobs(runs)}." + ("" if len(gaps) else " Nothing is missing, failed or stale.")]
    if len(results.frames.unlisted):
        count = count_noun(len(results.frames.unlisted), "record")
        text.append(f"{count} of no job of the study, in no table and no chart.")
    blocks: list[Block] = [make_figure(coverage_chart(runs))]
    if len(gaps):
        blocks.append(
            make_table("Jobs that are not ok", gaps, "Every job that is not ok, with the reason.")
        )
    return Section("coverage", "Coverage", tuple(text), tuple(blocks))


def _gaps(bad: pd.DataFrame) -> pd.DataFrame:
    """One row for all seeds or rounds of a job with the same status and reason."""
    keys = ["kind", "dataset", "recipe", "variant", "status", "reason"]
    grouped = bad.groupby(keys, sort=False)["seed"].agg(lambda seeds: ", ".join(map(str, seeds)))
    rows = grouped.reset_index(name="seeds or rounds")
    return rows[[*keys[:4], "seeds or rounds", "status", "reason"]]


def files(results: PageResults) -> Section:
    """The raw tables and the study itself, as downloads within the page."""
    frames = {"runs": results.runs, "latency_cells": results.cells}
    made = [
        make_file(f"{name}.csv", frame.to_csv(index=False, lineterminator="\n"), "text/csv")
        for name, frame in frames.items()
        if len(frame)
    ]
    made.append(make_file("study.json", dump_study(results.spec), "application/json"))
    text = (
        "Unrounded values: one row per job (runs), and one per latency, batch size and setting "
        "(latency_cells). study.json is the complete specification of the study.",
    )
    return Section("files", "Raw tables", text, (Files(tuple(made)),))
