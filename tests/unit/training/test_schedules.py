"""Against the formulas, computed by hand for a run of 4 epochs of 5 steps."""

import math

import pytest
import torch

from resnest_bench.specs import RecipeSpec
from resnest_bench.training.schedules import learning_rate


def rates(**recipe):
    spec = RecipeSpec(epochs=4, learning_rate=0.4, **recipe)
    return [learning_rate(step, 5, spec) for step in range(20)]


def test_cosine():
    expected = [0.2 * (1 + math.cos(math.pi * step / 20)) for step in range(20)]
    assert rates() == pytest.approx(expected)
    assert rates()[0] == 0.4
    assert rates()[10] == pytest.approx(0.2)


def test_warm_up_rises_to_the_peak_and_the_cosine_starts_there():
    seen = rates(warmup_epochs=1)
    assert seen[:5] == pytest.approx([0.08, 0.16, 0.24, 0.32, 0.4])
    assert seen[5] == 0.4
    assert seen[5:] == pytest.approx([0.2 * (1 + math.cos(math.pi * k / 15)) for k in range(15)])


def test_constant():
    assert rates(schedule="constant") == [0.4] * 20


def test_half_an_epoch_of_warm_up():
    assert rates(warmup_epochs=0.4, schedule="constant")[:3] == pytest.approx([0.2, 0.4, 0.4])


def test_linear_falls_to_the_floor():
    seen = rates(schedule="linear", min_learning_rate=0.1)
    assert seen == pytest.approx([0.1 + 0.3 * (1 - step / 20) for step in range(20)])


def test_a_cosine_stops_at_its_floor():
    seen = rates(min_learning_rate=0.1)
    assert seen == pytest.approx([0.1 + 0.15 * (1 + math.cos(math.pi * k / 20)) for k in range(20)])


def test_steps_fall_after_their_epochs_and_not_below_the_floor():
    recipe = {"schedule": "step", "step_epochs": [1, 3], "step_factor": 0.5}
    assert rates(**recipe) == [0.4] * 5 + [0.2] * 10 + [0.1] * 5
    assert rates(**recipe, min_learning_rate=0.15) == [0.4] * 5 + [0.2] * 10 + [0.15] * 5


def test_one_cycle_is_torchs():
    """torch's OneCycleLR, whose last step is at its end; ours is one step before it, as cosine is."""
    ours = rates(schedule="one_cycle", warmup_epochs=1.2, min_learning_rate=0.4 / 25 / 1e4)
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.1, momentum=0.9)
    # Its phases end at pct_start * total - 1 and at total - 1.
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 0.4, total_steps=21, pct_start=7 / 21, final_div_factor=1e4
    )
    expected = []
    for _ in range(20):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()
    assert ours == pytest.approx(expected)
