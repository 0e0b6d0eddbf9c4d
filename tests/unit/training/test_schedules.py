"""Against the formulas, computed by hand for a run of 4 epochs of 5 steps."""

import math

import pytest

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
