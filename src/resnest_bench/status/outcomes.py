"""The outcome of each job of a study: its record, or why there is no valid one.

Plan, workflow, jobs, tables and dashboard all use this module, so that they agree.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from resnest_bench import records
from resnest_bench.digests import code_digest
from resnest_bench.errors import UserError
from resnest_bench.paths import Job, StudyPaths
from resnest_bench.records import Record
from resnest_bench.records.imports import EvaluationSource
from resnest_bench.specs import StudySpec
from resnest_bench.status.changes import find_change
from resnest_bench.status.fingerprints import name_weights
from resnest_bench.status.scan import scan_records

STATUSES = ("ok", "stale", "failed", "missing", "invalid")
NO_RECORD = "no record yet"
NOT_IMPORTED = "its imported record is gone: import it again"
MEASURE_AGAIN = " (measure it there with a new bundle)"
CODE_CHANGED = "code changed since"
TRAINED_AGAIN = "its network was trained again: evaluate it again"
Reader = Callable[[Path, Job], Record]


@dataclass(frozen=True)
class Outcome:
    """The outcome of one job of a study.

    Attributes:
        job: of the study.
        path: of its record, which may not exist.
        status: one of STATUSES.
        reason: why the status is not "ok"; '' otherwise.
        record: None if the status is "missing" or "invalid".
        to_do: whether the next run makes the record, for the first time or again.
    """

    job: Job
    path: Path
    status: str
    reason: str
    record: Record | None
    to_do: bool = False

    @property
    def usable(self) -> bool:
        """Whether its values may be shown; stale ones are marked."""
        return self.status in ("ok", "stale")


def outcomes(
    study: StudySpec,
    paths: StudyPaths,
    fingerprints: Mapping[str, str] | None = None,
    read: Reader = records.read,
    jobs: Iterable[Job] | None = None,
) -> list[Outcome]:
    """Return one outcome per job, in the order of the jobs. Never raises for a bad record.

    Args:
        study: the study.
        paths: of the study.
        fingerprints: from `read_fingerprints`. A record made with other data or weights is stale.
        read: `records.read`, or a cached version of it.
        jobs: the jobs to judge; by default all of `study.jobs()`.
    """
    judged = study.jobs() if jobs is None else jobs
    return [judge(study, paths, job, fingerprints or {}, read) for job in judged]


def judge(
    study: StudySpec,
    paths: StudyPaths,
    job: Job,
    fingerprints: Mapping[str, str],
    read: Reader = records.read,
) -> Outcome:
    """Return the outcome of one job. Arguments as in `outcomes`."""
    path = paths.record(job)
    if study.is_imported(job):
        return _judge_imported(study, paths, job, read)
    if not path.exists():
        return Outcome(job, path, "missing", NO_RECORD, None, to_do=True)
    try:
        record = read(path, job)
    except UserError as error:
        return Outcome(job, path, "invalid", str(error), None, to_do=True)
    except OSError as error:
        # The path is something else, like a folder, or reading it is not permitted.
        reason = f"record {path} cannot be read: {error.strerror}"
        return Outcome(job, path, "invalid", reason, None, to_do=True)
    record = _relabel(study, job, record)
    changed = _find_input_change(study, job, record, fingerprints)
    code_changed = not paths.is_reference and record.code_digest != code_digest(job.kind)
    stale = changed or (CODE_CHANGED if code_changed else "")
    # A training made by an older version of the code is kept, unless the study says otherwise.
    follows_code = job.kind in ("latency", "deploy") or study.rerun_on_code_change
    to_do = bool(changed) or (code_changed and follows_code)
    if record.status == "failed":
        reason = _failure_reason(record) + (f" (stale: {stale})" if stale else "")
        return Outcome(job, path, "failed", reason, record, to_do)
    return Outcome(job, path, "stale" if stale else "ok", stale, record, to_do)


def _judge_imported(study: StudySpec, paths: StudyPaths, job: Job, read: Reader) -> Outcome:
    """No run makes the record again. Results from elsewhere are never stale.

    An evaluation is stale if its network was trained again, and the latency of a bundle if its network
    has changed since.
    """
    path = paths.record(job)
    if not path.exists():
        return Outcome(job, path, "missing", NOT_IMPORTED, None)
    try:
        record = read(path, job)
    except UserError as error:
        return Outcome(job, path, "invalid", str(error), None)
    except OSError as error:
        reason = f"record {path} cannot be read: {error.strerror}"
        return Outcome(job, path, "invalid", reason, None)
    if record.imported is None and record.elsewhere is None:
        return Outcome(job, path, "invalid", f"record {path} is not an imported one", None)
    record = _relabel(study, job, record)
    if record.elsewhere is not None:
        # The networks of a bundle are the study's own, and can change.
        change = find_change(record.spec, study.job_spec(job))
        stale = f"spec changed: {change}{MEASURE_AGAIN}" if change else ""
    else:
        assert record.imported is not None
        stale = _find_retraining(paths, record.imported.evaluation, read)
    return Outcome(job, path, "stale" if stale else "ok", stale, record)


def _find_retraining(paths: StudyPaths, evaluated: EvaluationSource | None, read: Reader) -> str:
    """Why the network that was evaluated is not the study's any more; '' if it is."""
    if evaluated is None:
        return ""
    try:
        job = evaluated.trained.job
        record = read(paths.record(job), job)
    except (ValueError, OSError):
        # Only its evaluation may have been copied here.
        return ""
    now = record.train and record.train.final_weights_sha256
    return "" if now == evaluated.weights_sha256 else TRAINED_AGAIN


def _relabel(study: StudySpec, job: Job, record: Record) -> Record:
    """The record with the current label of its dataset, which does not affect results."""
    label = getattr(study.dataset(job.dataset), "label", "")
    if record.imported and label:
        imported = record.imported.model_copy(update={"dataset_label": label})
        record = record.model_copy(update={"imported": imported})
    if not label or record.dataset is None or record.dataset.label == label:
        return record
    return record.model_copy(update={"dataset": record.dataset.model_copy(update={"label": label})})


def _failure_reason(record: Record) -> str:
    failure = record.failure
    assert failure is not None, "`read` rejects a failed record without one"
    where = "" if failure.epoch is None else f"epoch {failure.epoch}"
    return (
        f"{failure.reason} at {where}"
        if where and where not in failure.reason
        else (failure.reason)
    )


def _find_input_change(
    study: StudySpec, job: Job, record: Record, fingerprints: Mapping[str, str]
) -> str:
    """How the inputs of `job` (spec, data, weights) differ from those of `record`; '' if they don't."""
    change = find_change(record.spec, study.job_spec(job))
    if change:
        return f"spec changed: {change}"
    now = fingerprints.get(job.dataset)
    if now and record.dataset and record.dataset.fingerprint != now:
        return "data changed"
    weights = study.weights(job)
    recorded = record.train.initial_weights if record.train else None
    now = fingerprints.get(name_weights(weights)) if weights else None
    if now and recorded and recorded.sha256 != now:
        return "weights changed"
    return ""


def unlisted_records(study: StudySpec, paths: StudyPaths) -> list[Path]:
    """Return the record files that belong to no job of the study, sorted; for example of a removed variant.

    Trials of a search belong to it, although tables leave them out.
    """
    expected = {paths.record_name(job) for job in (*study.jobs(), *study.trial_jobs)}
    return sorted(paths.root / name for name in scan_records(paths).keys() - expected)
