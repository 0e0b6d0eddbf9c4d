"""Memory and energy of the cells of a latency job, measured after all of its latencies.

It comes after them so that neither a meter nor another process disturbs a latency, and so that a latency is the
same with and without it. docs/decisions/024-memory-energy-cost.md says more.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import timm
import torch
from torch import nn

from resnest_bench.deploy.problems import NotAvailableError
from resnest_bench.device.environment import precision
from resnest_bench.device.memory import free_memory
from resnest_bench.measure.deployment import (
    MODES,
    Setting,
    in_setting,
    make_input,
    set_statistics,
)
from resnest_bench.measure.energy import Meter, measure_energy, open_meter
from resnest_bench.measure.latency import describe_error
from resnest_bench.measure.resident import measure_resident
from resnest_bench.models import build_model, fit_to_image
from resnest_bench.records.consumption import Consumption, ConsumptionCell, Gap, Quantity
from resnest_bench.records.observations import LatencyObservations
from resnest_bench.specs import LatencySpec, VariantSpec

log = logging.getLogger(__name__)
OpenMeter = Callable[[torch.device], Meter]


@dataclass
class _Gaps:
    """What could not be measured so far."""

    found: list[Gap] = field(default_factory=list)

    def add(
        self, quantity: Quantity, error: Exception, batch: int | None = None, **setting: str
    ) -> None:
        gap = Gap(quantity=quantity, reason=describe_error(error), batch_size=batch, **setting)
        log.warning("%s not measured: %s", quantity, gap.reason)
        self.found.append(gap)


@torch.inference_mode()
def measure_consumption(
    variant: VariantSpec,
    observed: LatencyObservations,
    spec: LatencySpec,
    device: torch.device,
    open_meter: OpenMeter = open_meter,
) -> Consumption | None:
    """Measure what the protocol asks for in the cells that were timed; None if it asks for nothing.

    Never raises for what is not available here: `gaps` say why.
    """
    wants_memory = spec.memory and device.type == "cpu"
    if not wants_memory and not spec.energy_seconds:
        return None
    gaps, meter = _Gaps(), None
    if spec.energy_seconds:
        try:
            meter = open_meter(device)
        except NotAvailableError as error:
            gaps.add("energy", error)
    fitted, _ = fit_to_image(variant, observed.image_size)
    torch.manual_seed(0)
    model = build_model(fitted, observed.num_classes, in_chans=observed.in_chans).eval()
    model = model.to(device)
    set_statistics(model)
    before = _measure_reference(observed.image_size, spec, device, meter, gaps)
    found: dict[tuple[Setting, int], dict[str, Any]] = {}
    for cell in observed.cells:
        setting = Setting(cell.precision, cell.layout, cell.mode)
        values = found.setdefault((setting, cell.batch_size), {})
        with precision(setting.precision):
            network = in_setting(model, setting)
            place: dict[str, Any] = {"batch": cell.batch_size, **vars(setting)}
            if wants_memory:
                try:
                    values |= _measure_memory(fitted, network, setting, cell.batch_size, observed)
                # Compiler, exporter and runtime raise their own exceptions.
                except Exception as error:
                    gaps.add("memory", error, **place)
            if meter:
                try:
                    values |= _measure_cell(
                        network, setting, cell.batch_size, observed, spec, device, meter
                    )
                except Exception as error:
                    gaps.add("energy", error, **place)
        free_memory(device)
        if setting.mode == "compiled":
            torch.compiler.reset()
    after = _measure_reference(observed.image_size, spec, device, meter, gaps)
    return Consumption(
        meter=meter.name if meter else None,
        cells=[
            ConsumptionCell(batch_size=batch, **vars(setting), **values)
            for (setting, batch), values in found.items()
            if values
        ],
        gaps=gaps.found,
        reference_before_joules=before,
        reference_after_joules=after,
    )


def _measure_memory(
    fitted: VariantSpec,
    network: nn.Module,
    setting: Setting,
    batch: int,
    observed: LatencyObservations,
) -> dict[str, int]:
    before, peak = measure_resident(
        fitted,
        network,
        setting,
        batch,
        observed.image_size,
        observed.num_classes,
        observed.in_chans,
    )
    log.info("batch %d in %s: %.0f MiB resident", batch, setting, peak / 2**20)
    return {"resident_bytes": peak, "resident_before_bytes": before}


def _measure_cell(
    network: nn.Module,
    setting: Setting,
    batch: int,
    observed: LatencyObservations,
    spec: LatencySpec,
    device: torch.device,
    meter: Meter,
) -> dict[str, Any]:
    image = make_input(batch, observed.image_size, setting, device, observed.in_chans)
    call = MODES[setting.mode](network, image)
    joules, count, seconds = measure_energy(call, device, meter, spec.energy_seconds)
    per_image = sum(joules.values()) / (count * batch)
    log.info("batch %d in %s: %.3g J per image, n=%d", batch, setting, per_image, count)
    return {"joules": joules, "num_calls": count, "seconds": seconds}


def _measure_reference(
    size: int, spec: LatencySpec, device: torch.device, meter: Meter | None, gaps: _Gaps
) -> float | None:
    """Joules per image of the network that the latency job times before and after its own."""
    if meter is None:
        return None
    setting = Setting("fp32", "contiguous", "eager")
    with precision("fp32"):
        model = timm.create_model(spec.reference_model, num_classes=10).to(device).eval()
        image = make_input(spec.reference_batch_size, size, setting, device)
        try:
            joules, count, _ = measure_energy(
                lambda: model(image), device, meter, spec.energy_seconds
            )
        except NotAvailableError as error:
            gaps.add("energy", error)
            return None
    return sum(joules.values()) / (count * spec.reference_batch_size)
