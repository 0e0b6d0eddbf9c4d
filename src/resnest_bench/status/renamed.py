"""Find the record of a renamed job by its content instead of its path.

A variant, a recipe, a dataset or a study may be renamed. Its records remain valid: they are found by their
specs, seeds and data fingerprints, and are reused.
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
    """A record that can be reused for a job.

    `record` has the job's current names; `was` is the job that made it, in the study at `paths`.
    """

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
    """Return a record with another name that has the same spec, seed and data as `job`, or None.

    Args:
        study: the study of `job`.
        paths: of the study.
        job: a job without a record.
        fingerprint: SHA-256 (hex) of the dataset's arrays. None if they are not prepared yet, for example
            after an edit of the dataset's path; then the record's data are not compared.
        code: the required code digest; None also accepts a record of older code.

    Trainings and fine-tunings are also searched for in the other studies of the same results folder.
    Latencies are not, since they are compared with others that were measured in the same rounds.
    """
    spec = study.job_spec(job)
    for source, path in _list_candidates(study, paths, job):
        record = _read_if_same(path, job, spec)
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
            return RenamedRecord(record.model_copy(update=update), record.job.job, source)
    return None


def _list_candidates(
    study: StudySpec, paths: StudyPaths, job: Job
) -> Iterator[tuple[StudyPaths, Path]]:
    """Record files with the kind and seed of `job` that belong to no job of this study."""
    expected = {paths.record(other) for other in study.jobs()}
    pattern = f"records/{job.kind}/*/*/*/seed-{job.seed}.json"
    sources = [paths]
    if job.kind != "latency":
        others = sorted(path.parent for path in paths.root.parent.glob("*/study.json"))
        sources += [StudyPaths(root) for root in others if root != paths.root]
    for source in sources:
        yield from ((source, p) for p in sorted(source.root.glob(pattern)) if p not in expected)


def _read_if_same(path: Path, job: Job, spec: dict) -> Record | None:
    """The record at `path`, or None if its spec, kind or seed differs. Never raises for a bad file."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        # Most candidates are of another network, so compare the specs before validating the whole record.
        if find_change(raw["spec"], spec):
            return None
        record = records.read(path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, UserError):
        return None
    is_same = (record.job.kind, record.job.seed) == (job.kind, job.seed)
    return record if is_same and record.status == "ok" else None
