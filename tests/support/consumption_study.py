"""A synthetic study with memory, energy and cost: A takes 2 J, B twice as much, and T's energy is not available."""

from resnest_bench import records
from resnest_bench.paths import StudyPaths
from resnest_bench.records.consumption import Consumption
from resnest_bench.specs import StudySpec
from support.records_factory import make_record, make_study

ROUNDS = 4
REASON = "not available here: no energy counter"


def cell(batch, joules, mib, **fields):
    return {
        "batch_size": batch,
        "precision": "fp32",
        "layout": "channels_last",
        "mode": "eager",
        "joules": joules and {"package": 10 * batch * joules},
        "num_calls": 10,
        "seconds": 1.0,
        "resident_bytes": mib * 2**20,
        "resident_before_bytes": 50 * 2**20,
        **fields,
    }


def consume(joules, mib, number, reference=1.0):
    """Two joules an image or more, in each round a little more; the reference network takes one."""
    slow = 1 + 0.01 * number
    gap = {"quantity": "energy", "reason": REASON}
    return Consumption.model_validate(
        {
            "meter": "fake",
            "cells": [cell(b, joules and joules * slow, mib + number) for b in (1, 8)],
            "gaps": [] if joules else [gap],
            "reference_before_joules": reference if joules else None,
            "reference_after_joules": reference if joules else None,
        }
    )


def consumption_study(claims: list[dict]) -> StudySpec:
    return make_study(
        claims=claims,
        finetune=[],
        protocols={"fast": {"batch_sizes": [1, 8], "memory": True, "energy_seconds": 10}},
        latency=[{"dataset": "low", "protocol": "fast", "rounds": ROUNDS}],
        tables={"tradeoff": {}, "price_per_hour": 3.6},
    )


def write_consumption(study: StudySpec, paths: StudyPaths) -> None:
    """A record for every job."""
    for job in study.jobs():
        if job.kind != "latency":
            records.write(paths.record(job), make_record(study, job, accuracy=0.6))
            continue
        joules, mib = {"A": (2.0, 100), "B": (4.0, 200), "T": (None, 300)}[job.variant]
        # B's jobs find the reference network 2 % hungrier.
        reference = 1.02 if job.variant == "B" else 1.0
        # B's rounds drift twice as fast: equal ratios would have no spread.
        step = 2 * job.seed if job.variant == "B" else job.seed
        p50_ms = (1 + 0.01 * step) * (4.0 if job.variant == "B" else 2.0)
        made = make_record(study, job, p50_ms=p50_ms)
        used = consume(joules, mib, step, reference)
        records.write(paths.record(job), made.model_copy(update={"consumption": used}))
