"""A study's results, kept between reruns: only files whose time or size has changed are read again.

What is shown is computed by `resnest_bench.results.StudyResults`, as everywhere. This file keeps one of
them for each study, for all readers, until a record changes. Nothing is written.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import ParamSpec, TypeVar

import pandas as pd
import streamlit as st

from resnest_bench import records
from resnest_bench.comparisons.differences import Differences, compute_differences, find_trainings
from resnest_bench.comparisons.head_to_head import HeadToHead, Network
from resnest_bench.comparisons.latency_ratios import latency_ratios as compute_latency_ratios
from resnest_bench.comparisons.latency_ratios import ratios_by_batch as compute_ratios
from resnest_bench.comparisons.scores import SCORE_COLUMNS
from resnest_bench.digests import json_digest
from resnest_bench.frames.fresh import keep_counted
from resnest_bench.frames.live import list_states, live_epochs
from resnest_bench.frames.predictions import ClassPredictions
from resnest_bench.frames.typed import make_frame
from resnest_bench.live.from_files import (
    JobState,
    StudyStatus,
    Training,
    read_status,
    read_trainings,
)
from resnest_bench.paths import Experiment, Job, StudyPaths
from resnest_bench.records import Record
from resnest_bench.report.head_to_head import compare_two as make_head_to_head
from resnest_bench.results import StudyResults
from resnest_bench.specs import StudySpec, load_study, study_with_looks
from resnest_bench.specs.scores import metric_column
from resnest_bench.stats.mixed_model import FactorEffects
from resnest_bench.status.outcomes import Outcome, outcomes
from resnest_bench.status.scan import scan_records
from resnest_bench.tables.axes import Axis, list_axes
from resnest_bench.tables.latencies import latencies_table
from resnest_bench.tables.points import points_frame
from resnest_bench.tables.selection import Experiments, list_experiments
from resnest_bench.tables.values import name_devices

MAX_STUDIES = 20
MAX_RECORDS = 400
MAX_TABLES = 30
FRESH_SECONDS = 10.0
Stamp = tuple[str, int, int]
Arguments = ParamSpec("Arguments")
Made = TypeVar("Made")


class KeptResults(StudyResults):
    """`StudyResults` that all readers share: whole records that several pages ask for are read once."""

    @cached_property
    def states(self) -> list[JobState]:
        """What became of each job."""
        return list_states(self.spec, self.runs)

    def read_outcomes(self, jobs: Sequence[Job]) -> list[Outcome]:
        """As in `StudyResults`."""
        return outcomes(
            self.spec,
            self.paths,
            self.fingerprints,
            read=lambda path, job: _read_record(stamp(path), job),
            jobs=jobs,
        )


@dataclass(frozen=True)
class Loaded:
    """A study as this run of a page shows it. Shared by all sessions: change none of its frames."""

    name: str
    results: KeptResults
    # Differs whenever the results do: what is computed from them is kept by it.
    signature: str
    # `change_mark` from just before the records were read.
    mark: str
    # Of seeds that have no current record, whether they run or have stopped.
    trainings: tuple[Training, ...]

    @property
    def study(self) -> StudySpec:
        return self.results.spec

    @property
    def paths(self) -> StudyPaths:
        return self.results.paths

    @property
    def runs(self) -> pd.DataFrame:
        return self.results.runs

    @property
    def cells(self) -> pd.DataFrame:
        return self.results.cells

    @property
    def states(self) -> list[JobState]:
        return self.results.states

    @property
    def epochs(self) -> pd.DataFrame:
        """Epochs of all records, and so far of the trainings that have none yet."""
        begun = [one for one in self.trainings if not self.paths.record(one.job).exists()]
        if not begun:
            return self.results.epochs
        return pd.concat([self.results.epochs, live_epochs(begun)])


def keep(compute: Callable[Arguments, Made]) -> Callable[Arguments, Made]:
    """`compute`, of a `Loaded`, kept for all readers: one computes, and the others wait for it."""
    kept: Callable[Arguments, Made] = st.cache_resource(
        max_entries=MAX_TABLES, show_spinner=False, hash_funcs={Loaded: attrgetter("signature")}
    )(compute)
    return kept


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
    """The validated study.json, with what its looks and its search added. Raises UserError; an error is not
    cached."""
    return _read_study(stamp(folder / "study.json"), _look_stamps(folder))


def _look_stamps(folder: Path) -> tuple[Stamp, ...]:
    paths = StudyPaths(folder)
    files = [*paths.looks.glob("look-*.json"), *paths.search_rounds.glob("round-*.json")]
    return tuple(stamp(path) for path in sorted(files))


@st.cache_resource(max_entries=MAX_STUDIES, show_spinner=False)
def _read_study(key: Stamp, looks: tuple[Stamp, ...]) -> StudySpec:
    file = Path(key[0])
    return study_with_looks(load_study(file), StudyPaths(file.parent))


@dataclass
class _Last:
    """What was last made of a folder, and when it was last looked at."""

    results: KeptResults
    signature: str
    mark: str
    at: float


@st.cache_resource(max_entries=MAX_STUDIES, show_spinner=False)
def _last_results(folder: str) -> list[_Last]:
    """A place for one `_Last`, shared by all sessions."""
    return []


def load(name: str, study: StudySpec, folder: Path) -> Loaded:
    """Results of all records. Bad records are rows with a reason, never an exception.

    A folder that was looked at within FRESH_SECONDS is not looked at again: a changed widget must
    not wait for ten thousand files.
    """
    place = _last_results(str(folder))
    last = place[0] if place else None
    fresh = last is not None and time.monotonic() - last.at <= FRESH_SECONDS
    if last is None or last.results.spec is not study or not fresh:
        last = _look(name, study, folder, last)
        place[:] = [last]
    results = last.results
    jobs = [state.job for state in results.states if state.to_do]
    trainings = tuple(read_trainings(study, results.paths, jobs))
    return Loaded(name, results, last.signature, last.mark, trainings)


def _look(name: str, study: StudySpec, folder: Path, last: _Last | None) -> _Last:
    """What there is now: the same results where nothing has changed, with all that they have computed."""
    mark = change_mark(folder)
    previous = last.results.frames if last else None
    results = KeptResults(study, StudyPaths(folder), previous)
    if last and last.results.spec is study and results.frames is last.results.frames:
        return _Last(last.results, last.signature, mark, time.monotonic())
    frames = results.frames
    signature = json_digest([name, frames.key, sorted(frames.stamps.items())])
    return _Last(results, signature, mark, time.monotonic())


def read_study_status(loaded: Loaded) -> StudyStatus:
    """How far a study is at this moment: what `resnest-bench status` prints."""
    return read_status(loaded.study, loaded.paths, states=loaded.states)


def look_again(folder: Path) -> None:
    """The folder has changed: `load` reads it anew."""
    _last_results(str(folder)).clear()


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


@keep
def axes(loaded: Loaded, chosen: Experiments) -> dict[str, Axis]:
    """What can be an axis of the trade-off."""
    return list_axes(chosen.runs(loaded.runs), chosen.runs(loaded.cells))


@keep
def points(loaded: Loaded, chosen: Experiments, x: Axis, y: Axis) -> pd.DataFrame:
    """The points of the trade-off."""
    return points_frame(loaded.study, loaded.runs, loaded.cells, chosen, x, y)


@keep
def rank_by_accuracy(loaded: Loaded, place: Experiment, names: tuple[str, ...]) -> tuple[str, ...]:
    """`names` by their mean headline metric in the experiment, the highest first; without any last."""
    runs = keep_counted(Experiments(place, None).runs(loaded.runs), ["variant"])
    column = metric_column(loaded.study.headline_metric)
    means = runs.groupby("variant", sort=False)[column].mean().dropna()
    best = means.sort_values(ascending=False, kind="stable").index
    return tuple(dict.fromkeys([*(name for name in best if name in set(names)), *names]))


@keep
def latency_ratios(
    loaded: Loaded, place: Experiment, base: str, names: tuple[str, ...], batch: int
) -> pd.DataFrame:
    """Each network's latency over that of `base`."""
    return compute_latency_ratios(
        loaded.study, loaded.runs, loaded.cells, place, base, names, batch
    )


@keep
def recipe_differences(loaded: Loaded) -> list[tuple[str, Differences]]:
    """Each dataset on which a network has several recipes, with their differences."""
    return [(one.dataset, found) for one, found in loaded.results.recipe_comparisons]


@keep
def rank_candidates(
    loaded: Loaded, place: Experiment | None, column: str, names: tuple[str, ...]
) -> pd.DataFrame:
    """Which of the networks may be the best in a column of `runs`."""
    return loaded.results.rank_candidates(place, column, names)


@keep
def differences(
    loaded: Loaded, place: Experiment, variants: tuple[str, ...], base: str | None
) -> Differences:
    """Pairs of variants; without any, why. Reads the records of one experiment."""
    trainings = find_trainings(loaded.study, place, variants)
    return loaded.results.compare(trainings, base) or compute_differences(trainings, [], base)


@keep
def scores(loaded: Loaded, place: Experiment) -> pd.DataFrame:
    """A row for each measure of the test images and variant; none of an experiment of another study."""
    if place not in list_experiments(loaded.study)[0]:
        return make_frame([], SCORE_COLUMNS)
    return loaded.results.scores(place)


@keep
def class_predictions(loaded: Loaded, place: Experiment) -> ClassPredictions | None:
    """What the networks of an experiment say of each test image."""
    return loaded.results.class_predictions(find_trainings(loaded.study, place))


@keep
def effects(loaded: Loaded) -> FactorEffects | str:
    """What each factor does, over all variants, or a text that says why there is no estimate."""
    return loaded.results.factor_effects


@keep
def claims(loaded: Loaded) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A row for each claim, and one for each comparison. Reads the few records that they need."""
    return loaded.results.claim_tables


@keep
def compare_two(loaded: Loaded, one: Network, other: Network) -> HeadToHead:
    """Two networks head to head. Reads their records, and those of the table that has the pair."""
    return make_head_to_head(loaded.results, one, other)


@keep
def ratios_by_batch(
    loaded: Loaded, place: Experiment, one: str, other: str, device: str | None
) -> pd.DataFrame:
    """The ratio of two latencies at each batch size, on one device or on all."""
    return compute_ratios(loaded.study, *_on(loaded, device), place, (one, other))


@keep
def latencies(
    loaded: Loaded, place: Experiment, names: tuple[str, ...], device: str | None
) -> pd.DataFrame:
    """The latency of each network, the fastest first, on one device or on all."""
    floor = noise_floor(loaded, place, device)
    return latencies_table(*_on(loaded, device), place, names, floor)


def _on(loaded: Loaded, device: str | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of runs and of cells, on one device or on all."""
    frames = loaded.runs, loaded.cells
    if device is None:
        return frames
    runs, cells = (rows[name_devices(rows).eq(device)] for rows in frames)
    return runs, cells


def noise_floor(loaded: Loaded, place: Experiment, device: str | None = None) -> float | None:
    """The noise floor in % of an experiment's latencies; None if it is unknown or there are several."""
    floors = loaded.results.noise
    own = floors[floors["dataset"].eq(place.dataset) & floors["protocol"].eq(place.recipe)]
    if device is not None:
        own = own[own["device"].eq(device)]
    percents = own["floor_percent"].dropna()
    return float(percents.iloc[0]) if len(percents) == 1 else None
