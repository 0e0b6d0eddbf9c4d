"""A study's frames, kept: of ten thousand records only those that changed are read again.

`results/<study>/frames/` is a cache. Whatever is wrong with it, the records are read instead.
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
from resnest_bench.frames.files import parquet_bytes
from resnest_bench.frames.rows import build_cells, build_epochs, build_runs, one_line
from resnest_bench.paths import Job, StudyPaths
from resnest_bench.specs import StudySpec
from resnest_bench.status.outcomes import Outcome, Reader, outcomes
from resnest_bench.status.scan import Stamps, read_stamps, scan_records

__all__ = ["Frames", "frames_key", "load_frames", "read_frames", "scan_records", "write_frames"]

MAKERS = {"runs": build_runs, "cells": build_cells, "epochs": build_epochs}
IDENTITY = ["kind", "dataset", "recipe", "variant", "seed"]
_identity = operator.attrgetter(*IDENTITY)
# A record takes ten times the memory of its rows, so that few are held at once.
RECORDS_AT_ONCE = 500


@dataclass(frozen=True, eq=False)
class Frames:
    """What the records of a study said when they had these stamps. Shared: change none of it.

    `key` is from `frames_key`; `stamps` are (modification time in ns, size in bytes) by the
    record's path relative to the study's folder. `runs`, `cells` and `epochs` are as `build_runs`,
    `build_cells` and `build_epochs` make them; `unlisted` is as from `unlisted_records`. `labels` holds
    how each record calls its dataset, by the same path.
    """

    key: str
    stamps: Stamps
    runs: pd.DataFrame
    cells: pd.DataFrame
    epochs: pd.DataFrame
    unlisted: list[Path]
    labels: dict[str, str]


class _Index(BaseModel):
    """index.json: all of Frames but the frames themselves, which it knows by their SHA-256 (hex)."""

    key: str
    stamps: Stamps
    unlisted: list[str]
    labels: dict[str, str]
    sha256: dict[str, str]


def frames_key(study: StudySpec, paths: StudyPaths, fingerprints: Mapping[str, str]) -> str:
    """Digest of all that decides a row besides the record files: study, data, code, schema."""
    kinds = ("train", "finetune", "latency", "tables")
    return json_digest(
        {
            "study": study.digest,
            # Of an adaptive study, those of its looks too.
            "jobs": [paths.record_name(job) for job in study.jobs()] if study.adaptive else None,
            "code": [*(code_digest(kind) for kind in kinds), uncounted_digest()],
            "fingerprints": dict(fingerprints),
            "schema_version": records.SCHEMA_VERSION,
            "is_reference": paths.is_reference,
        }
    )


def load_frames(
    study: StudySpec,
    paths: StudyPaths,
    fingerprints: Mapping[str, str],
    previous: Frames | None = None,
    read: Reader = records.read,
) -> Frames:
    """The study's frames now. Records whose stamp is as in `previous`, else on disk, aren't read.

    `previous` and the stored frames count only where they have the same key. `fingerprints` and
    `read` are those of `outcomes`. Writes nothing. Never raises for a bad record or a bad store.
    """
    key, jobs = frames_key(study, paths, fingerprints), study.jobs()
    names = [paths.record_name(job) for job in jobs]
    stamps = read_stamps(paths, names)
    known = previous if previous and previous.key == key else read_frames(paths, key)
    if known is None or len(known.runs) != len(jobs):
        known, again = _nothing(key), list(range(len(jobs)))
    else:
        moved = known.runs["record"].iloc[0] != str(paths.record(jobs[0]))
        if stamps == known.stamps and not moved:
            return known
        again = _places_to_read(known, names, stamps, moved)
        if moved:
            known = _readdressed(known, [str(paths.record(job)) for job in jobs])
    unread: set[str] = set()
    ask = functools.partial(outcomes, study, paths, fingerprints, _watched(read, paths, unread))
    fresh = _rows(ask, paths, [jobs[place] for place in again])
    return dataclasses.replace(
        _merged(known, fresh, jobs, names, again),
        stamps={name: stamp for name, stamp in stamps.items() if name not in unread},
        unlisted=sorted(paths.root / name for name in stamps.keys() - set(names)),
    )


def _nothing(key: str) -> Frames:
    return Frames(key=key, stamps={}, unlisted=[], labels={}, **_frames([]))


def _frames(found: list[Outcome]) -> dict[str, pd.DataFrame]:
    return {name: make(found) for name, make in MAKERS.items()}


def _readdressed(known: Frames, files: list[str]) -> Frames:
    record = pd.Series(files, dtype="str")
    return dataclasses.replace(known, runs=known.runs.assign(record=record))


def _places_to_read(known: Frames, names: list[str], stamps: Stamps, moved: bool) -> list[int]:
    """Places in the list of jobs of those whose record is new, changed or gone."""
    changed = np.array([stamps.get(name) != known.stamps.get(name) for name in names])
    if moved:
        # What is wrong with an invalid record is said with its path.
        changed |= (known.runs["status"] == "invalid").to_numpy()
    return np.flatnonzero(changed).tolist()


def _watched(read: Reader, paths: StudyPaths, unread: set[str]) -> Reader:
    """`read`, noting in `unread` the names of records that the system would not give."""

    def watched(path: Path, job: Job) -> records.Record:
        try:
            return read(path, job)
        except OSError:
            # It may well give them next time, and the stamp would be the same.
            unread.add(paths.record_name(job))
            raise

    return watched


def _rows(
    ask: Callable[..., list[Outcome]], paths: StudyPaths, jobs: list[Job]
) -> tuple[dict[str, pd.DataFrame], dict[str, str]]:
    """The frames of these jobs alone, and how each record calls its dataset."""
    parts = [_frames([])]
    labels: dict[str, str] = {}
    for start in range(0, len(jobs), RECORDS_AT_ONCE):
        found = ask(jobs=jobs[start : start + RECORDS_AT_ONCE])
        parts.append(_frames(found))
        labels |= {
            paths.record_name(o.job): one_line(o.record.dataset.label)
            for o in found
            if o.record and o.record.dataset
        }
    whole = {n: pd.concat([part[n] for part in parts], ignore_index=True) for n in MAKERS}
    return whole, labels


def _merged(
    known: Frames,
    fresh: tuple[dict[str, pd.DataFrame], dict[str, str]],
    jobs: list[Job],
    names: list[str],
    again: list[int],
) -> Frames:
    """`known` with the rows of the jobs at the places `again` replaced by the `fresh` ones."""
    frames, labels = fresh
    reread = {names[place] for place in again}
    labels |= {name: label for name, label in known.labels.items() if name not in reread}
    # As aggregate labels rows: the last record of a dataset says it for all of its rows.
    of_dataset = {job.dataset: job.dataset for job in jobs}
    for job, name in zip(jobs, names, strict=True):
        of_dataset[job.dataset] = labels.get(name, of_dataset[job.dataset])
    places = {_identity(job): place for place, job in enumerate(jobs)}
    for name, new in frames.items():
        frame = _spliced(getattr(known, name), new, places, again)
        label = frame["dataset"].map(of_dataset).astype("str")
        frames[name] = frame.assign(dataset_label=label)
    spliced: dict[str, Any] = frames
    return dataclasses.replace(known, labels=labels, **spliced)


def _spliced(
    old: pd.DataFrame, new: pd.DataFrame, places: Mapping[tuple, int], again: list[int]
) -> pd.DataFrame:
    where = _places(old, places)
    kept = ~np.isin(where, again)
    both = pd.concat([old[kept], new], ignore_index=True)
    order = np.concatenate([where[kept], _places(new, places)]).argsort(kind="stable")
    return both.take(order).reset_index(drop=True)


def _places(frame: pd.DataFrame, places: Mapping[tuple, int]) -> np.ndarray:
    """For each row the place of its job in the study. The rows of a job stand together."""
    identity = frame[IDENTITY]
    starts = (identity != identity.shift()).any(axis=1).to_numpy(dtype=bool)
    firsts = [places[row] for row in identity[starts].itertuples(index=False, name=None)]
    found: np.ndarray = np.array(firsts, dtype=int)[starts.cumsum() - 1]
    return found


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
    # Last: until it is there, the old one's digests don't fit the new files.
    files.write_text(paths.frames / "index.json", index.model_dump_json())


def read_frames(paths: StudyPaths, key: str) -> Frames | None:
    """The stored frames, or None where there are none with this key that are whole."""
    try:
        index = _Index.model_validate_json((paths.frames / "index.json").read_bytes())
        if index.key != key:
            return None
        frames = {
            name: _read_parquet(paths.frames / f"{name}.parquet", index.sha256[name])
            for name in MAKERS
        }
    except Exception:
        # Anything may lie there, and nothing is lost: the records are read instead.
        return None
    return Frames(
        key=key,
        stamps=index.stamps,
        unlisted=[paths.root / name for name in index.unlisted],
        labels=index.labels,
        **frames,
    )


def _read_parquet(path: Path, sha256: str) -> pd.DataFrame:
    """Raises ValueError where the file is not that one, or not a frame of its name."""
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(f"{path} is not the file that the index names")
    frame = pd.read_parquet(io.BytesIO(content))
    if not frame.dtypes.equals(MAKERS[path.stem]([]).dtypes):
        raise ValueError(f"{path} has other columns or types")
    return frame
