"""What a latency costs: a protocol says how long it measures, once the time of a call is known."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import timm
import torch
from torch import nn

from resnest_bench.device.environment import precision
from resnest_bench.measure.deployment import (
    NotAvailableError,
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
# What a mode's first call does besides calling is not timed: a compiler alone takes a minute.
SLOW_TO_START = ("compiled", "onnxruntime")


@dataclass(frozen=True)
class CallTime:
    """Seconds of a call: of one image, and of each further one."""

    one: float
    further: float

    def seconds(self, batch: int) -> float:
        return self.one + (batch - 1) * self.further


def warm_up_seconds(call: float, spec: LatencySpec) -> float:
    """Calls until both limits are reached, and no longer than the protocol's most."""
    wanted = max(spec.warmup_calls * call, spec.warmup_seconds)
    return min(wanted, spec.max_seconds + call)


def sample_seconds(call: float, spec: LatencySpec) -> float:
    """As many calls and seconds as are asked for, and no longer than the protocol's most."""
    wanted = max(spec.min_samples * call, spec.min_seconds)
    return min(wanted, max(spec.max_seconds, MIN_SAMPLES_AT_TIME_LIMIT * call))


def cell_seconds(call: float, spec: LatencySpec, mode: str) -> float:
    """One batch size in one setting: first call, comparison, warm-up and samples."""
    first = call if mode == "eager" else 2 * call
    return first + warm_up_seconds(call, spec) + sample_seconds(call, spec)


def most_seconds(spec: LatencySpec) -> float:
    """The most that all cells take, as long as five calls fit into the protocol's longest time."""
    return 2 * spec.max_seconds * len(list_settings(spec)) * len(spec.batch_sizes)


def reference_seconds(call: float, spec: LatencySpec) -> float:
    """The reference network, before and after."""
    return 2 * (warm_up_seconds(call, spec) + spec.reference_samples * call)


def price_latency(
    calls: Mapping[Setting, CallTime], reference: float, build: float, spec: LatencySpec
) -> float:
    """Seconds of one record. `calls` are eager ones by setting; `reference` is one of its calls."""
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
    return build + reference_seconds(reference, spec) + cells + paper


def measure_calls(
    variant: VariantSpec,
    num_classes: int,
    image_size: int,
    spec: LatencySpec,
    clock: Clock,
    in_chans: int = 3,
) -> tuple[dict[Setting, CallTime], float]:
    """Eager calls in each setting that is measured here, and seconds of building the network."""
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
        like = Setting(setting.precision, setting.layout, "eager")
        if like not in eager:
            largest = max(spec.batch_sizes)
            eager[like] = time_call(model, image_size, like, largest, clock, in_chans)
        calls[setting] = eager[like]
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
    """Calls of one image and of several, after one that doesn't count."""
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
    """Seconds of one call of the protocol's reference network."""
    model = timm.create_model(spec.reference_model, num_classes=10).to(clock.device).eval()
    setting = Setting("fp32", "contiguous", "eager")
    batch = spec.reference_batch_size
    return time_call(model, image_size, setting, batch, clock).seconds(batch)


def list_slow_modes(spec: LatencySpec) -> list[str]:
    """Modes whose first call is not priced."""
    return [mode for mode in spec.modes if mode in SLOW_TO_START]
