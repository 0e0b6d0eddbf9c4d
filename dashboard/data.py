"""Cached loading: a file is read again only when its time or its size has changed."""

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import streamlit as st

from resnest_bench import records, tables
from resnest_bench.paths import Job, StudyPaths
from resnest_bench.records import Record
from resnest_bench.specs import StudySpec, load_study

MAX_RECORDS = 20_000
Stamp = tuple[str, int, int]


@dataclass(frozen=True)
class Loaded:
    """A study with what became of its jobs."""

    study: StudySpec
    paths: StudyPaths
    outcomes: list[tables.Outcome]
    runs: pd.DataFrame
    cells: pd.DataFrame


def results_folder() -> Path:
    """From `--results`, else from RESNEST_BENCH_RESULTS, else 'results'."""
    parser = argparse.ArgumentParser(allow_abbrev=False, add_help=False)
    parser.add_argument("--results", default=os.environ.get("RESNEST_BENCH_RESULTS", "results"))
    return Path(parser.parse_known_args(sys.argv[1:])[0].results)


def study_folders() -> dict[str, Path]:
    """Name to folder of every study: results/<study>, then results/reference/<device>/<study>."""
    root = results_folder()
    found = [*sorted(root.glob("*/study.json")), *sorted(root.glob("reference/*/*/study.json"))]
    return {str(file.parent.relative_to(root)): file.parent for file in found}


def stamp(path: Path) -> Stamp:
    """Path, modification time in ns and size: what a cached reading is keyed by."""
    try:
        stat = path.stat()
    except OSError:
        return str(path), 0, 0
    return str(path), stat.st_mtime_ns, stat.st_size


def read_study(folder: Path) -> StudySpec:
    """The validated study.json. Raises UserError; an error is not cached."""
    return _read_study(stamp(folder / "study.json"))


@st.cache_resource(max_entries=200, show_spinner=False)
def _read_study(key: Stamp) -> StudySpec:
    return load_study(Path(key[0]))


@st.cache_resource(max_entries=MAX_RECORDS, show_spinner=False)
def _read_record(key: Stamp, _job: Job) -> Record:
    # The job decides the path: the stamp is key enough.
    return records.read(Path(key[0]), _job)


def load(study: StudySpec, folder: Path) -> Loaded:
    """Records and their frames. Bad records are rows with a reason, never an exception."""
    paths = StudyPaths(folder)
    found = tables.outcomes(
        study,
        paths,
        tables.prepared_fingerprints(study),
        read=lambda path, job: _read_record(stamp(path), job),
    )
    return Loaded(study, paths, found, tables.runs_of(found), tables.cells_of(found))
