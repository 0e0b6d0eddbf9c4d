"""The latency job: measure a variant at a dataset's image size, and write the record."""

import logging
from pathlib import Path

import torch

from resnest_bench import files, records
from resnest_bench.data import open_prepared
from resnest_bench.device.environment import describe
from resnest_bench.digests import code_digest
from resnest_bench.errors import UserError
from resnest_bench.measure.consumption import measure_consumption
from resnest_bench.measure.identity import dataset_identity, now
from resnest_bench.measure.latency import measure_latency
from resnest_bench.paths import Job
from resnest_bench.records import Record
from resnest_bench.records.observations import JobIdentity
from resnest_bench.specs import StudySpec
from resnest_bench.status.outcomes import judge
from resnest_bench.status.renamed import find_renamed_record

log = logging.getLogger(__name__)


def run_latency_job(
    study: StudySpec,
    dataset: str,
    protocol: str,
    variant: str,
    device: torch.device,
    results: Path = Path("results"),
    round_number: int = 0,
) -> Record:
    """Measure one round and write its record, or return the existing record if it is current.

    Raises UserError for anything that the user can fix.
    """
    job = Job("latency", dataset, protocol, variant, round_number)
    if job not in study.own_jobs():
        raise UserError(f"study {study.study!r} has no job {job}: see `resnest-bench plan`")
    paths = study.paths(results)
    files.check_writable(paths.root)
    data = open_prepared(study.prepared(dataset))
    current = judge(study, paths, job, {dataset: data.meta.fingerprint})
    if current.record is not None and not current.to_do:
        log.info("%s: the record is current; to measure again, delete %s", job, current.path)
        current.path.touch()
        return current.record
    code = code_digest("latency")
    renamed = find_renamed_record(study, paths, job, data.meta.fingerprint, code)
    if renamed:
        log.info("%s: reusing the record of %s, which is the same job", job, renamed.was)
        records.write(paths.record(job), renamed.record)
        return renamed.record
    started = now()
    observed = measure_latency(
        study.variant(variant),
        len(data.meta.classes),
        data.meta.image_size,
        study.protocol(protocol),
        device,
        data.meta.num_channels,
    )
    consumption = measure_consumption(
        study.variant(variant), observed, study.protocol(protocol), device
    )
    record = Record(
        job=JobIdentity(**vars(job)),
        status="ok",
        failure=None,
        spec=study.job_spec(job),
        code_digest=code,
        dataset=dataset_identity(data, len(data.train), 0),
        train=None,
        latency=observed,
        consumption=consumption,
        environment=describe(device),
        started_at=started,
        finished_at=now(),
    )
    records.write(paths.record(job), record)
    return record
