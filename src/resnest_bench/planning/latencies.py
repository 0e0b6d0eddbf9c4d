"""The expected duration of a latency measurement, from its protocol and the time of one call."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import timm
import torch
from torch import nn

from resnest_bench.deploy.formats import FILE_MODES
from resnest_bench.deploy.problems import NotAvailableError
from resnest_bench.device.environment import precision
from resnest_bench.measure.deployment import (
    Setting,
    check_available,
    in_setting,
    list_settings,
    make_input,
)
from resnest_bench.measure.latency import MIN_SAMPLES_AT_TIME_LIMIT
from resnest_bench.models import build_model, fit_to_image
from resnest_bench.planning.clock import Clock
from resnest_bench.specs import LatencySpec, VariantSpec

SEVERAL = 8
# A process that imports torch, builds a network and calls it; most of it is the import.
PROCESS_SECONDS = 5.0
# The first call in these modes is not timed, since a compiler takes a minute.
SLOW_TO_START = ("compiled", *FILE_MODES)


@dataclass(frozen=True)
class CallTime:
    """Seconds of a call with one image, and further seconds for each additional image."""

    one: float
    further: float

    def seconds(self, batch: int) -> float:
        return self.one + (batch - 1) * self.further


def warm_up_seconds(call: float, spec: LatencySpec) -> float:
    """Return the seconds of the warm-up: until both minima are reached, or the protocol's time limit."""
    minimum = max(spec.warmup_calls * call, spec.warmup_seconds)
    return min(minimum, spec.max_seconds + call)


def sample_seconds(call: float, spec: LatencySpec) -> float:
    """Return the seconds of sampling: until both minima are reached, or the protocol's time limit."""
    minimum = max(spec.min_samples * call, spec.min_seconds)
    return min(minimum, max(spec.max_seconds, MIN_SAMPLES_AT_TIME_LIMIT * call))


def cell_seconds(call: float, spec: LatencySpec, mode: str) -> float:
    """Return the seconds of one batch size in one setting: first call, comparison, warm-up, samples."""
    first = call if mode == "eager" else 2 * call
    return first + warm_up_seconds(call, spec) + sample_seconds(call, spec)


def max_seconds(spec: LatencySpec) -> float:
    """Return the maximum seconds of all cells, if five calls fit into the protocol's time limit."""
    return 2 * spec.max_seconds * len(list_settings(spec)) * len(spec.batch_sizes)


def reference_seconds(call: float, spec: LatencySpec) -> float:
    """Return the seconds of timing the reference network, before and after."""
    return 2 * (warm_up_seconds(call, spec) + spec.reference_samples * call)


def consumption_seconds(num_cells: int, spec: LatencySpec) -> float:
    """Return the seconds of measuring memory, a process for each cell, and energy."""
    memory = PROCESS_SECONDS * num_cells if spec.memory else 0.0
    return memory + spec.energy_seconds * (num_cells + 2)


def price_latency(
    calls: Mapping[Setting, CallTime], reference: float, build: float, spec: LatencySpec
) -> float:
    """Return the seconds of one record.

    Args:
        calls: times of eager calls, by setting.
        reference: seconds of one call of the reference network.
        build: seconds of building the network.
        spec: the protocol.
    """
    cells = sum(
        cell_seconds(call.seconds(batch), spec, setting.mode)
        for setting, call in calls.items()
        for batch in spec.batch_sizes
    )
    paper = 0.0
    if spec.paper_batch_size and calls:
        setting = Setting("fp32", spec.layouts[0], "eager")
        call = calls.get(setting, next(iter(calls.values())))
        paper = (1 + spec.paper_batches) * call.seconds(spec.paper_batch_size)
    consumed = consumption_seconds(len(calls) * len(spec.batch_sizes), spec)
    return build + reference_seconds(reference, spec) + cells + paper + consumed


def measure_calls(
    variant: VariantSpec,
    num_classes: int,
    image_size: int,
    spec: LatencySpec,
    clock: Clock,
    in_chans: int = 3,
) -> tuple[dict[Setting, CallTime], float]:
    """Time eager calls in each available setting. Also returns the seconds of building the network."""
    built: list[nn.Module] = []
    fitted = fit_to_image(variant, image_size)[0]

    def make() -> None:
        built.append(build_model(fitted, num_classes, in_chans=in_chans).eval())

    build = clock.measure(make, rounds=1)
    model = built[0].to(clock.device)
    eager: dict[Setting, CallTime] = {}
    calls: dict[Setting, CallTime] = {}
    for setting in list_settings(spec):
        try:
            check_available(setting, clock.device)
        except NotAvailableError:
            continue
        in_eager_mode = Setting(setting.precision, setting.layout, "eager")
        if in_eager_mode not in eager:
            largest = max(spec.batch_sizes)
            eager[in_eager_mode] = time_call(
                model, image_size, in_eager_mode, largest, clock, in_chans
            )
        calls[setting] = eager[in_eager_mode]
    return calls, build


@torch.inference_mode()
def time_call(
    model: nn.Module,
    image_size: int,
    setting: Setting,
    largest: int,
    clock: Clock,
    in_chans: int = 3,
) -> CallTime:
    """Time calls with one image and with several, after a warm-up call each."""
    several = max(2, min(SEVERAL, largest))
    seconds = []
    with precision(setting.precision):
        network = in_setting(model, setting)
        for batch in (1, several):
            image_BCHW = make_input(batch, image_size, setting, clock.device, in_chans)
            network(image_BCHW)
            seconds.append(clock.measure(functools.partial(network, image_BCHW)))
    one, more = seconds
    return CallTime(one, max((more - one) / (several - 1), 0.0))


def time_reference(spec: LatencySpec, image_size: int, clock: Clock) -> float:
    """Return the seconds of one call of the protocol's reference network."""
    model = timm.create_model(spec.reference_model, num_classes=10).to(clock.device).eval()
    setting = Setting("fp32", "contiguous", "eager")
    batch = spec.reference_batch_size
    return time_call(model, image_size, setting, batch, clock).seconds(batch)


def list_slow_modes(spec: LatencySpec) -> list[str]:
    """Return the protocol's modes whose first call is not included in the estimate."""
    return [mode for mode in spec.modes if mode in SLOW_TO_START]
