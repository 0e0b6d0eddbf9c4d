"""Devices are compared in the setting and the rounds that both have, one device at a time."""

import json

import numpy as np
import pytest

from resnest_bench.comparisons.device_ranking import NOTE_ROUNDS, NOTE_SETTINGS
from resnest_bench.report.devices import describe_rankings, networks_display, ranking_display
from resnest_bench.results import StudyResults
from support.records_factory import make_cell, make_latency_record, make_study

ONNX = {"layout": "contiguous", "mode": "onnxruntime"}
ELSEWHERE = {
    "file": "pi.json",
    "sha256": "a",
    "bundle": "b",
    "network": "c",
    "onnx_sha256": "d",
    "weights": "none",
    "imported_at": "2026-01-01T00:00:00+00:00",
}
# Milliseconds by network: here, and on the other device.
HERE, THERE = {"A": 1.0, "B": 2.0, "T": 4.0}, {"A": 30.0, "B": 20.0, "T": 40.0}


@pytest.fixture
def compare(tmp_path):
    """Write both devices' records and compare them."""

    def run(rounds=3, own_modes=("eager", "onnxruntime"), skip=(), noise=0.001):
        block = {
            "kind": "latency",
            "dataset": "low",
            "recipe": "fast+pi",
            "own_protocol": "fast",
            "seeds": {name: list(range(rounds)) for name in "ABT"},
        }
        study = make_study(
            train=[],
            finetune=[],
            tables={"tradeoff": {}},
            latency=[{"dataset": "low", "protocol": "fast", "rounds": rounds}],
            imported=[block],
        )
        paths = study.paths(tmp_path / "results")
        draw = np.random.default_rng(0)
        for job in study.jobs():
            if (job.recipe, job.variant, job.seed) in skip:
                continue
            is_own = job.recipe == "fast"
            ms = (HERE if is_own else THERE)[job.variant] * np.exp(noise * draw.normal())
            cells = [
                # Eager takes ten times as long: another order of devices if settings were mixed.
                make_cell(1, [ms * (10 if mode == "eager" else 1)] * 5, **{**ONNX, "mode": mode})
                for mode in (own_modes if is_own else ("onnxruntime",))
            ]
            raw = make_latency_record(job, study.job_spec(job), cells=cells).model_dump(mode="json")
            if not is_own:
                raw["elsewhere"] = ELSEWHERE
                raw["environment"]["device_name"] = "Pi"
            path = paths.record(job)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(raw))
        return StudyResults(study, paths).device_rankings

    return run


def test_the_common_setting_is_compared(compare):
    found = compare()
    row = found.pairs.iloc[0]
    assert len(found.pairs) == 1
    assert row["setting_a"] == row["setting_b"] == "fp32, contiguous, onnxruntime"
    assert row["note"] == ""
    # Of three pairs of networks one is reversed.
    assert row["tau"] == pytest.approx(1 / 3)
    assert (row["tau_low"], row["tau_high"]) == pytest.approx((1 / 3, 1 / 3))
    assert (row["tau_without_one_low"], row["tau_without_one_high"]) == (-1, 1)
    assert (row["rounds_a"], row["rounds_b"], row["reversed_pairs"]) == (3, 3, 1)
    networks = found.networks.set_index("variant")
    assert networks["ratio"].to_dict() == pytest.approx({"A": 30, "B": 10, "T": 10}, rel=0.01)
    assert networks["rank_change"].to_dict() == {"A": 1, "B": -1, "T": 0}
    assert networks["beyond_noise"].to_dict() == {"A": True, "B": True, "T": False}
    assert row["num_rank_changes"] == 2


def test_without_a_common_setting_a_note_says_so(compare):
    row = compare(own_modes=("eager",)).pairs.iloc[0]
    assert row["note"] == NOTE_SETTINGS
    assert row["ratio_max"] == pytest.approx(3.0, rel=0.01)


def test_one_round_has_no_interval(compare):
    found = compare(rounds=1)
    row = found.pairs.iloc[0]
    assert row["note"] == NOTE_ROUNDS
    assert np.isnan(row["tau_low"])
    assert found.networks["beyond_noise"].isna().all()
    assert NOTE_ROUNDS in describe_rankings(found)[0]
    assert not ranking_display(found.pairs).map(lambda text: "nan" in text.lower()).any().any()
    assert not networks_display(found.networks).map(lambda text: "nan" in text.lower()).any().any()


def test_only_rounds_that_all_networks_have_count(compare):
    row = compare(rounds=4, skip={("fast+pi", "B", 2)}).pairs.iloc[0]
    assert (row["rounds_a"], row["rounds_b"]) == (4, 3)


def test_noise_larger_than_the_differences_is_no_change_of_rank(compare):
    found = compare(noise=1.0)
    assert not found.networks["beyond_noise"].any()
    row = found.pairs.iloc[0]
    assert row["tau_low"] < row["tau_high"]
