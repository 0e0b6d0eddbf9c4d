"""The environment of a measurement: code, software, device and its state."""

import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import metadata
from pathlib import Path

import psutil
import torch

from resnest_bench.device.forking import is_fork
from resnest_bench.digests import PACKAGE
from resnest_bench.records.observations import DeviceState, Environment

PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "onnxruntime",
    "numpy",
    "pandas",
    "snakemake",
    "resnest-bench",
)

# Bits of nvidia-smi's clocks_throttle_reasons.active, from NVML's nvmlClocksThrottleReasons.
THROTTLE_BITS = {
    0x1: "idle",
    0x2: "application clocks",
    0x4: "software power cap",
    0x8: "hardware slowdown",
    0x10: "sync boost",
    0x20: "software thermal",
    0x40: "hardware thermal",
    0x80: "hardware power brake",
    0x100: "display clocks",
}


def _run(command: list[str], cwd: Path | None = None) -> str | None:
    try:
        done = subprocess.run(
            command, cwd=cwd, capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


@cache
def git_state() -> tuple[str | None, bool | None]:
    """Return the commit of the running code, and whether tracked files differ from it; None outside git."""
    commit = _run(["git", "rev-parse", "HEAD"], PACKAGE)
    if not commit:
        return None, None
    status = _run(["git", "status", "--porcelain", "--untracked-files=no"], PACKAGE)
    return commit, None if status is None else bool(status)


def package_versions() -> dict[str, str]:
    """Return the versions of those of PACKAGES that are installed."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


@cache
def cpu_model() -> str:
    """Return the name that the system gives the processor, with its number of logical cores."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    elif platform.system() == "Darwin":
        name = _run(["sysctl", "-n", "machdep.cpu.brand_string"]) or name
    return f"{name} ({os.cpu_count()} logical cores)"


def precision_flags() -> dict[str, bool | str]:
    """Return torch's current settings that affect precision."""
    return {
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
        "cudnn_allow_tf32": torch.backends.cudnn.allow_tf32,
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
        "cudnn_deterministic": torch.backends.cudnn.deterministic,
    }


def describe(device: torch.device, allocator: str | None = None) -> Environment:
    """Describe the environment of a measurement on `device`.

    `allocator` names the setting of malloc, if it was changed (see `device.allocator`).
    """
    commit, dirty = git_state()
    on_cuda = device.type == "cuda"
    return Environment(
        git_commit=commit,
        git_dirty=dirty,
        python=platform.python_version(),
        versions=package_versions(),
        os=platform.platform(),
        device_kind="cuda" if on_cuda else "cpu",
        device_name=torch.cuda.get_device_name(device) if on_cuda else cpu_model(),
        device_index=device.index if on_cuda else None,
        cuda=torch.version.cuda if on_cuda else None,
        cudnn=torch.backends.cudnn.version() if on_cuda else None,
        driver=_query_gpu(device, "driver_version") if on_cuda else None,
        cpu_model=cpu_model(),
        num_cpu_threads=torch.get_num_threads(),
        allocator=allocator,
        precision_flags=precision_flags(),
        forked=is_fork(),
    )


def _query_gpu(device: torch.device, fields: str) -> str | None:
    """One CSV line of nvidia-smi about the GPU `device`, or None."""
    uuid = getattr(torch.cuda.get_device_properties(device), "uuid", None)
    which = f"GPU-{uuid}" if uuid else str(device.index or 0)
    return _run(
        ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits", "-i", which]
    )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def parse_gpu_state(line: str) -> DeviceState:
    """Parse nvidia-smi's 'SM clock, memory clock, temperature, power, throttle mask'.

    Values that can't be parsed are None.
    """
    parts = [part.strip() for part in line.split(",")]
    if len(parts) != 5:
        return DeviceState()
    clock, memory, temperature, power = (_number(part) for part in parts[:4])
    try:
        mask = int(parts[4], 16)
    except ValueError:
        reasons = None
    else:
        reasons = [name for bit, name in THROTTLE_BITS.items() if mask & bit]
    return DeviceState(
        sm_clock_mhz=clock,
        memory_clock_mhz=memory,
        temperature_c=temperature,
        power_w=power,
        throttle_reasons=reasons,
    )


def device_state(device: torch.device) -> DeviceState:
    """Return a GPU's clocks, temperature, throttling and number of other processes; a CPU's load."""
    load = psutil.getloadavg()[0]
    if device.type != "cuda":
        return DeviceState(cpu_load_1min=load)
    fields = "clocks.sm,clocks.mem,temperature.gpu,power.draw,clocks_throttle_reasons.active"
    state = parse_gpu_state(_query_gpu(device, fields) or "")
    pids = _run(["nvidia-smi", "--query-compute-apps=pid", "--format=csv,noheader"])
    others = None
    if pids is not None:
        others = sum(1 for pid in pids.split() if pid.isdigit() and int(pid) != os.getpid())
    return state.model_copy(update={"cpu_load_1min": load, "num_other_processes": others})


@contextmanager
def precision(name: str) -> Iterator[None]:
    """Set torch's float32 flags for `name` ('fp32', 'tf32' or 'bf16'); restore the old ones on exit."""
    matmul, cudnn = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high" if name == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = name == "tf32"
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(matmul)
        torch.backends.cudnn.allow_tf32 = cudnn


@contextmanager
def tuned_convolutions(device: torch.device) -> Iterator[None]:
    """Let cuDNN time its algorithms for each shape and use the fastest. No effect on a CPU."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = device.type == "cuda"
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before
