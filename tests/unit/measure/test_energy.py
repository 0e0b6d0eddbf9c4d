"""Energy of calls: by a fake meter, by Zeus's own classes, and what is said where no counter can be read."""

import sys
import time
import types
from types import SimpleNamespace

import pytest
import torch

from resnest_bench.deploy.problems import NotAvailableError
from resnest_bench.measure import energy
from resnest_bench.measure.energy import ZeusMeter, measure_energy, open_meter, sum_counters
from support.meters import FakeMeter

CPU = torch.device("cpu")


def test_all_calls_between_two_readings_are_counted():
    calls = []
    joules, count, seconds = measure_energy(
        lambda: calls.append(time.sleep(0)), CPU, FakeMeter(20.0), 0.02
    )
    # One more call comes first: the counters must not see its start.
    assert count == len(calls) - 1
    assert seconds >= 0.02
    assert joules["package"] == pytest.approx(20.0 * seconds, rel=0.5)


def test_a_counter_that_stands_still_is_no_measurement():
    with pytest.raises(NotAvailableError, match="energy_seconds"):
        measure_energy(lambda: None, CPU, FakeMeter(0.0), 0.0)


def test_counters_are_summed_by_kind():
    measured = SimpleNamespace(
        gpu_energy={0: 2.0, 1: 3.0},
        cpu_energy={0: 1.5},
        dram_energy=None,
        soc_energy=SimpleNamespace(cpu_total_mj=1000, gpu_mj=500, dram_mj=None),
    )
    assert sum_counters(measured) == {"gpu": 5.0, "package": 1.5, "soc": 1.5}


def test_without_zeus_the_reason_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr("resnest_bench.deploy.problems.find_spec", lambda name: None)
    with pytest.raises(NotAvailableError, match=r"resnest-bench\[zeus\]"):
        open_meter(CPU)


@pytest.fixture
def zeus(monkeypatch):
    """A package `zeus` whose monitor is the attribute `made`."""
    module = types.ModuleType("zeus.monitor")
    monkeypatch.setattr("resnest_bench.deploy.problems.find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, "zeus", types.ModuleType("zeus"))
    monkeypatch.setitem(sys.modules, "zeus.monitor", module)
    monkeypatch.setattr(energy, "version", lambda name: "1.2")
    return module


def test_a_machine_without_counters_is_told_apart_from_one_without_zeus(zeus):
    zeus.ZeusMonitor = lambda **_: SimpleNamespace(
        gpu_indices=[], cpu_indices=[], soc_is_present=False
    )
    with pytest.raises(NotAvailableError, match="RAPL"):
        open_meter(CPU)


def test_what_zeus_raises_is_the_reason(zeus):
    def fail(**_):
        raise RuntimeError("no permission")

    zeus.ZeusMonitor = fail
    with pytest.raises(NotAvailableError, match="no permission"):
        open_meter(CPU)


@pytest.mark.parametrize(
    ("device", "asked"),
    [
        ("cpu", {"gpu_indices": [], "cpu_indices": None}),
        ("cuda:1", {"gpu_indices": [1], "cpu_indices": []}),
    ],
)
def test_a_gpu_is_measured_alone_and_a_cpu_with_its_memory(zeus, device, asked):
    seen = {}

    def make(**arguments):
        seen.update(arguments)
        return SimpleNamespace(gpu_indices=[0], cpu_indices=[0], soc_is_present=False)

    zeus.ZeusMonitor = make
    meter = open_meter(torch.device(device))
    assert isinstance(meter, ZeusMeter)
    assert (meter.name, seen) == ("zeus 1.2", asked)
