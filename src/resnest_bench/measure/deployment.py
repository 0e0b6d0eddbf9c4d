"""Deployment settings: the precision and memory layout of a network, and the mode in which it is called.

A mode is a function. It takes a network and an image (B, C, H, W), both already in the setting's precision
and layout, and returns a call without arguments, which gives the logits (B, classes). The output of the
first call is compared with that of the network in eager mode. docs/methods.md describes each mode.
"""

import copy
import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from resnest_bench.deploy.formats import FILE_MODES, write_mode
from resnest_bench.deploy.problems import NotAvailableError
from resnest_bench.device.graphs import Capture, capture_cuda_graph
from resnest_bench.measure.folding import fold_norms
from resnest_bench.specs import LatencySpec

Output = Tensor | np.ndarray
Call = Callable[[], Output]

# Tolerances for the relative error of a mode's logits, ||mode - eager|| / ||eager||. Sums in another order, and
# fused operators that round once instead of twice, change the result by about the unit roundoff (2^-8 in
# bf16, 2^-11 in tf32, 2^-24 in fp32) times the square root of the depth. On a CPU, folding any network of
# config/variants.yaml and compiling three of them changed it by at most 1.4e-2 in bf16 and 2.2e-6 in fp32.
# The tolerance is about four times that in bf16, a bit more than an eighth of bf16's in tf32, and larger in
# fp32, for algorithms like Winograd's that sum differently. A wrong network has an error of about 1.
TOLERANCES = {"fp32": 1e-4, "tf32": 1e-2, "bf16": 5e-2}


@dataclass(frozen=True)
class Setting:
    """Precision (fp32, tf32 or bf16), memory layout (contiguous or channels_last) and mode (see MODES)."""

    precision: str
    layout: str
    mode: str

    def __str__(self) -> str:
        return f"{self.precision}, {self.layout}, {self.mode}"


def list_settings(spec: LatencySpec) -> list[Setting]:
    """Return every combination of the protocol's precisions, layouts and modes, without duplicates.

    Other runtimes only take contiguous images, and choose their own layout internally, so they are measured
    in only one layout.
    """
    every = [
        Setting(precision, "contiguous" if mode in FILE_MODES else layout, mode)
        for precision, layout, mode in product(spec.precisions, spec.layouts, spec.modes)
    ]
    return list(dict.fromkeys(every))


def check_available(setting: Setting, device: torch.device) -> None:
    """Raise NotAvailableError if the device or the environment does not support a setting."""
    if device.type != "cuda" and setting.precision == "tf32":
        raise NotAvailableError("tf32 needs an NVIDIA GPU")
    if device.type != "cuda" and setting.mode == "cudagraph":
        raise NotAvailableError("CUDA graphs need an NVIDIA GPU")
    if setting.mode in FILE_MODES:
        _check_file_mode(setting, device)


def _check_file_mode(setting: Setting, device: torch.device) -> None:
    if device.type != "cpu":
        label = FILE_MODES[setting.mode].format.label
        raise NotAvailableError(f"{label} is measured only on the CPU: use --device cpu")
    if setting.precision != "fp32":
        label = FILE_MODES[setting.mode].format.label
        raise NotAvailableError(f"{label} is measured only in fp32, or in its own int8 mode")
    FILE_MODES[setting.mode].check_available()


def make_input(
    batch: int, size: int, setting: Setting, device: torch.device, in_chans: int = 3
) -> Tensor:
    """Return standard normal images (batch, in_chans, size, size), the same ones for every call."""
    generator = torch.Generator().manual_seed(0)
    image_BCHW = torch.randn(batch, in_chans, size, size, generator=generator).to(device)
    if setting.precision == "bf16":
        image_BCHW = image_BCHW.to(torch.bfloat16)
    if setting.layout == "channels_last":
        return image_BCHW.to(memory_format=torch.channels_last)
    return image_BCHW


def in_setting(model: nn.Module, setting: Setting) -> nn.Module:
    """Return a copy of `model` in this layout and precision. bf16 converts the weights, without autocast."""
    model = copy.deepcopy(model).eval()
    if setting.precision == "bf16":
        model = model.to(torch.bfloat16)
    if setting.layout == "channels_last":
        # torch's annotations lack this documented argument.
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


@torch.no_grad()
def set_statistics(model: nn.Module) -> None:
    """Set the statistics and weights of all batch norms, in place, to random values, as after training.

    A new norm is almost an identity, so a mode that omitted it would go unnoticed.
    """
    generator = torch.Generator().manual_seed(0)
    for norm in model.modules():
        if isinstance(norm, nn.modules.batchnorm._BatchNorm):
            for values in (norm.running_mean, norm.bias):
                if values is not None:
                    values.copy_(0.1 * torch.randn(values.shape, generator=generator))
            for values in (norm.running_var, norm.weight):
                if values is not None:
                    values.copy_(0.5 + torch.rand(values.shape, generator=generator))


def eager(network: nn.Module, image: Tensor) -> Call:
    """Call the network as it is: Python launches one operator after the other."""
    return lambda: network(image)


def folded(network: nn.Module, image: Tensor) -> Call:
    """Eager mode, with batch norms folded into the preceding convolutions and linear layers."""
    without_norms, num_folded = fold_norms(network, image)
    if not num_folded:
        raise NotAvailableError(
            "the same as eager: no batch norm follows a convolution or a linear layer"
        )
    return lambda: without_norms(image)


def compiled(network: nn.Module, image: Tensor) -> Call:
    """Compile the network for this shape only. The compiler runs in the first call."""
    fast = torch.compile(network, dynamic=False)
    return lambda: fast(image)


def cudagraph(
    network: nn.Module, image: Tensor, capture: Capture[Output] = capture_cuda_graph
) -> Call:
    """Record the eager call as a CUDA graph, which Python replays with a single launch.

    Each replay returns the same tensor with new contents.
    """
    return capture(eager(network, image))


def open_files(
    mode: str, network: nn.Module, image: Tensor, calibration_NCHW: np.ndarray | None = None
) -> tuple[Call, int]:
    """Return the call of a mode of FILE_MODES for the batch size of `image`, and the bytes of its files.

    Images and logits are numpy arrays. int8 without `calibration_NCHW` is calibrated on `image`: enough
    for a latency, which doesn't depend on the values.
    """
    images_BCHW = image.numpy()
    calibration_NCHW = images_BCHW if calibration_NCHW is None else calibration_NCHW
    with tempfile.TemporaryDirectory() as folder:
        files = write_mode(mode, network, image, Path(folder), calibration_NCHW)
        num_bytes = sum(file.stat().st_size for file in files)
        run = FILE_MODES[mode].format.load(files[0], torch.get_num_threads())
    return lambda: run(images_BCHW), num_bytes


def _run_files(mode: str) -> Callable[[nn.Module, Tensor], Call]:
    """The function of a mode of FILE_MODES, as MODES has them."""
    return lambda network, image: open_files(mode, network, image)[0]


MODES: dict[str, Callable[[nn.Module, Tensor], Call]] = {
    "eager": eager,
    "folded": folded,
    "compiled": compiled,
    "cudagraph": cudagraph,
    **{mode: _run_files(mode) for mode in FILE_MODES},
}


def relative_error(output: Output, expected: Output) -> float:
    """Return ||output - expected|| / ||expected|| in float64, or infinity if the shapes differ."""
    actual, wanted = (torch.as_tensor(value).cpu().double() for value in (output, expected))
    if actual.shape != wanted.shape:
        return math.inf
    difference, norm = float((actual - wanted).norm().item()), float(wanted.norm().item())
    if not norm:
        return math.inf if difference else 0.0
    return difference / norm


def checked_error(output: Output, expected: Output, precision: str, mode: str = "eager") -> float:
    """Return `relative_error`. Raises NotAvailableError if it exceeds the precision's tolerance.

    In int8 rounding is the point, and what it costs is measured as accuracy (`measure.deploy_jobs`): such a
    mode has no tolerance.
    """
    error, limit = relative_error(output, expected), TOLERANCES[precision]
    if mode in FILE_MODES and FILE_MODES[mode].int8:
        return error
    # Written so that NaN fails too.
    if not error <= limit:
        raise NotAvailableError(
            f"outputs differ from eager mode by {error:.2g} (relative), but the tolerance for "
            f"{precision} is {limit:g}"
        )
    return error
