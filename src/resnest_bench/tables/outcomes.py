"""What became of each job of a study: its record, or the reason why there is none to trust."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resnest_bench import records
from resnest_bench.digests import code_digest
from resnest_bench.errors import UserError
from resnest_bench.paths import Job, StudyPaths
from resnest_bench.records import Record
from resnest_bench.specs import StudySpec
from resnest_bench.tables.scan import scan_records

STATUSES = ("ok", "stale", "failed", "missing", "invalid")
NO_RECORD = "no record yet"
Reader = Callable[[Path, Job], Record]


@dataclass(frozen=True)
class Outcome:
    """One expected job. `record` is None where status is missing or invalid.

    status is one of STATUSES; `reason` is empty where it is ok.
    """

    job: Job
    path: Path
    status: str
    reason: str
    record: Record | None

    @property
    def usable(self) -> bool:
        """Whether its values may be shown (marked, where stale)."""
        return self.status in ("ok", "stale")


def outcomes(
    study: StudySpec,
    paths: StudyPaths,
    fingerprints: Mapping[str, str] | None = None,
    read: Reader = records.read,
    jobs: Iterable[Job] | None = None,
) -> list[Outcome]:
    """One outcome for each of `study.jobs()`, in that order. Never raises for a bad record.

    `fingerprints` maps a dataset's name to its data's SHA-256 now; a record of other data is stale.
    `read` may be a caching stand-in for `records.read`. `jobs` asks for some of the study's alone.
    """
    asked = study.jobs() if jobs is None else jobs
    return [_outcome(study, paths, job, fingerprints or {}, read) for job in asked]


def _outcome(
    study: StudySpec, paths: StudyPaths, job: Job, fingerprints: Mapping[str, str], read: Reader
) -> Outcome:
    path = paths.record(job)
    if not path.exists():
        return Outcome(job, path, "missing", NO_RECORD, None)
    try:
        record = read(path, job)
    except UserError as error:
        return Outcome(job, path, "invalid", str(error), None)
    except OSError as error:
        # Something else lies in its place, like a folder, or it may not be read.
        reason = f"record {path} cannot be read: {error.strerror}"
        return Outcome(job, path, "invalid", reason, None)
    stale = stale_reason(study, job, record, fingerprints, follows_code=not paths.is_reference)
    if record.status == "failed":
        reason = _failure_reason(record) + (f" (stale: {stale})" if stale else "")
        return Outcome(job, path, "failed", reason, record)
    return Outcome(job, path, "stale" if stale else "ok", stale, record)


def _failure_reason(record: Record) -> str:
    failure = record.failure
    assert failure is not None, "`read` takes no other failed record"
    where = "" if failure.epoch is None else f"epoch {failure.epoch}"
    return f"{failure.reason} at {where}" if where and where not in failure.reason else (
        failure.reason
    )  # fmt: skip


def stale_reason(
    study: StudySpec,
    job: Job,
    record: Record,
    fingerprints: Mapping[str, str],
    follows_code: bool = True,
) -> str:
    """Why `record` is not what `job` would give now, or an empty text if nothing says so.

    A reference run does not follow the code: it stands for the commit that its records name.
    """
    difference = first_difference(record.spec, study.job_spec(job))
    if difference:
        return f"spec changed: {difference}"
    if follows_code and record.code_digest != code_digest(job.kind):
        return "code changed since"
    now = fingerprints.get(job.dataset)
    if now and record.dataset and record.dataset.fingerprint != now:
        return "data changed"
    return ""


_ABSENT = object()


def first_difference(was: Any, now: Any, where: str = "") -> str:
    """The first leaf in which two JSON values differ: 'FIELD.PATH was X, is Y'; else ''."""
    if isinstance(was, dict) and isinstance(now, dict):
        for key in [*now, *(key for key in was if key not in now)]:
            place = f"{where}.{key}" if where else str(key)
            found = first_difference(was.get(key, _ABSENT), now.get(key, _ABSENT), place)
            if found:
                return found
        return ""
    if was == now and isinstance(was, bool) == isinstance(now, bool):
        return ""
    return f"{where} was {_leaf(was)}, is {_leaf(now)}"


def _leaf(value: Any) -> str:
    return "absent" if value is _ABSENT else json.dumps(value, ensure_ascii=False)


def unlisted_records(study: StudySpec, paths: StudyPaths) -> list[Path]:
    """Record files that no job of the study asks for, sorted: of a removed variant, say."""
    asked = {paths.record_name(job) for job in study.jobs()}
    return sorted(paths.root / name for name in scan_records(paths).keys() - asked)


def prepared_fingerprints(study: StudySpec) -> dict[str, str]:
    """Dataset's name to the fingerprint of its prepared arrays, where they are on this machine."""
    found = {}
    for name in study.datasets:
        try:
            meta = json.loads((study.prepared(name) / "meta.json").read_text(encoding="utf-8"))
            found[name] = str(meta["fingerprint"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            # Not prepared here, or half-prepared: whether the data changed can't be told.
            continue
    return found
