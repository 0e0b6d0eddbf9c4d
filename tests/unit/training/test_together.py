"""Seeds that take turns give the numbers of seeds one after the other."""

import json

import pytest
import torch

from resnest_bench.training.jobs import run_job
from resnest_bench.training.together import finish, take_turns

CPU = torch.device("cpu")


def counting(name, steps, order):
    for index in range(steps):
        order.append(f"{name}{index}")
        yield
    return name


def test_they_take_turns_and_keep_their_order():
    order = []
    done = take_turns([counting("a", 1, order), counting("b", 3, order)], CPU)
    assert done == ["a", "b"]
    assert order == ["a0", "b0", "b1", "b2"]


def test_one_alone_runs_to_its_end():
    assert finish(counting("a", 3, [])) == "a"


def test_what_one_raises_ends_the_others():
    closed = []

    def raising():
        yield
        raise ZeroDivisionError

    def endless():
        try:
            while True:
                yield
        finally:
            closed.append(True)

    with pytest.raises(ZeroDivisionError):
        take_turns([endless(), raising()], CPU)
    assert closed == [True]


def numbers(record):
    train = record.train.model_dump(include={"test_correct", "final_weights_sha256"})
    losses = [(epoch.train_loss, epoch.test_loss) for epoch in record.train.epochs]
    return json.dumps([train, losses])


def test_seeds_at_once_are_equal_to_the_bit_to_seeds_in_turn(make_study, config, tmp_path):
    """With dropout, mixup and shifts: nothing random is shared."""
    config["seeds"] = [0, 1, 2]
    study = make_study(config)
    alone = run_job(study, "train", "low", "r", "A", CPU, tmp_path / "alone")
    at_once = run_job(study, "train", "low", "r", "A", CPU, tmp_path / "at_once", seeds_at_once=2)
    assert [numbers(r) for r in at_once] == [numbers(r) for r in alone]
    assert [r.train.execution.seeds_at_once for r in at_once] == [2, 2, 2]
    assert [r.job.seed for r in at_once] == [0, 1, 2]


def test_one_that_diverges_does_not_end_the_others(make_study, config, tmp_path, monkeypatch):
    from resnest_bench.training import jobs, loop

    original = jobs.train_model

    def diverging(step, batches, seed, *rest):
        if seed == 0:
            raise loop.DivergedError("the training loss", 1, 2)
        return (yield from original(step, batches, seed, *rest))

    monkeypatch.setattr(jobs, "train_model", diverging)
    done = run_job(make_study(config), "train", "low", "r", "A", CPU, tmp_path, seeds_at_once=2)
    assert [record.status for record in done] == ["failed", "ok"]
