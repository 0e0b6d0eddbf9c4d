"""The energy of calls, read from the device's own counters: NVML, RAPL or Apple's, by Zeus.

Zeus (You, Chung and Chowdhury, NSDI 2023) is the extra `zeus`. A counter is that of the whole package or GPU: it
includes what an idle device takes, and all other programs that run on it.
"""

import logging
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib.metadata import version
from io import StringIO
from typing import Any, Protocol

import torch

from resnest_bench.deploy.problems import NotAvailableError, check_packages
from resnest_bench.errors import first_line
from resnest_bench.measure.ceilings import synchronise

log = logging.getLogger(__name__)

WINDOW = "resnest-bench"
INSTALL = 'pip install "resnest-bench[zeus]"'
# Counters of an Apple SoC that don't contain each other, in mJ.
SOC_PARTS = ("cpu_total_mj", "gpu_mj", "gpu_sram_mj", "dram_mj", "ane_mj")


class Meter(Protocol):
    """Reads energy counters."""

    @property
    def name(self) -> str:
        """What it is, with its version."""
        ...

    def begin(self) -> None:
        """Read the counters."""
        ...

    def end(self) -> dict[str, float]:
        """Return the joules since `begin`, by counter."""
        ...


class ZeusMeter:
    """Zeus's counters of one device: a GPU's own, or those of the processor's packages and memory."""

    def __init__(self, monitor: Any, name: str) -> None:
        self._monitor, self._name = monitor, name

    @property
    def name(self) -> str:
        return self._name

    def begin(self) -> None:
        self._monitor.begin_window(WINDOW, sync_execution=False, restart=True)

    def end(self) -> dict[str, float]:
        return sum_counters(self._monitor.end_window(WINDOW, sync_execution=False))


def sum_counters(measured: Any) -> dict[str, float]:
    """Return the joules of one of Zeus's measurements, by kind of counter, over all packages or GPUs."""
    parts = {
        "gpu": measured.gpu_energy,
        "package": measured.cpu_energy,
        "dram": measured.dram_energy,
    }
    joules = {name: float(sum(values.values())) for name, values in parts.items() if values}
    if measured.soc_energy is not None:
        known = [getattr(measured.soc_energy, part, None) for part in SOC_PARTS]
        joules["soc"] = sum(value for value in known if value is not None) / 1e3
    return joules


def open_meter(device: torch.device) -> Meter:
    """Return the meter of a device. Raises NotAvailableError with the reason if there is none."""
    check_packages("energy", ["zeus"], INSTALL)
    from zeus.monitor import ZeusMonitor

    is_gpu = device.type == "cuda"
    gpus = [device.index or 0] if is_gpu else []
    try:
        # It prints and logs what it finds.
        with redirect_stdout(StringIO()):
            monitor = ZeusMonitor(gpu_indices=gpus, cpu_indices=[] if is_gpu else None)
    # Zeus and the libraries below it raise their own exceptions.
    except Exception as error:
        raise NotAvailableError(
            f"not available here: {type(error).__name__}: {first_line(error)}"
        ) from error
    if not (monitor.gpu_indices or monitor.cpu_indices or monitor.soc_is_present):
        raise NotAvailableError(
            "not available here: no energy counter that this user may read (RAPL in /sys/class/powercap, which "
            "a virtual machine rarely has and only root may read, or Apple silicon)"
        )
    return ZeusMeter(monitor, f"zeus {version('zeus')}")


def measure_energy(
    call: Callable[[], object], device: torch.device, meter: Meter, min_seconds: float
) -> tuple[dict[str, float], int, float]:
    """Return the joules by counter of many calls, their number, and the seconds that they took.

    The counters are read once before and once after: NVML's change about ten times a second, so that those of
    one call would be nothing or too much. Raises NotAvailableError if no counter has changed.
    """
    call()
    synchronise(device)
    meter.begin()
    start, count = time.perf_counter(), 0
    while count == 0 or time.perf_counter() - start < min_seconds:
        call()
        synchronise(device)
        count += 1
    joules = meter.end()
    seconds = time.perf_counter() - start
    if not sum(joules.values()) > 0:
        raise NotAvailableError(
            f"no energy counter changed in {seconds:.1f} s: raise energy_seconds"
        )
    return joules, count, seconds
