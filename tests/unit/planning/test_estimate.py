"""All prices added up: against sums by hand, with what can't be priced beside them."""

import pytest
import torch

from resnest_bench.paths import Job
from resnest_bench.planning import estimate as module
from resnest_bench.planning.datasets import DatasetFacts
from resnest_bench.planning.estimate import Estimate, Group, Price, estimate_study, group_jobs
from resnest_bench.planning.trainings import TrainingSpeed
from support.records_factory import make_study

STUDY = make_study()
CPU = torch.device("cpu")
SPEED = TrainingSpeed(0.5, 0.1, 0.0, 0.0, probe=1.0, num_params=1000)


@pytest.fixture
def fakes(monkeypatch):
    """Nothing is measured: B can't be run; a start takes 3 s, a latency 20 s."""
    measured = []

    def measure_training(variant, *_):
        measured.append(variant.name)
        if variant.name == "B":
            raise IndexError("no such layer")
        return SPEED

    def measure_calls(variant, *_):
        return measure_training(variant), 0.0

    facts = DatasetFacts(90, 30, 32, 3, (32, 32))
    monkeypatch.setattr(module, "START_SECONDS", 3.0)
    monkeypatch.setattr(module, "inspect_dataset", lambda *_: facts)
    monkeypatch.setattr(module, "measure_training", measure_training)
    monkeypatch.setattr(module, "measure_calls", measure_calls)
    monkeypatch.setattr(module, "time_reference", lambda *_: 1.0)
    monkeypatch.setattr(module, "price_latency", lambda *_: 20.0)
    return measured


def test_each_kind_is_its_records_and_its_starts(fakes, tmp_path):
    lines = []
    found = estimate_study(STUDY, STUDY.jobs(), CPU, tmp_path, lines.append)
    # Of A and T, 3 seeds of 2 epochs of 90 and 30 images; a process each, with its probe.
    assert found.seconds("train") == pytest.approx(2 * (3 * 2 * (90 * 0.5 + 30 * 0.1) + 3 + 1))
    assert found.seconds("latency") == pytest.approx(2 * (20 + 3))
    # Of A alone, by both recipes.
    assert found.seconds("finetune") == found.seconds("train")
    assert found.closing_seconds == 2 * 3.0
    kinds = ("train", "latency", "finetune")
    assert found.total == pytest.approx(sum(map(found.seconds, kinds)) + 6.0)
    # The fine-tunings make the same steps.
    assert sorted(fakes) == sorted(["A", "B", "T", *"ABT", *"BB"])
    assert len([line for line in lines if "timing" in line]) == len(group_jobs(STUDY.jobs()))


def test_a_network_that_cannot_be_timed_leaves_the_others_their_price(fakes, tmp_path):
    found = estimate_study(STUDY, STUDY.jobs(), CPU, tmp_path)
    assert {group.variant for group in found.prices} == {"A", "T"}
    reasons = {what: why for what, why in found.unpriced.items() if "B" in what}
    assert len(reasons) == 4
    assert all("no such layer" in why for why in reasons.values())
    # Two batch sizes, each 60 s of warm-up and 60 s of samples at most.
    assert "240 s" in next(why for what, why in reasons.items() if "latency" in what)
    assert not found.to_prices().complete


def test_data_to_be_prepared_has_a_price_and_a_process():
    whole = {
        "a": DatasetFacts(1, 1, 8, 2, (8, 8), prepare_seconds=7.0, prepare_bytes=9),
        "b": DatasetFacts(1, 1, 8, 2, (8, 8)),
    }
    assert Estimate(datasets=whole, start_seconds=3.0).data_seconds == 7.0 + 3.0


def test_trainings_side_by_side_share_the_time_and_latencies_do_not():
    prices = {
        Group("train", "low", "quick", "A"): Price(2, 1, 10.0, 4.0),
        Group("latency", "low", "fast", "A"): Price(2, 2, 10.0, 4.0),
    }
    found = Estimate(prices, side_by_side=2)
    assert found.seconds("train") == (2 * 10 + 4) / 2
    assert found.seconds("latency") == 2 * 14


def test_an_unknown_size_of_data_leaves_the_other_data_its_price(fakes, tmp_path, monkeypatch):
    from resnest_bench.errors import UserError

    facts = DatasetFacts(90, 30, 32, 3, (32, 32))

    def inspect_dataset(study, name, clock):
        if name == "high":
            raise UserError("not here yet")
        return facts

    monkeypatch.setattr(module, "inspect_dataset", inspect_dataset)
    found = estimate_study(STUDY, STUDY.jobs(), CPU, tmp_path)
    assert {group.dataset for group in found.prices} == {"low"}
    assert any("not here yet" in why for why in found.unpriced.values())


def test_prices_are_found_by_job(fakes, tmp_path):
    prices = estimate_study(STUDY, STUDY.jobs(), CPU, tmp_path).to_prices()
    group = prices.find(Job("latency", "low", "fast", "A", 0))
    assert (group.num_records, group.seconds_per_record, group.start_seconds) == (1, 20.0, 3.0)
    assert prices.find(Job("train", "low", "quick", "B", 0)) is None
