"""A study whose records say in every free text what a browser must not take for HTML or a script."""

from pathlib import Path

import numpy as np

from resnest_bench import records
from resnest_bench.paths import Job, StudyPaths
from resnest_bench.specs import StudySpec
from support.claims_study import SOME_CLAIMS
from support.pages import HOSTILE
from support.records_factory import (
    FINGERPRINT,
    make_cell,
    make_failed_record,
    make_record,
    make_study,
    with_predictions,
    write_study,
)


def write_hostile_study(results: Path) -> tuple[StudySpec, StudyPaths]:
    """A study with records of all kinds, one of them failed, one that is no JSON."""
    evil = {"claim": HOSTILE[0], "source": HOSTILE[1]}
    study = make_study(study="hostile", claims=[made | evil for made in SOME_CLAIMS])
    paths = study.paths(results)
    write_study(study, paths)
    for place, job in enumerate(study.jobs()):
        text = HOSTILE[place % len(HOSTILE)]
        record = _hostile_record(study, job, text)
        if record.train:
            record = with_predictions(record, paths.record(job), 0.6, np.arange(100) % len(HOSTILE))
        records.write(paths.record(job), record)
    failed = Job("train", "low", "quick", "A", 0)
    records.write(paths.record(failed), make_failed_record(failed, {}, " ".join(HOSTILE)))
    paths.record(Job("latency", "low", "fast", "T", 0)).write_text(HOSTILE[1])
    return study, paths


def _hostile_record(study: StudySpec, job: Job, text: str) -> records.Record:
    device = {
        "device_name": text,
        "cpu_model": text,
        "git_commit": text,
        "os": text,
        "python": text,
        "versions": {"torch": text, text: text},
    }
    data = {
        "name": job.dataset,
        "label": HOSTILE[1],
        "fingerprint": FINGERPRINT,
        "num_train": 400,
        "num_validation": 0,
        "num_test": 100,
        "classes": HOSTILE,
    }
    fields = {"device": device, "dataset": data}
    if job.kind == "latency":
        gap = {"batch_size": 8, "precision": text, "layout": text, "mode": text, "reason": text}
        cells = [make_cell(1, [1.0, 2.0, 9.0], precision=text, mode=text, layout=text)]
        fields |= {"cells": cells, "unavailable": (gap,)}
    return make_record(study, job, **fields)
