"""The least time that a device's ceilings allow: by hand, for known and unknown ceilings."""

import doctest

import pytest
from pydantic import ValidationError

from resnest_bench.records import ceilings
from resnest_bench.records.ceilings import (
    Ceilings,
    CellCeilings,
    LowerBounds,
    Work,
    find_ceilings,
    lower_bounds,
)

TORCH = Ceilings(
    runtime="torch", precision="fp32", flops_per_second=2e9, bytes_per_second=4e9, operator_ms=0.02
)
ONNX = TORCH.model_copy(
    update={"runtime": "onnxruntime", "flops_per_second": 3e9, "operator_ms": 0.001}
)


def test_the_example_runs():
    assert doctest.testmod(ceilings) == (0, 2)


def test_arithmetic_and_memory_are_the_devices_and_overhead_is_the_runtimes():
    assert find_ceilings([TORCH, ONNX], "fp32", "eager") == CellCeilings(3e9, 4e9, 0.02)
    assert find_ceilings([TORCH, ONNX], "fp32", "onnxruntime") == CellCeilings(3e9, 4e9, 0.001)
    assert find_ceilings([TORCH], "fp32", "compiled") == CellCeilings(2e9, 4e9, None)
    assert find_ceilings([TORCH], "bf16", "eager") == CellCeilings()


def test_bounds_by_hand():
    work = Work(
        batch_size=8, num_params=1000, num_macs=500_000, num_activations=200, num_operators=10
    )
    bounds = lower_bounds(work, CellCeilings(2e9, 4e9, 0.02), "fp32")
    # 8 images of 500,000 multiply-accumulates are 8e6 operations.
    assert bounds.arithmetic_ms == pytest.approx(8e6 / 2e9 * 1000)
    # 1000 weights and 2 * 8 * 200 activations, of 4 bytes each.
    assert bounds.memory_ms == pytest.approx(4 * 4200 / 4e9 * 1000)
    assert bounds.overhead_ms == pytest.approx(0.2)
    half = lower_bounds(work, CellCeilings(2e9, 4e9, 0.02), "bf16")
    assert half.memory_ms == pytest.approx(bounds.memory_ms / 2)


def test_what_is_not_known_is_no_bound():
    work = Work(1, 1000, 1000, None, None)
    assert lower_bounds(work, CellCeilings(1e9, 1e9, 1.0), "fp32") == LowerBounds(
        pytest.approx(0.002), None, None
    )
    assert lower_bounds(work, CellCeilings(), "fp32") == LowerBounds()


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("nan"), float("inf")])
def test_a_ceiling_is_a_positive_number(wrong):
    with pytest.raises(ValidationError):
        Ceilings(**{**TORCH.model_dump(), "flops_per_second": wrong})
