"""Claims about records that a test makes by hand, in memory: nothing is written."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from resnest_bench import records
from resnest_bench.claims.verdicts import ClaimResult, claim_jobs, claim_results
from resnest_bench.frames.rows import build_cells, build_runs
from resnest_bench.paths import Experiment, Job
from resnest_bench.records import Record
from resnest_bench.specs import StudySpec
from resnest_bench.status.outcomes import Outcome
from support.records_factory import CONFIG, make_cell, make_record, make_study

TRAIN = Experiment("train", "low", "quick")
LATENCY = ("latency", "low", "fast")
SEEDS = [0, 1, 2, 3, 4]
# C is A with two cardinal groups; D is the same network as A.
MORE = [
    {
        "name": "C",
        "family": "resnest",
        "layers": [1],
        "radix": 0,
        "cardinality": 2,
        "width": 16,
        "stem": "small",
    },
    {"name": "D", "family": "resnest", "layers": [1], "radix": 0, "width": 16, "stem": "small"},
]


def claim(kind: str, metric: str = "accuracy", name: str = "claim", **fields: Any) -> dict:
    """A claim as a config has it; what a ClaimSpec knows goes there, all else to its test."""
    places = {key: fields.pop(key) for key in ("dataset", "recipe", "protocol") if key in fields}
    test = {"kind": kind, "metric": metric, **fields}
    return {"name": name, "claim": f"It is said that {name}", "test": test, **places}


# What a page of claims has to show: each metric, and one that this study can't test.
SOME_CLAIMS = [
    claim("greater", name="better", a=["B"], b=["A"]),
    claim("greater", name="slower", metric="latency", a=["T"], b=["A", "B"]),
    claim("equivalent", name="alike", a="A", b="B", margin=1),
    claim("greater", name="larger", metric="params", a=["B"], b=["A"]),
    claim("greater", name="gone", a=["Gone"], b=["A"]),
]


def claims_study(*claims: dict, **changes: Any) -> StudySpec:
    """The synthetic study with five seeds, five rounds, variants A, B, T, C and D, and these claims."""
    fields = {
        "seeds": SEEDS,
        "variants": [*CONFIG["variants"], *MORE],
        "claims": list(claims),
        "latency": [{"dataset": "low", "protocol": "fast", "rounds": 5}],
    }
    return make_study(**{**fields, **changes})


def trained(
    study: StudySpec, by_variant: Mapping[str, np.ndarray], place: tuple = TRAIN, **fields: Any
) -> dict[Job, Record]:
    """Trainings with these bits, booleans (seeds, images); seeds are the first of the study."""
    made = {}
    for name, bits_SN in by_variant.items():
        for seed, bits in zip(study.seeds, bits_SN, strict=False):
            job = Job(*place, name, seed)
            record = make_record(
                study, job, accuracy=bits.mean(), num_test=len(bits), **fields.get(name, {})
            )
            train = record.train.model_copy(update={"test_correct": records.pack_bits(bits)})
            made[job] = record.model_copy(update={"train": train})
    return made


def timed(
    study: StudySpec, by_variant: Mapping[str, Sequence[float]], batch_size: int = 1, **fields: Any
) -> dict[Job, Record]:
    """Latencies with these medians in ms, one a round."""
    return {
        Job(*LATENCY, name, number): make_record(
            study,
            Job(*LATENCY, name, number),
            cells=[make_cell(batch_size, [p50_ms] * 5)],
            **fields.get(name, {}),
        )
        for name, medians in by_variant.items()
        for number, p50_ms in enumerate(medians)
    }


def some_bits(
    percent: float,
    seed_points: float,
    rng: np.random.Generator,
    num_images: int = 2000,
    num_seeds: int = 5,
) -> np.ndarray:
    """Bits with this mean accuracy, seeds that differ by about `seed_points`, and images at random."""
    accuracies = percent / 100 + seed_points / 100 * rng.standard_normal(num_seeds)
    return rng.random((num_seeds, num_images)) < accuracies[:, None]


def make_bits(
    differences: Sequence[float],
    rng: np.random.Generator,
    percent: float = 60.0,
    num_images: int = 20_000,
) -> dict[str, np.ndarray]:
    """Bits of A, B and T: B is `differences` points better than A, one a seed; T is far better."""
    base = np.full(len(differences), percent)
    wobble = 0.2 * (-1.0) ** np.arange(len(differences))
    by_variant = {"A": base, "B": base + np.array(differences), "T": base + 20 + wobble}
    image = rng.random(num_images)
    # All networks find the same images hard, so that images leave next to no error.
    return {name: image < values[:, None] / 100 for name, values in by_variant.items()}


def copied(record: Record, job: Job, bits: np.ndarray | None = None) -> Record:
    """The record of another job, with these bits."""
    fields = {**record.model_dump(), "job": vars(job)}
    if bits is not None:
        fields["train"]["test_correct"] = records.pack_bits(bits)
        fields["train"]["epochs"][-1]["test_accuracy"] = bits.mean()
    return Record.model_validate(fields)


def make_outcomes(
    study: StudySpec, made: Mapping[Job, Record], stale: Collection[Job] = ()
) -> list[Outcome]:
    """Outcomes of a study that has these records, some of them stale, and no other."""
    return [_outcome(job, made.get(job), job in stale) for job in study.jobs()]


def _outcome(job: Job, record: Record | None, stale: bool) -> Outcome:
    status, reason = "ok", ""
    if record is None:
        status, reason = "missing", "no record yet"
    elif record.status == "failed":
        status, reason = "failed", record.failure.reason
    elif stale:
        status, reason = "stale", "code changed since"
    return Outcome(job, Path("unread"), status, reason, record)


def make_results(
    study: StudySpec, made: Mapping[Job, Record], stale: Collection[Job] = ()
) -> list[ClaimResult]:
    """What these records say of the study's claims; of the records only those that claims ask for."""
    found = make_outcomes(study, made, stale)
    asked = set(claim_jobs(study))
    return claim_results(
        study, build_runs(found), build_cells(found), [o for o in found if o.job in asked]
    )
