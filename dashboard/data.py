"""Cached loading: only files whose time or size has changed are read again. Nothing is written."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import streamlit as st

from resnest_bench import records
from resnest_bench.claims.tables import claim_tables
from resnest_bench.claims.verdicts import claim_jobs
from resnest_bench.comparisons.differences import (
    Differences,
    compute_differences,
    difference_jobs,
    find_trainings,
)
from resnest_bench.comparisons.effects import study_effects
from resnest_bench.comparisons.factors import factor_table as compute_factor_table
from resnest_bench.comparisons.latency_ratios import latency_ratios as compute_latency_ratios
from resnest_bench.digests import json_digest
from resnest_bench.frames.cache import Frames, load_frames
from resnest_bench.frames.fresh import keep_counted
from resnest_bench.frames.live import list_states, live_epochs
from resnest_bench.live.from_files import (
    JobState,
    StudyStatus,
    Training,
    read_status,
    read_trainings,
)
from resnest_bench.paths import Experiment, Job, StudyPaths
from resnest_bench.records import Record
from resnest_bench.specs import StudySpec, load_study, study_with_looks
from resnest_bench.stats.mixed_model import FactorEffects
from resnest_bench.status.fingerprints import read_fingerprints
from resnest_bench.status.outcomes import Outcome
from resnest_bench.status.outcomes import outcomes as read_outcomes
from resnest_bench.status.scan import scan_records
from resnest_bench.tables.axes import Axis, list_axes
from resnest_bench.tables.noise import noise_table as compute_noise_table
from resnest_bench.tables.paper_comparison import paper_table as compute_paper_table
from resnest_bench.tables.points import points_frame
from resnest_bench.tables.selection import Experiments
from resnest_bench.tables.variants import ablation_table as compute_ablation_table
from resnest_bench.tables.variants import transfer_table as compute_transfer_table

MAX_STUDIES = 20
MAX_RECORDS = 400
FRESH_SECONDS = 10.0
Stamp = tuple[str, int, int]


@dataclass(frozen=True)
class Loaded:
    """A study with what became of its jobs. Shared by all sessions: change none of its frames."""

    name: str
    study: StudySpec
    paths: StudyPaths
    frames: Frames
    # Differs whenever the frames do: what derived tables are cached by.
    signature: str
    # `change_mark` from just before the records were read.
    mark: str
    # Of seeds that have no current record, whether they run or have stopped.
    trainings: tuple[Training, ...]

    @property
    def runs(self) -> pd.DataFrame:
        return self.frames.runs

    @property
    def cells(self) -> pd.DataFrame:
        return self.frames.cells

    @property
    def epochs(self) -> pd.DataFrame:
        """Epochs of all records, and so far of the trainings that have none yet."""
        begun = [one for one in self.trainings if not self.paths.record(one.job).exists()]
        if not begun:
            return self.frames.epochs
        return pd.concat([self.frames.epochs, live_epochs(begun)])

    @property
    def states(self) -> list[JobState]:
        """What became of each job."""
        return list_states(self.study, self.runs)


def results_folder() -> Path:
    """From `--results`, else from RESNEST_BENCH_RESULTS, else 'results'."""
    parser = argparse.ArgumentParser(allow_abbrev=False, add_help=False)
    parser.add_argument("--results", default=os.environ.get("RESNEST_BENCH_RESULTS", "results"))
    return Path(parser.parse_known_args(sys.argv[1:])[0].results)


def study_folders() -> dict[str, Path]:
    """Name to folder of every study: results/<study>, the newest first, then the reference runs.

    Studies without any record come last: a dry run leaves one, and there is nothing to see in it. A
    linked folder that leads out of the results folder is left out.
    """
    root = results_folder()
    own = sorted(root.glob("*/study.json"), key=_time, reverse=True)
    # A fresh clone has times that say nothing: there the largest comes first.
    reference = sorted(root.glob("reference/*/*/study.json"), key=_size, reverse=True)
    inside = root.resolve()
    folders = [f.parent for f in own + reference if f.resolve().is_relative_to(inside)]
    folders.sort(key=lambda folder: not (StudyPaths(folder).records.is_dir() or _tells(folder)))
    return {folder.relative_to(root).as_posix(): folder for folder in folders}


def stamp(path: Path) -> Stamp:
    """Path, modification time in ns and size: what a cached reading is keyed by."""
    try:
        stat = path.stat()
    except OSError:
        return str(path), 0, 0
    return str(path), stat.st_mtime_ns, stat.st_size


def _tells(folder: Path) -> bool:
    """Whether a training of this study has told of itself: its first record is still to come."""
    return StudyPaths(folder).progress_root.is_dir()


def _time(path: Path) -> int:
    return stamp(path)[1]


def _size(path: Path) -> int:
    return stamp(path)[2]


def read_study(folder: Path) -> StudySpec:
    """The validated study.json, with the seeds that its looks added. Raises UserError; an error is not
    cached."""
    return _read_study(stamp(folder / "study.json"), _look_stamps(folder))


def _look_stamps(folder: Path) -> tuple[Stamp, ...]:
    return tuple(stamp(path) for path in sorted(StudyPaths(folder).looks.glob("look-*.json")))


@st.cache_resource(max_entries=MAX_STUDIES, show_spinner=False)
def _read_study(key: Stamp, looks: tuple[Stamp, ...]) -> StudySpec:
    file = Path(key[0])
    return study_with_looks(load_study(file), StudyPaths(file.parent))


@dataclass
class _Last:
    """What was last made of a folder, when it was last looked at, and for which study."""

    frames: Frames
    signature: str
    mark: str
    study: StudySpec
    at: float


@st.cache_resource(max_entries=MAX_STUDIES, show_spinner=False)
def _last_frames(folder: str) -> list[_Last]:
    """A place for one `_Last`, shared by all sessions."""
    return []


def load(name: str, study: StudySpec, folder: Path) -> Loaded:
    """Frames of all records. Bad records are rows with a reason, never an exception.

    A folder that was looked at within FRESH_SECONDS is not looked at again: a changed widget must
    not wait for ten thousand files.
    """
    paths, place = StudyPaths(folder), _last_frames(str(folder))
    last = place[0] if place else None
    if last is None or last.study is not study or time.monotonic() - last.at > FRESH_SECONDS:
        mark = change_mark(folder)
        frames = load_frames(study, paths, read_fingerprints(study), previous=last and last.frames)
        known = last and last.frames is frames
        signature = last.signature if known else _signature(name, frames)
        last = _Last(frames, signature, mark, study, time.monotonic())
        place[:] = [last]
    jobs = [state.job for state in list_states(study, last.frames.runs) if state.to_do]
    trainings = tuple(read_trainings(study, paths, jobs))
    return Loaded(name, study, paths, last.frames, last.signature, last.mark, trainings)


def read_study_status(loaded: Loaded) -> StudyStatus:
    """How far a study is at this moment: what `resnest-bench status` prints."""
    return read_status(loaded.study, loaded.paths, states=loaded.states)


def _signature(name: str, frames: Frames) -> str:
    return json_digest([name, frames.key, sorted(frames.stamps.items())])


def look_again(folder: Path) -> None:
    """The folder has changed: `load` reads it anew."""
    _last_frames(str(folder)).clear()


def change_mark(folder: Path) -> str:
    """A text that differs once a record, a running training or the study's spec has changed."""
    paths = StudyPaths(folder)
    progress = sorted(paths.progress_root.rglob("*.json"))
    stamps = sorted(scan_records(paths).items())
    looks = _look_stamps(folder)
    return json_digest([stamp(paths.study), looks, stamps, [stamp(path) for path in progress]])


@st.cache_resource(max_entries=MAX_RECORDS, show_spinner=False)
def _read_record(key: Stamp, _job: Job) -> Record:
    # The job decides the path: the stamp is key enough.
    return records.read(Path(key[0]), _job)


def outcomes(loaded: Loaded, jobs: Sequence[Job]) -> list[Outcome]:
    """Whole records of a few jobs: raw samples, environment, spec."""
    return read_outcomes(
        loaded.study,
        loaded.paths,
        read_fingerprints(loaded.study),
        read=lambda path, job: _read_record(stamp(path), job),
        jobs=jobs,
    )


@st.cache_data(max_entries=30, show_spinner=False)
def points(_loaded: Loaded, signature: str, chosen: Experiments, x: Axis, y: Axis) -> pd.DataFrame:
    return points_frame(_loaded.study, _loaded.runs, _loaded.cells, chosen, x, y)


@st.cache_data(max_entries=30, show_spinner=False)
def axes(_loaded: Loaded, signature: str, chosen: Experiments) -> dict[str, Axis]:
    return list_axes(chosen.runs(_loaded.runs), chosen.runs(_loaded.cells))


@st.cache_data(max_entries=30, show_spinner=False)
def _rank_by_accuracy(
    _loaded: Loaded, signature: str, place: Experiment, names: tuple[str, ...]
) -> list[str]:
    runs = keep_counted(Experiments(place, None).runs(_loaded.runs), ["variant"])
    means = runs.groupby("variant", sort=False)["test_accuracy"].mean().dropna()
    best = means.sort_values(ascending=False, kind="stable").index
    return list(dict.fromkeys([*(name for name in best if name in set(names)), *names]))


def rank_by_accuracy(loaded: Loaded, place: Experiment, names: tuple[str, ...]) -> list[str]:
    """`names` by their mean test accuracy in the experiment, the highest first; without any last."""
    return _rank_by_accuracy(loaded, loaded.signature, place, names)


@st.cache_data(max_entries=30, show_spinner=False)
def noise_table(_loaded: Loaded, signature: str) -> pd.DataFrame:
    return compute_noise_table(_loaded.runs)


@st.cache_data(max_entries=30, show_spinner=False)
def latency_ratios(
    _loaded: Loaded,
    signature: str,
    place: Experiment,
    base: str,
    names: tuple[str, ...],
    batch: int,
) -> pd.DataFrame:
    return compute_latency_ratios(
        _loaded.study, _loaded.runs, _loaded.cells, place, base, names, batch
    )


@st.cache_data(max_entries=30, show_spinner=False)
def factor_table(_loaded: Loaded, signature: str) -> pd.DataFrame:
    return compute_factor_table(_loaded.study, _loaded.runs)


@st.cache_data(max_entries=30, show_spinner=False)
def paper_table(_loaded: Loaded, signature: str) -> pd.DataFrame:
    return compute_paper_table(_loaded.study, _loaded.runs, _loaded.cells)


@st.cache_data(max_entries=30, show_spinner=False)
def ablation_table(_loaded: Loaded, signature: str) -> pd.DataFrame:
    return compute_ablation_table(_loaded.study, _loaded.runs, _loaded.cells)


@st.cache_data(max_entries=30, show_spinner=False)
def transfer_table(_loaded: Loaded, signature: str) -> pd.DataFrame:
    return compute_transfer_table(_loaded.study, _loaded.runs)


@st.cache_resource(max_entries=30, show_spinner=False)
def differences(
    _loaded: Loaded,
    signature: str,
    place: Experiment,
    variants: tuple[str, ...],
    base: str | None,
) -> Differences:
    """Pairs of variants. Reads the records of one experiment, which tell single images apart."""
    trainings = find_trainings(_loaded.study, place, variants)
    found = outcomes(_loaded, difference_jobs(_loaded.study, trainings))
    return compute_differences(trainings, found, base)


@st.cache_resource(max_entries=30, show_spinner=False)
def effects(_loaded: Loaded, signature: str) -> FactorEffects | str:
    """What each factor does, over all variants, or a text that says why there is no estimate."""
    return study_effects(_loaded.study, _loaded.runs)


@st.cache_data(max_entries=30, show_spinner=False)
def claims(_loaded: Loaded, signature: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A row a claim, and a row a comparison. Reads the few records that tell single images apart."""
    found = outcomes(_loaded, claim_jobs(_loaded.study))
    return claim_tables(_loaded.study, _loaded.runs, _loaded.cells, found)
