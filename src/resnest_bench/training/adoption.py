"""Adopt the record and the weights of the same training under another name."""

import logging
import shutil
from pathlib import Path

from resnest_bench import files
from resnest_bench.digests import code_digest
from resnest_bench.errors import UserError
from resnest_bench.models.weights import file_sha256
from resnest_bench.paths import DataPaths, Job, StudyPaths
from resnest_bench.records import Record
from resnest_bench.records.observations import WeightsObservation
from resnest_bench.records.predictions import copy_predictions
from resnest_bench.specs import StudySpec
from resnest_bench.status.renamed import RenamedRecord, find_renamed_record

log = logging.getLogger(__name__)


def adopt_record(study: StudySpec, paths: StudyPaths, job: Job, fingerprint: str) -> Record | None:
    """Return the record of the same training under another name as one of `job`; None if there is none.

    First copies its predictions, and its weights if the study keeps them.
    """
    code = code_digest(job.kind) if study.rerun_on_code_change else None
    found = find_renamed_record(study, paths, job, fingerprint, code)
    if found is None or not _starts_alike(study, paths, job, found.record):
        return None
    if study.keeps_weights(job):
        copied = _copy_weights(found, paths, job)
        if not copied and study.requires_weights(job):
            return None
    copy_predictions(found.paths.predictions(found.was), paths.predictions(job), found.record)
    log.info("%s: the same as %s in %s: using its record", job, found.was, found.paths.root)
    return found.record


def _starts_alike(study: StudySpec, paths: StudyPaths, job: Job, record: Record) -> bool:
    """Return whether a job would use the same initial weights and teacher as `record`."""
    teacher = study.teacher_job(job)
    if teacher and record.train and not _are_at(paths.weights(teacher), record.train.teacher):
        return False
    weights = study.weights(job)
    if weights is None or record.train is None:
        return True
    source = study.source_job(job)
    if source:
        path = paths.weights(source)
    elif weights.file:
        path = Path(weights.file)
    else:
        path = DataPaths(Path(study.data_dir)).hub_weights(str(weights.hub))
    return _are_at(path, record.train.initial_weights)


def _are_at(path: Path, seen: WeightsObservation | None) -> bool:
    try:
        return seen is not None and seen.sha256 == file_sha256(path)
    except UserError:
        return False


def _copy_weights(found: RenamedRecord, paths: StudyPaths, job: Job) -> bool:
    """Copy the record's weights to the path of `job`. Return False if they are missing."""
    source = found.paths.weights(found.was)
    wanted = found.record.train and found.record.train.final_weights_sha256
    if wanted is None or not source.is_file() or file_sha256(source) != wanted:
        return False
    if source != paths.weights(job):
        with files.replacing(paths.weights(job)) as temporary:
            shutil.copyfile(source, temporary)
    return True
