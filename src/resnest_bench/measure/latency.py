"""Latency: cold start, first call and steady state, as raw samples.

The device is synchronised before and after each sample. docs/methods.md explains the method.
"""

import gc
import logging
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import timm
import torch
from torch import Tensor, nn

from resnest_bench.deploy.problems import NotAvailableError
from resnest_bench.device.environment import device_state, precision
from resnest_bench.device.memory import free_memory, gib, is_out_of_memory, memory_bytes
from resnest_bench.errors import UserError, first_line
from resnest_bench.measure.ceilings import synchronise, try_ceilings
from resnest_bench.measure.complexity import complexity
from resnest_bench.measure.deployment import (
    MODES,
    Call,
    Output,
    Setting,
    check_available,
    checked_error,
    in_setting,
    list_settings,
    make_input,
    set_statistics,
)
from resnest_bench.models import build_model, check_image, fit_to_image
from resnest_bench.records.observations import (
    LatencyCell,
    LatencyObservations,
    PaperTiming,
    ReferenceTiming,
    UnavailableCell,
)
from resnest_bench.specs import LatencySpec, VariantSpec

log = logging.getLogger(__name__)

MIN_SAMPLES_AT_TIME_LIMIT = 5
MS = 1e3


@dataclass(frozen=True)
class Samples:
    """Milliseconds of each call: wall clock, and between CUDA events (None on a CPU)."""

    wall_ms: list[float]
    device_ms: list[float] | None


def timed_ms(call: Callable[[], object], device: torch.device) -> float:
    """Return the wall-clock milliseconds of one call, synchronised before and after."""
    synchronise(device)
    start = time.perf_counter()
    call()
    synchronise(device)
    return (time.perf_counter() - start) * MS


def _timed_with_events(call: Callable[[], object], device: torch.device) -> tuple[float, float]:
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))

    def with_events() -> None:
        begin.record()
        call()
        end.record()

    wall = timed_ms(with_events, device)
    return wall, begin.elapsed_time(end)


def warm_up(call: Callable[[], object], device: torch.device, spec: LatencySpec) -> int:
    """Call until both warm-up minima or the time limit are reached; return the number of calls."""
    start, count = time.perf_counter(), 0
    while count < spec.warmup_calls or time.perf_counter() - start < spec.warmup_seconds:
        timed_ms(call, device)
        count += 1
        if time.perf_counter() - start > spec.max_seconds:
            break
    return count


def has_enough_samples(count: int, seconds: float, spec: LatencySpec) -> bool:
    """Whether sampling may stop: after the minimum count and duration, or at the time limit."""
    if count >= spec.min_samples and seconds >= spec.min_seconds:
        return True
    return count >= MIN_SAMPLES_AT_TIME_LIMIT and seconds >= spec.max_seconds


def sample(call: Callable[[], object], device: torch.device, spec: LatencySpec) -> Samples:
    """Collect steady-state samples, with the garbage collector disabled as in `timeit`."""
    wall: list[float] = []
    events: list[float] = []
    was_enabled = gc.isenabled()
    gc.disable()
    start = time.perf_counter()
    try:
        while not has_enough_samples(len(wall), time.perf_counter() - start, spec):
            if device.type == "cuda":
                wall_ms, event_ms = _timed_with_events(call, device)
                events.append(event_ms)
            else:
                wall_ms = timed_ms(call, device)
            wall.append(wall_ms)
    finally:
        if was_enabled:
            gc.enable()
    return Samples(wall, events if device.type == "cuda" else None)


def first_call(
    network: nn.Module, image: Tensor, mode: str, device: torch.device
) -> tuple[Call, Output, float]:
    """Return the call to time, its first output, and the milliseconds until that output.

    These include folding, compilation, capture, export and the start of a session.
    """
    synchronise(device)
    start = time.perf_counter()
    call = MODES[mode](network, image)
    output = call()
    synchronise(device)
    return call, output, (time.perf_counter() - start) * MS


def peak_memory(device: torch.device) -> int | None:
    """Return the peak bytes allocated by torch on the GPU since the previous call; None on a CPU."""
    if device.type != "cuda":
        return None
    peak = torch.cuda.max_memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    return peak


def measure_cell(
    network: nn.Module,
    batch: int,
    size: int,
    setting: Setting,
    spec: LatencySpec,
    device: torch.device,
    in_chans: int = 3,
) -> LatencyCell:
    """Measure the steady state at one batch size of a `network` that `in_setting` returned.

    Raises NotAvailableError if the outputs differ from those in eager mode, and any error of the mode.
    """
    image = make_input(batch, size, setting, device, in_chans)
    peak_memory(device)
    call, output, first_ms = first_call(network, image, setting.mode, device)
    first_peak, error = peak_memory(device), None
    if setting.mode != "eager":
        # The comparison comes after the first call, which must not profit from it, and before the warm-up.
        error = checked_error(output, network(image), setting.precision, setting.mode)
    peak_memory(device)
    num_warmup = warm_up(call, device, spec)
    samples = sample(call, device, spec)
    peak = peak_memory(device)
    return LatencyCell(
        batch_size=batch,
        precision=setting.precision,
        layout=setting.layout,
        mode=setting.mode,
        first_call_ms=first_ms,
        num_warmup=num_warmup,
        samples_ms=samples.wall_ms,
        device_samples_ms=samples.device_ms,
        peak_memory_bytes=None if first_peak is None or peak is None else max(first_peak, peak),
        output_error=error,
    )


def describe_error(error: Exception) -> str:
    """The type and the first line of an error, for a row of the table."""
    known = isinstance(error, NotAvailableError)
    return str(error) if known else f"{type(error).__name__}: {first_line(error)}"[:300]


def make_unavailable_cell(
    batch: int | None, setting: Setting, error: Exception, device: torch.device
) -> UnavailableCell:
    """Return the row of a setting that could not be measured because of `error`."""
    if not is_out_of_memory(error):
        return UnavailableCell(batch_size=batch, reason=describe_error(error), **vars(setting))
    memory = memory_bytes(device)
    return UnavailableCell(
        batch_size=batch,
        reason=f"does not fit into {gib(memory)}: {describe_error(error)}"[:300],
        does_not_fit=True,
        memory_bytes=memory,
        **vars(setting),
    )


def measure_setting(
    model: nn.Module,
    size: int,
    setting: Setting,
    spec: LatencySpec,
    device: torch.device,
    in_chans: int = 3,
) -> tuple[list[LatencyCell], list[UnavailableCell]]:
    """Measure all batch sizes in one setting. Those that fail are returned with the reason."""
    cells: list[LatencyCell] = []
    missing: list[UnavailableCell] = []

    def skip(batch: int | None, error: Exception) -> None:
        cell = make_unavailable_cell(batch, setting, error, device)
        log.warning("not measured: batch %s in %s: %s", batch or "any", setting, cell.reason)
        missing.append(cell)

    try:
        check_available(setting, device)
    except NotAvailableError as error:
        skip(None, error)
        return cells, missing
    with precision(setting.precision):
        network = in_setting(model, setting)
        for batch in spec.batch_sizes:
            try:
                cell = measure_cell(network, batch, size, setting, spec, device, in_chans)
                cells.append(cell)
            # Compiler, exporter and runtime raise their own exceptions, for example out of memory, no C++
            # compiler, or an operator without a bf16 kernel. The other cells are still measured.
            except Exception as error:
                skip(batch, error)
            else:
                median = _median_text(cells[-1].samples_ms)
                log.info("batch %d in %s: %s", batch, setting, median)
                continue
            # Outside `except`, where the error no longer keeps tensors alive.
            free_memory(device)
        if setting.mode == "compiled":
            torch.compiler.reset()
    return cells, missing


def _median_text(samples_ms: list[float]) -> str:
    ordered = sorted(samples_ms)
    return f"median {ordered[len(ordered) // 2]:.3f} ms, n={len(ordered)}"


def time_reference(size: int, spec: LatencySpec, device: torch.device) -> list[float]:
    """Return samples in ms of the reference network: as timm builds it, eager, fp32.

    Its images are always RGB, so that it is the same for all datasets.
    """
    setting = Setting("fp32", "contiguous", "eager")
    with precision("fp32"):
        model = timm.create_model(spec.reference_model, num_classes=10).to(device).eval()
        image = make_input(spec.reference_batch_size, size, setting, device)
        warm_up(lambda: model(image), device, spec)
        return [timed_ms(lambda: model(image), device) for _ in range(spec.reference_samples)]


def paper_timing(
    model: nn.Module,
    size: int,
    setting: Setting,
    spec: LatencySpec,
    device: torch.device,
    in_chans: int = 3,
) -> PaperTiming | None:
    """Measure as the paper does: the total time of several batches in a row.

    Returns None if the protocol omits it. Raises torch's error if a batch doesn't fit into memory.
    """
    if spec.paper_batch_size is None:
        return None
    with precision(setting.precision):
        network = in_setting(model, setting)
        image = make_input(spec.paper_batch_size, size, setting, device, in_chans)

        def batches() -> None:
            for _ in range(spec.paper_batches):
                network(image)

        timed_ms(lambda: network(image), device)
        total = timed_ms(batches, device)
    return PaperTiming(
        batch_size=spec.paper_batch_size, num_batches=spec.paper_batches, total_ms=total
    )


def try_paper_timing(*args: Any) -> tuple[PaperTiming | None, bool]:
    """Return `paper_timing` (None if memory ran out), and whether memory ran out."""
    try:
        return paper_timing(*args), False
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        text = describe_error(error)
        log.warning("no measurement as in the paper, since its batch does not fit: %s", text)
    return None, True


def peak_rss_bytes() -> int:
    """Return the peak resident memory of this process."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@torch.inference_mode()
def measure_latency(
    variant: VariantSpec,
    num_classes: int,
    image_size: int,
    spec: LatencySpec,
    device: torch.device,
    in_chans: int = 3,
) -> LatencyObservations:
    """Measure one variant. The process must not have used the device before, for the cold start.

    Raises UserError if the network can't take the image or doesn't fit into memory.
    """
    before = device_state(device)
    # Not part of the cold start: it finds the arguments for this image size.
    fitted, size_args = fit_to_image(variant, image_size)
    torch.manual_seed(0)
    start = time.perf_counter()
    model = build_model(fitted, num_classes, in_chans=in_chans).eval().to(device)
    synchronise(device)
    build_ms = (time.perf_counter() - start) * MS
    eager = Setting("fp32", "contiguous", "eager")
    image = make_input(1, image_size, eager, device, in_chans)
    try:
        with precision("fp32"):
            first_ms = timed_ms(lambda: model(image), device)
    # A network may raise any error at a size that it was not designed for.
    except Exception as error:
        if is_out_of_memory(error):
            raise UserError(
                f"{variant.name} does not fit into {gib(memory_bytes(device))}, even with one image of "
                f"{image_size}x{image_size} ({describe_error(error)}): free the device's memory "
                "(`resnest-bench doctor`), or use a device with more memory"
            ) from error
        # It raises a better message if the network rejects the size.
        check_image(variant, image_size, in_chans)
        raise UserError(
            f"{variant.name} cannot take an image of {image_size}x{image_size} "
            f"({describe_error(error)}): choose another image_size or variant"
        ) from error
    cold_ms = (time.perf_counter() - start) * MS

    log.info("cold start %.1f ms, including %.1f ms for the first call", cold_ms, first_ms)
    reference_before = time_reference(image_size, spec, device)
    counts = complexity(model, image_size, in_chans)
    set_statistics(model)
    cells: list[LatencyCell] = []
    missing: list[UnavailableCell] = []
    for setting in list_settings(spec):
        done, failed = measure_setting(model, image_size, setting, spec, device, in_chans)
        cells += done
        missing += failed
    paper_setting = Setting("fp32", spec.layouts[0], "eager")
    timing = (model, image_size, paper_setting, spec, device, in_chans)
    paper, paper_oom = try_paper_timing(*timing)
    if paper_oom:
        free_memory(device)
    return LatencyObservations(
        image_size=image_size,
        in_chans=in_chans,
        num_classes=num_classes,
        size_args=size_args,
        num_params=counts.num_params,
        num_macs=counts.num_macs,
        num_activations=counts.num_activations,
        uncounted_operators=counts.uncounted,
        num_operators=counts.num_operators,
        ceilings=try_ceilings(device, spec.precisions),
        build_ms=build_ms,
        cold_start_ms=cold_ms,
        first_call_ms=first_ms,
        cells=cells,
        unavailable=missing,
        paper=paper,
        paper_does_not_fit=paper_oom,
        reference=ReferenceTiming(
            model=spec.reference_model,
            batch_size=spec.reference_batch_size,
            before_ms=reference_before,
            after_ms=time_reference(image_size, spec, device),
        ),
        peak_rss_bytes=peak_rss_bytes(),
        state_before=before,
        state_after=device_state(device),
    )
