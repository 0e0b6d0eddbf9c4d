"""Find the record of a job that has another name now: by what it is, not by where it lies.

A variant, a recipe, a dataset or a study may be renamed. What was trained stays true: its record is
found by the digest of its spec, its seed and the fingerprint of its data, and is taken over.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from resnest_bench import records
from resnest_bench.errors import UserError
from resnest_bench.paths import Job, StudyPaths
from resnest_bench.records import Record
from resnest_bench.records.observations import JobIdentity
from resnest_bench.specs.study import StudySpec
from resnest_bench.status.changes import find_change


@dataclass(frozen=True)
class RenamedRecord:
    """What was found for a job: `record` bears the job's names, `was` and `paths` say whose it was."""

    record: Record
    was: Job
    paths: StudyPaths


def find_renamed_record(
    study: StudySpec,
    paths: StudyPaths,
    job: Job,
    fingerprint: str | None,
    code: str | None = None,
) -> RenamedRecord | None:
    """The record of another name that is what `job` would give, or None.

    Args:
        fingerprint: SHA-256 (hex) of the dataset's arrays; None where they are not prepared yet, as
            after an edit of the dataset's path: then a record of other data counts too.
        code: the digest that its code must have; None takes a record of older code too.

    Trainings and fine-tunings are also found in the other studies beside this one. A latency is not:
    it is compared with others that were measured in the same rounds.
    """
    spec = study.job_spec(job)
    for place, path in _list_candidates(study, paths, job):
        record = _read_if_alike(path, job, spec)
        if (
            record is not None
            and record.dataset is not None
            and fingerprint in (None, record.dataset.fingerprint)
            and code in (None, record.code_digest)
        ):
            update = {
                "job": JobIdentity(**vars(job)),
                "spec": spec,
                "dataset": record.dataset.model_copy(update={"name": job.dataset}),
            }
            return RenamedRecord(record.model_copy(update=update), record.job.job, place)
    return None


def _list_candidates(
    study: StudySpec, paths: StudyPaths, job: Job
) -> Iterator[tuple[StudyPaths, Path]]:
    """Record files of the kind and seed of `job` that no job of this study asks for."""
    asked = {paths.record(other) for other in study.jobs()}
    pattern = f"records/{job.kind}/*/*/*/seed-{job.seed}.json"
    places = [paths]
    if job.kind != "latency":
        others = sorted(path.parent for path in paths.root.parent.glob("*/study.json"))
        places += [StudyPaths(root) for root in others if root != paths.root]
    for place in places:
        yield from ((place, p) for p in sorted(place.root.glob(pattern)) if p not in asked)


def _read_if_alike(path: Path, job: Job, spec: dict) -> Record | None:
    """The record at `path` where its spec gives what `spec` gives. Never raises for a bad file."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        # Most candidates are of another network: the whole record is checked only where it counts.
        if find_change(raw["spec"], spec):
            return None
        record = records.read(path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, UserError):
        return None
    is_same = (record.job.kind, record.job.seed) == (job.kind, job.seed)
    return record if is_same and record.status == "ok" else None
