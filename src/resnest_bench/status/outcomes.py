"""What became of each job of a study: its record, or the reason why there is none to trust.

Plan, workflow, jobs, tables and dashboard all ask here, so that none of them can say another thing.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from resnest_bench import records
from resnest_bench.digests import code_digest
from resnest_bench.errors import UserError
from resnest_bench.paths import Job, StudyPaths
from resnest_bench.records import Record
from resnest_bench.specs import StudySpec
from resnest_bench.status.changes import find_change
from resnest_bench.status.fingerprints import name_weights
from resnest_bench.status.scan import scan_records

STATUSES = ("ok", "stale", "failed", "missing", "invalid")
NO_RECORD = "no record yet"
CODE_CHANGED = "code changed since"
Reader = Callable[[Path, Job], Record]


@dataclass(frozen=True)
class Outcome:
    """One expected job. `record` is None where status is missing or invalid.

    status is one of STATUSES; `reason` is empty where it is ok. `to_do`: the next run makes its record,
    for the first time or anew.
    """

    job: Job
    path: Path
    status: str
    reason: str
    record: Record | None
    to_do: bool = False

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

    `fingerprints` is from `read_fingerprints`; a record of other data or weights is stale.
    `read` may be a caching stand-in for `records.read`. `jobs` asks for some of the study's alone.
    """
    asked = study.jobs() if jobs is None else jobs
    return [judge(study, paths, job, fingerprints or {}, read) for job in asked]


def judge(
    study: StudySpec,
    paths: StudyPaths,
    job: Job,
    fingerprints: Mapping[str, str],
    read: Reader = records.read,
) -> Outcome:
    """What became of one job: see `outcomes`, which asks for many."""
    path = paths.record(job)
    if not path.exists():
        return Outcome(job, path, "missing", NO_RECORD, None, to_do=True)
    try:
        record = read(path, job)
    except UserError as error:
        return Outcome(job, path, "invalid", str(error), None, to_do=True)
    except OSError as error:
        # Something else lies in its place, like a folder, or it may not be read.
        reason = f"record {path} cannot be read: {error.strerror}"
        return Outcome(job, path, "invalid", reason, None, to_do=True)
    record = _relabel(study, job, record)
    changed = _find_input_change(study, job, record, fingerprints)
    code_changed = not paths.is_reference and record.code_digest != code_digest(job.kind)
    stale = changed or (CODE_CHANGED if code_changed else "")
    # A training that an old version of the code made is kept, unless the study says otherwise.
    follows_code = job.kind == "latency" or study.rerun_on_code_change
    to_do = bool(changed) or (code_changed and follows_code)
    if record.status == "failed":
        reason = _failure_reason(record) + (f" (stale: {stale})" if stale else "")
        return Outcome(job, path, "failed", reason, record, to_do)
    return Outcome(job, path, "stale" if stale else "ok", stale, record, to_do)


def _relabel(study: StudySpec, job: Job, record: Record) -> Record:
    """The record with the label that the study gives its data now: a text, and no result."""
    label = getattr(study.dataset(job.dataset), "label", "")
    if not label or record.dataset is None or record.dataset.label == label:
        return record
    return record.model_copy(update={"dataset": record.dataset.model_copy(update={"label": label})})


def _failure_reason(record: Record) -> str:
    failure = record.failure
    assert failure is not None, "`read` takes no other failed record"
    where = "" if failure.epoch is None else f"epoch {failure.epoch}"
    return (
        f"{failure.reason} at {where}"
        if where and where not in failure.reason
        else (failure.reason)
    )


def _find_input_change(
    study: StudySpec, job: Job, record: Record, fingerprints: Mapping[str, str]
) -> str:
    """Why `record` is not what `job` would give now, but for the code; '' if nothing says so."""
    change = find_change(record.spec, study.job_spec(job))
    if change:
        return f"spec changed: {change}"
    now = fingerprints.get(job.dataset)
    if now and record.dataset and record.dataset.fingerprint != now:
        return "data changed"
    weights = study.weights(job)
    seen = record.train.initial_weights if record.train else None
    now = fingerprints.get(name_weights(weights)) if weights else None
    if now and seen and seen.sha256 != now:
        return "weights changed"
    return ""


def unlisted_records(study: StudySpec, paths: StudyPaths) -> list[Path]:
    """Record files that no job of the study asks for, sorted: of a removed variant, say."""
    asked = {paths.record_name(job) for job in study.jobs()}
    return sorted(paths.root / name for name in scan_records(paths).keys() - asked)
