"""How a batch is divided among processes, and what a recipe may ask for."""

import numpy as np
import pytest
import torch
from torch import nn

from resnest_bench.cli.gpus import describe_gpus
from resnest_bench.errors import UserError
from resnest_bench.specs import RecipeSpec
from resnest_bench.status.changes import digest_result, find_change
from resnest_bench.training.execution import share_recipe
from resnest_bench.training.processes import Processes, choose_own
from resnest_bench.training.whole_batch import check_norms

CPU = torch.device("cpu")
RECIPE = {"epochs": 1, "batch_size": 16, "learning_rate": 0.1}


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize(("num", "at_once"), [(16, 16), (17, 6), (2, 1), (7, 3)])
def test_each_image_counts_in_one_process(size, num, at_once):
    divided = [Processes(rank, size, CPU).divide(num, at_once) for rank in range(size)]
    for parts in zip(*divided, strict=True):
        counted = [index for part in parts if part.counts for index in part.own_b]
        start, whole = parts[0].start, parts[0].num_whole
        assert counted == list(range(start, start + whole))
        assert sum(part.weight for part in parts) == pytest.approx(1)
        assert all(len(part.own_b) for part in parts)
    # The parts are those of one process.
    assert [p.num_whole for p in divided[0]] == [
        len(part) for part in torch.arange(num).tensor_split(-(-num // at_once))
    ]


def test_images_to_evaluate_are_divided_in_order():
    shares = [choose_own(np.arange(10) * 2, rank, 3) for rank in range(3)]
    assert np.concatenate(shares).tolist() == list(range(0, 20, 2))
    with pytest.raises(UserError, match=r"3 GPUs .*but there are 2"):
        choose_own(np.arange(2), 0, 3)


def test_more_gpus_change_no_result():
    one, two = ({"recipe": RecipeSpec(**RECIPE, gpus=n).as_dict()} for n in (1, 2))
    assert find_change(one, two) == ""
    assert digest_result(one) == digest_result(two)
    before = {"recipe": {k: v for k, v in one["recipe"].items() if k != "gpus"}}
    assert digest_result(before) == digest_result(two)


@pytest.mark.parametrize(
    ("more", "rule"),
    [
        ({"gpus": 9}, "at least two images"),
        ({"gpus": 3, "accumulation_steps": 4}, "at least two images"),
        ({"gpus": 2, "mode": "cudagraph"}, "is for one GPU"),
        ({"gpus": 2, "mode": "compiled"}, "is for one GPU"),
        ({"gpus": 0}, "greater than or equal to 1"),
    ],
)
def test_what_several_gpus_can_not_do_is_refused(more, rule):
    with pytest.raises(ValueError, match=rule):
        RecipeSpec(**{**RECIPE, **more})


def test_a_process_tries_its_share_eagerly():
    recipe = RecipeSpec(**RECIPE, gpus=2)
    assert share_recipe(recipe, 1) is recipe
    shared = share_recipe(recipe, 2)
    assert (shared.batch_size, shared.mode) == (8, "eager")


def test_a_norm_with_statistics_of_its_own_is_refused():
    from timm.layers import EvoNorm2dB0

    check_norms(nn.Sequential(nn.BatchNorm2d(4), nn.GroupNorm(2, 4)))
    with pytest.raises(UserError, match="EvoNorm2dB0"):
        check_norms(nn.Sequential(EvoNorm2dB0(4)))


def test_plan_says_what_becomes_of_several_gpus(make_study, config, monkeypatch):
    config["recipes"]["r"]["gpus"] = 2
    study = make_study(config)
    for number, said in {0: "on the CPU", 1: "on the 1 here", 2: "wait until"}.items():
        monkeypatch.setattr(torch.cuda, "device_count", lambda number=number: number)
        (line,) = describe_gpus(study)
        assert "Recipe r asks for 2 GPUs" in line
        assert said in line
    assert "on the CPU" in describe_gpus(study, "cpu")[0]
