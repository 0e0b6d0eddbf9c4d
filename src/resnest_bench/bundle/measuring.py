"""What the runner of a bundle measures, as a latency job does, and what the device says of itself.

This file becomes a part of run.py (see `make.join_runner`): it imports nothing of the project, and runs on
Python 3.9 with numpy and onnxruntime.
"""

from __future__ import annotations

import gc
import math
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Callable

MIN_SAMPLES_AT_TIME_LIMIT = 5
MS = 1e3


class BundleError(Exception):
    """A rule, what was found, and what to do."""


def now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def read_text(*paths: str) -> str:
    """The content of the first of these files that can be read, or ''."""
    for path in paths:
        try:
            text = Path(path).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if text.strip("\0 \n"):
            return text.strip("\0 \n")
    return ""


def cpu_model() -> str:
    lines = [line.partition(":") for line in read_text("/proc/cpuinfo").splitlines()]
    facts = {name.strip().lower(): value.strip() for name, _, value in reversed(lines)}
    for name in ("model name", "model", "hardware"):
        if len(facts.get(name, "")) > 3:
            return facts[name]
    if sys.platform == "darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return platform.processor() or platform.machine() or "unknown CPU"


def usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def device_state() -> dict[str, Any]:
    """Temperature in degrees and load, where the device says them."""
    zones = [read_text(str(zone)) for zone in Path("/sys/class/thermal").glob("thermal_zone*/temp")]
    degrees = [int(text) / 1000 for text in zones if text.lstrip("-").isdigit()]
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {"temperature_c": max(degrees, default=None), "cpu_load_1min": load}


def describe_device(name: str, threads: int) -> dict[str, Any]:
    import numpy
    import onnxruntime

    cpufreq = "/sys/devices/system/cpu/cpu0/cpufreq/"
    memory = read_text("/proc/meminfo").split()[1:2]
    facts = {
        "board": read_text("/proc/device-tree/model", "/sys/class/dmi/id/product_name"),
        "machine": platform.machine(),
        "cores": str(os.cpu_count() or ""),
        "usable cores": str(usable_cores()),
        "governor": read_text(cpufreq + "scaling_governor"),
        "highest frequency (kHz)": read_text(cpufreq + "cpuinfo_max_freq"),
        "memory (KiB)": memory[0] if memory else "",
    }
    return {
        "name": name,
        "cpu_model": cpu_model(),
        "threads": threads,
        "os": platform.platform(),
        "python": platform.python_version(),
        "versions": {"numpy": numpy.__version__, "onnxruntime": onnxruntime.__version__},
        "facts": {key: value for key, value in facts.items() if value},
    }


def make_session(file: Path, threads: int, batch_size: int) -> Any:
    """All optimisations, for this batch size, one operator at a time."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    options.add_free_dimension_override_by_name("batch", batch_size)
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def make_images(batch_size: int, image: dict[str, Any]) -> Any:
    """Standard normal images, the same ones everywhere: numpy keeps this generator as it is."""
    import numpy

    shape = (batch_size, image["channels"], image["size"], image["size"])
    return numpy.random.RandomState(0).standard_normal(shape).astype("float32")


def make_call(file: Path, threads: int, images: Any) -> Callable[[], Any]:
    session = make_session(file, threads, len(images))
    inputs = {session.get_inputs()[0].name: images}
    return lambda: session.run(None, inputs)[0]


def timed_ms(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * MS


def warm_up(call: Callable[[], Any], protocol: dict[str, Any]) -> int:
    start, count = time.perf_counter(), 0
    while (
        count < protocol["warmup_calls"] or time.perf_counter() - start < protocol["warmup_seconds"]
    ):
        call()
        count += 1
        if time.perf_counter() - start > protocol["max_seconds"]:
            break
    return count


def sample(call: Callable[[], Any], protocol: dict[str, Any]) -> list[float]:
    """Milliseconds of calls: a minimum count and a minimum duration, or the time limit."""
    samples: list[float] = []
    gc.disable()
    start = time.perf_counter()
    try:
        while True:
            samples.append(timed_ms(call))
            seconds, count = time.perf_counter() - start, len(samples)
            if count >= protocol["min_samples"] and seconds >= protocol["min_seconds"]:
                return samples
            if count >= MIN_SAMPLES_AT_TIME_LIMIT and seconds >= protocol["max_seconds"]:
                return samples
    finally:
        gc.enable()


def time_reference(folder: Path, manifest: dict[str, Any], threads: int) -> list[float]:
    reference, protocol = manifest["reference"], manifest["protocol"]
    images = make_images(protocol["reference_batch_size"], reference["image"])
    call = make_call(folder / reference["file"], threads, images)
    warm_up(call, protocol)
    return [timed_ms(call) for _ in range(protocol["reference_samples"])]


def relative_error(output: Any, expected: Any) -> float:
    import numpy

    actual, wanted = (numpy.asarray(values, dtype="float64") for values in (output, expected))
    if actual.shape != wanted.shape or not numpy.isfinite(actual).all():
        return math.inf
    return float(numpy.linalg.norm(actual - wanted) / numpy.linalg.norm(wanted))


def measure_cell(
    folder: Path, manifest: dict[str, Any], network: dict[str, Any], batch: int, threads: int
) -> dict[str, Any]:
    images, start = make_images(batch, manifest["image"]), time.perf_counter()
    call = make_call(folder / network["file"], threads, images)
    output = call()
    first_ms = (time.perf_counter() - start) * MS
    # The first image is the same in every batch.
    error = relative_error(output[:1], [network["logits"]])
    if error > manifest["tolerance"]:
        raise BundleError(
            f"the output differs by {error:.1e} from that of the study, more than {manifest['tolerance']:g}"
        )
    num_warmup = warm_up(call, manifest["protocol"])
    return {
        "batch_size": batch,
        "first_call_ms": first_ms,
        "num_warmup": num_warmup,
        "samples_ms": sample(call, manifest["protocol"]),
        "output_error": error,
    }


def peak_rss_bytes() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def measure_network(
    folder: Path,
    manifest: dict[str, Any],
    network: dict[str, Any],
    threads: int,
    batch_sizes: Iterable[int],
) -> dict[str, Any]:
    """One network in one round, in a process that has run none before."""
    before, started_at = device_state(), now()
    import onnxruntime  # noqa: F401  # its import is no part of the cold start

    images = make_images(1, manifest["image"])
    start = time.perf_counter()
    call = make_call(folder / network["file"], threads, images)
    build_ms = (time.perf_counter() - start) * MS
    first_call_ms = timed_ms(call)
    cold_start_ms = (time.perf_counter() - start) * MS
    del call
    reference_before = time_reference(folder, manifest, threads)
    cells, unavailable = [], []
    for batch in batch_sizes:
        try:
            cells.append(measure_cell(folder, manifest, network, batch, threads))
        # The runtime raises its own exceptions, for example where memory runs out.
        except Exception as error:
            text = " ".join(f"{type(error).__name__}: {error}".split())
            unavailable.append({"batch_size": batch, "reason": text[:300]})
    return {
        "started_at": started_at,
        "build_ms": build_ms,
        "first_call_ms": first_call_ms,
        "cold_start_ms": cold_start_ms,
        "cells": cells,
        "unavailable": unavailable,
        "reference_before_ms": reference_before,
        "reference_after_ms": time_reference(folder, manifest, threads),
        "peak_rss_bytes": peak_rss_bytes(),
        "state_before": before,
        "state_after": device_state(),
        "finished_at": now(),
    }


def shortest_seconds(call: Callable[[], Any]) -> float:
    call()
    return min(timed_ms(call) for _ in range(4)) / MS


def measure_ceilings(folder: Path, manifest: dict[str, Any], threads: int) -> dict[str, Any]:
    """Peak arithmetic, memory bandwidth and overhead of this device, in a few seconds."""
    import numpy

    rates, operator_ms = [], 0.0
    for probe in manifest["probes"]:
        images = numpy.ones(probe["shape"], dtype="float32")
        seconds = shortest_seconds(make_call(folder / probe["file"], threads, images))
        if probe["operators"]:
            operator_ms = MS * seconds / probe["operators"]
        else:
            rates.append(probe["flops"] / seconds)
    source, target = (numpy.ones(manifest["copy_bytes"], dtype="uint8") for _ in range(2))
    copied = shortest_seconds(lambda: numpy.copyto(target, source))
    return {
        "flops_per_second": max(rates),
        "bytes_per_second": 2 * manifest["copy_bytes"] / copied,
        "operator_ms": operator_ms,
    }
