"""A cache of a study's frames: of ten thousand records only the changed ones are read again.

It is in `results/<study>/frames/`. If anything is wrong with it, the records are read instead.
"""

import dataclasses
import functools
import hashlib
import io
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel

from resnest_bench import files, records
from resnest_bench.digests import code_digest, json_digest, uncounted_digest
from resnest_bench.frames.cell_rows import one_line
from resnest_bench.frames.costs import add_costs
from resnest_bench.frames.files import parquet_bytes
from resnest_bench.frames.rows import build_cells, build_epochs, build_runs
from resnest_bench.paths import Job, StudyPaths
from resnest_bench.specs import StudySpec
from resnest_bench.status.outcomes import Outcome, Reader, outcomes
from resnest_bench.status.scan import Stamps, read_stamps, scan_records

__all__ = ["Frames", "frames_key", "load_frames", "read_frames", "scan_records", "write_frames"]

MAKERS = {"runs": build_runs, "cells": build_cells, "epochs": build_epochs}
IDENTITY = ["kind", "dataset", "recipe", "variant", "seed"]
_identity = operator.attrgetter(*IDENTITY)
# A record takes ten times the memory of its rows, so few are in memory at once.
RECORDS_AT_ONCE = 500


@dataclass(frozen=True, eq=False)
class Frames:
    """The frames of a study's records with these stamps. They are shared: don't modify them.

    `key` is from `frames_key`. `stamps` are (modification time in ns, size in bytes) by the record's
    path relative to the study's folder; `labels` are the datasets' labels by the same paths. `runs`,
    `cells` and `epochs` are made by `build_runs`, `build_cells` and `build_epochs`. `unlisted` are
    records of no job of the study.
    """

    key: str
    stamps: Stamps
    runs: pd.DataFrame
    cells: pd.DataFrame
    epochs: pd.DataFrame
    unlisted: list[Path]
    labels: dict[str, str]


class _Index(BaseModel):
    """index.json: the fields of Frames, with the SHA-256 (hex) of each frame instead of the frame."""

    key: str
    stamps: Stamps
    unlisted: list[str]
    labels: dict[str, str]
    sha256: dict[str, str]


def frames_key(study: StudySpec, paths: StudyPaths, fingerprints: Mapping[str, str]) -> str:
    """Digest of everything that rows depend on besides the records: study, data, code, schema."""
    kinds = ("train", "finetune", "latency", "deploy", "tables")
    return json_digest(
        {
            "study": study.digest,
            # An adaptive study has the jobs of its looks too.
            "jobs": [paths.record_name(job) for job in study.jobs()] if study.adaptive else None,
            "found": study.search_choices,
            "code": [*(code_digest(kind) for kind in kinds), uncounted_digest()],
            "fingerprints": dict(fingerprints),
            "schema_version": records.SCHEMA_VERSION,
            "is_reference": paths.is_reference,
            # An evaluation is stale if its training was repeated.
            "sources": stamp_evaluated(study, paths),
        }
    )


def stamp_evaluated(study: StudySpec, paths: StudyPaths) -> Stamps:
    """The stamps of trainings whose networks were evaluated on further test sets."""
    evaluated = {
        (block.trained_on, block.recipe, name, seed)
        for block in study.imported
        if block.trained_on is not None
        for name, seeds in block.seeds.items()
        for seed in seeds
    }
    if not evaluated:
        return {}
    stamps = scan_records(paths)
    names = (
        paths.record_name(job)
        for job in study.own_jobs()
        if (job.dataset, job.recipe, job.variant, job.seed) in evaluated
    )
    return {name: stamps[name] for name in names if name in stamps}


def load_frames(
    study: StudySpec,
    paths: StudyPaths,
    fingerprints: Mapping[str, str],
    previous: Frames | None = None,
    read: Reader = records.read,
) -> Frames:
    """The study's current frames. Only records whose stamp has changed are read.

    The stamps are compared with `previous`, or with the stored frames, if their key is the same.
    `fingerprints` and `read` are those of `outcomes`. Writes nothing. Never raises for a bad record or a
    damaged cache.
    """
    key, jobs = frames_key(study, paths, fingerprints), study.jobs()
    names = [paths.record_name(job) for job in jobs]
    trials = [paths.record_name(job) for job in study.trial_jobs]
    stamps = read_stamps(paths, names)
    cached = previous if previous and previous.key == key else read_frames(paths, key)
    if cached is None or len(cached.runs) != len(jobs):
        cached, changed = _empty_frames(key), list(range(len(jobs)))
    else:
        moved = bool(jobs) and cached.runs["record"].iloc[0] != str(paths.record(jobs[0]))
        if stamps == cached.stamps and not moved:
            return cached
        changed = _find_changed(cached, names, stamps, moved)
        if moved:
            cached = _replace_paths(cached, [str(paths.record(job)) for job in jobs])
    unread: set[str] = set()
    read_jobs = functools.partial(outcomes, study, paths, fingerprints, _watch(read, paths, unread))
    fresh = _read_rows(read_jobs, paths, [jobs[index] for index in changed])
    return dataclasses.replace(
        _merge(study, cached, fresh, jobs, names, changed),
        stamps={name: stamp for name, stamp in stamps.items() if name not in unread},
        unlisted=sorted(paths.root / name for name in stamps.keys() - {*names, *trials}),
    )


def _empty_frames(key: str) -> Frames:
    return Frames(key=key, stamps={}, unlisted=[], labels={}, **_make_frames([]))


def _make_frames(job_outcomes: list[Outcome]) -> dict[str, pd.DataFrame]:
    return {name: make(job_outcomes) for name, make in MAKERS.items()}


def _replace_paths(cached: Frames, files: list[str]) -> Frames:
    record = pd.Series(files, dtype="str")
    return dataclasses.replace(cached, runs=cached.runs.assign(record=record))


def _find_changed(cached: Frames, names: list[str], stamps: Stamps, moved: bool) -> list[int]:
    """Indices of the jobs whose record is new, changed or gone."""
    changed = np.array([stamps.get(name) != cached.stamps.get(name) for name in names])
    if moved:
        # The reason of an invalid record names its path.
        changed |= (cached.runs["status"] == "invalid").to_numpy()
    return np.flatnonzero(changed).tolist()


def _watch(read: Reader, paths: StudyPaths, unread: set[str]) -> Reader:
    """Wrap `read`: it adds to `unread` the names of records that the system can't read."""

    def watched(path: Path, job: Job) -> records.Record:
        try:
            return read(path, job)
        except OSError:
            # It may be readable next time, with the same stamp.
            unread.add(paths.record_name(job))
            raise

    return watched


def _read_rows(
    read_jobs: Callable[..., list[Outcome]], paths: StudyPaths, jobs: list[Job]
) -> tuple[dict[str, pd.DataFrame], dict[str, str]]:
    """The frames of these jobs alone, and the label of each record's dataset."""
    parts = [_make_frames([])]
    labels: dict[str, str] = {}
    for start in range(0, len(jobs), RECORDS_AT_ONCE):
        job_outcomes = read_jobs(jobs=jobs[start : start + RECORDS_AT_ONCE])
        parts.append(_make_frames(job_outcomes))
        labels |= {
            paths.record_name(o.job): one_line(o.record.dataset_label)
            for o in job_outcomes
            if o.record and o.record.dataset_label
        }
    frames = {n: pd.concat([part[n] for part in parts], ignore_index=True) for n in MAKERS}
    return frames, labels


def _merge(
    study: StudySpec,
    cached: Frames,
    fresh: tuple[dict[str, pd.DataFrame], dict[str, str]],
    jobs: list[Job],
    names: list[str],
    changed: list[int],
) -> Frames:
    """Replace the rows of the `changed` jobs, given by their indices, by the `fresh` rows."""
    frames, labels = fresh
    reread = {names[index] for index in changed}
    labels |= {name: label for name, label in cached.labels.items() if name not in reread}
    # As when all records are read: the last record of a dataset labels all of its rows.
    dataset_labels = {job.dataset: job.dataset for job in jobs}
    for job, name in zip(jobs, names, strict=True):
        dataset_labels[job.dataset] = labels.get(name, dataset_labels[job.dataset])
    indices = {_identity(job): index for index, job in enumerate(jobs)}
    for name, new in frames.items():
        frame = _splice(getattr(cached, name), new, indices, changed)
        label = frame["dataset"].map(dataset_labels).astype("str")
        frames[name] = frame.assign(dataset_label=label)
    merged: dict[str, Any] = frames | add_costs(study, frames["runs"], frames["cells"])
    return dataclasses.replace(cached, labels=labels, **merged)


def _splice(
    old: pd.DataFrame, new: pd.DataFrame, indices: Mapping[tuple, int], changed: list[int]
) -> pd.DataFrame:
    old_indices = _index_rows(old, indices)
    unchanged = ~np.isin(old_indices, changed)
    both = pd.concat([old[unchanged], new], ignore_index=True)
    order = np.concatenate([old_indices[unchanged], _index_rows(new, indices)])
    return both.take(order.argsort(kind="stable")).reset_index(drop=True)


def _index_rows(frame: pd.DataFrame, indices: Mapping[tuple, int]) -> np.ndarray:
    """The index of each row's job in the study. The rows of a job are consecutive."""
    identity = frame[IDENTITY]
    starts = (identity != identity.shift()).any(axis=1).to_numpy(dtype=bool)
    firsts = [indices[row] for row in identity[starts].itertuples(index=False, name=None)]
    row_indices: np.ndarray = np.array(firsts, dtype=int)[starts.cumsum() - 1]
    return row_indices


def write_frames(paths: StudyPaths, frames: Frames) -> None:
    """Write `frames` to `paths.frames`. Raises UserError where a file can't be written."""
    sha256 = {}
    for name in MAKERS:
        content = parquet_bytes(getattr(frames, name))
        files.write_bytes(paths.frames / f"{name}.parquet", content)
        sha256[name] = hashlib.sha256(content).hexdigest()
    index = _Index(
        key=frames.key,
        stamps=frames.stamps,
        unlisted=[path.relative_to(paths.root).as_posix() for path in frames.unlisted],
        labels=frames.labels,
        sha256=sha256,
    )
    # Last: until then the digests of the old index don't match the new files.
    files.write_text(paths.frames / "index.json", index.model_dump_json())


def read_frames(paths: StudyPaths, key: str) -> Frames | None:
    """The stored frames, or None without complete frames of this key."""
    try:
        index = _Index.model_validate_json((paths.frames / "index.json").read_bytes())
        if index.key != key:
            return None
        frames = {
            name: _read_parquet(paths.frames / f"{name}.parquet", index.sha256[name])
            for name in MAKERS
        }
    except Exception:
        # Any file may be there, and nothing is lost: the records are read instead.
        return None
    return Frames(
        key=key,
        stamps=index.stamps,
        unlisted=[paths.root / name for name in index.unlisted],
        labels=index.labels,
        **frames,
    )


def _read_parquet(path: Path, sha256: str) -> pd.DataFrame:
    """Read a stored frame. Raises ValueError for another file, or for other columns."""
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(f"{path} is not the file that the index names")
    frame = pd.read_parquet(io.BytesIO(content))
    if not frame.dtypes.equals(MAKERS[path.stem]([]).dtypes):
        raise ValueError(f"{path} has other columns or types")
    return frame
