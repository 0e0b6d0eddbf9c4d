"""What bounds a latency: the largest share, by hand, and the best ceilings of a device's jobs."""

import json

import numpy as np
import pytest

from resnest_bench.results import StudyResults
from resnest_bench.tables.roofline import ARITHMETIC, NONE, OVERHEAD, describe_bounds
from support.records_factory import make_latency_record, make_study

CEILINGS = {
    "runtime": "torch",
    "precision": "fp32",
    "flops_per_second": 1e10,
    "bytes_per_second": 1e9,
    "operator_ms": 0.05,
}


@pytest.fixture
def table(tmp_path):
    """A takes 2 ms a call, B 10 ms; of T nothing about the device is known. The second job was disturbed."""
    study = make_study(train=[], finetune=[], tables={"tradeoff": {}})
    paths = study.paths(tmp_path / "results")
    slower = {**CEILINGS, "flops_per_second": 5e9, "operator_ms": 0.2}
    for job in study.jobs():
        record = make_latency_record(
            job, study.job_spec(job), p50_ms={"A": 2.0, "B": 10.0, "T": 3.0}[job.variant]
        )
        known = {"A": [CEILINGS], "B": [slower], "T": []}[job.variant]
        raw = record.model_dump(mode="json")
        raw["latency"] |= {"ceilings": known, "num_operators": 20 if known else None}
        record = type(record).model_validate(raw)
        path = paths.record(job)
        path.parent.mkdir(parents=True)
        path.write_text(record.model_dump_json())
    return StudyResults(study, paths).roofline.set_index(["variant", "batch_size"])


def test_the_largest_share_bounds_the_latency(table):
    # 5,000,000 multiply-accumulates at 1e10 operations a second are 1 ms, half of the 2 ms.
    row = table.loc[("A", 1)]
    assert row["arithmetic_ms"] == pytest.approx(1.0)
    # 20 operators of 0.05 ms take as long; 81,000 numbers of 4 bytes at 1e9 a second 0.324 ms.
    assert row["overhead_ms"] == pytest.approx(1.0)
    assert row["memory_ms"] == pytest.approx(0.324)
    assert row["share"] == pytest.approx(0.5)
    batch = table.loc[("A", 8)]
    # Eight images: 8 of 8 ms.
    assert (batch["bound_by"], batch["share"]) == (ARITHMETIC, pytest.approx(1.0))


def test_the_best_ceilings_of_the_device_count_for_all(table):
    assert set(table["ceiling_gflops_per_second"]) == {10.0}
    assert set(table["ceiling_operator_us"]) == {50.0}


def test_a_small_share_explains_nothing(table):
    row = table.loc[("B", 1)]
    assert (row["bound_by"], row["share"]) == (NONE, pytest.approx(0.1))
    assert OVERHEAD not in set(table["bound_by"])


def test_without_ceilings_there_is_no_row(table):
    assert "T" not in table.index.get_level_values("variant")


def test_a_sentence_for_each_setting(table):
    said = describe_bounds(table.reset_index())
    assert len(said) == 2
    assert "A (50 %)" in said[0]
    assert not any("nan" in sentence for sentence in said)
    assert np.isfinite(table["operations_per_byte"]).all()


def test_data_in_a_cache_is_not_bound_by_memory(tmp_path):
    study = make_study(train=[], finetune=[], tables={"tradeoff": {}})
    paths = study.paths(tmp_path / "results")
    job = study.jobs()[0]
    raw = make_latency_record(job, study.job_spec(job), p50_ms=2.0).model_dump(mode="json")
    # 81,000 numbers of 4 bytes at 1e8 a second take 3.24 ms, and the call only 2 ms.
    raw["latency"] |= {"ceilings": [{**CEILINGS, "bytes_per_second": 1e8}], "num_operators": 20}
    path = paths.record(job)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(raw))
    row = StudyResults(study, paths).roofline.set_index("batch_size").loc[1]
    assert row["memory_ms"] == pytest.approx(3.24)
    assert row["bound_by"] in (ARITHMETIC, OVERHEAD)
    assert row["share"] == pytest.approx(0.5)
