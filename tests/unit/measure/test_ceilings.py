"""The ceilings of a device: the fastest repetition, and a precision that the device lacks."""

import types

import pytest
import torch

from resnest_bench.measure import ceilings
from resnest_bench.measure.ceilings import Sizes, measure_ceilings, shortest_seconds, try_ceilings

CPU = torch.device("cpu")
TINY = Sizes(matmul=16, conv=(1, 4, 8), copy_bytes=1024)


def test_a_ceiling_is_the_fastest_repetition(monkeypatch):
    clock = iter([0.0, 2.0, 2.0, 2.5, 3.0, 4.0])
    fake = types.SimpleNamespace(perf_counter=lambda: next(clock))
    monkeypatch.setattr(ceilings, "time", fake)
    assert shortest_seconds(lambda: None, CPU, 3.0) == 0.5


@pytest.mark.parametrize("name", ["fp32", "bf16"])
def test_ceilings_are_measured_in_each_precision(name):
    found = measure_ceilings(CPU, name, TINY)
    assert (found.runtime, found.precision) == ("torch", name)
    assert min(found.flops_per_second, found.bytes_per_second, found.operator_ms) > 0


def test_a_precision_that_fails_costs_the_others_nothing(monkeypatch):
    def measure(device, name):
        if name == "bf16":
            raise RuntimeError("no kernel")
        return measure_ceilings(device, name, TINY)

    monkeypatch.setattr(ceilings, "measure_ceilings", measure)
    assert [one.precision for one in try_ceilings(CPU, ["bf16", "tf32", "fp32"])] == ["fp32"]
