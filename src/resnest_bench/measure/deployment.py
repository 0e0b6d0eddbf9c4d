"""Deployment: in which precision and layout a network runs, how it is called, and whether that is right.

A mode is a function: a network and an image (B, C, H, W), both already in a setting's precision and
layout, to a call without arguments that gives the logits (B, classes). Its first call is compared
with the network called eagerly. docs/methods.md says what each mode is.
"""

import copy
import io
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from resnest_bench.device.graphs import Capture, capture_cuda_graph
from resnest_bench.measure.folding import fold_norms
from resnest_bench.specs import LatencySpec

Output = Tensor | np.ndarray
Call = Callable[[], Output]

# What the exporter and the runtime import. `make env` installs them; other environments may lack them.
ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")

# How far a mode's logits may be from eager's: ||mode - eager|| / ||eager||. The same sums in another
# order, and fused operators that round once instead of twice, differ by about the unit roundoff (2^-8
# in bf16, 2^-11 in tf32, 2^-24 in fp32) times the root of the depth. Folding any network of
# config/variants.yaml and compiling three of them differed by 1.4e-2 at most in bf16 and 2.2e-6 in
# fp32 (CPU). So bf16 may have four times that, tf32 an eighth of bf16 and some, and fp32 more, for
# algorithms that sum otherwise, like Winograd's. A wrong network is off by about 1.
TOLERANCES = {"fp32": 1e-4, "tf32": 1e-2, "bf16": 5e-2}


class NotAvailableError(RuntimeError):
    """This setting can't be measured here; the message says why."""


@dataclass(frozen=True)
class Setting:
    precision: str
    layout: str
    mode: str

    def __str__(self) -> str:
        return f"{self.precision}, {self.layout}, {self.mode}"


def list_settings(spec: LatencySpec) -> list[Setting]:
    """Every combination of the axes, each once.

    ONNX Runtime takes contiguous images alone and chooses its own layout inside: whatever layouts a
    protocol lists, it is measured once.
    """
    every = [
        Setting(precision, "contiguous" if mode == "onnxruntime" else layout, mode)
        for precision, layout, mode in product(spec.precisions, spec.layouts, spec.modes)
    ]
    return list(dict.fromkeys(every))


def check_available(setting: Setting, device: torch.device) -> None:
    """Raise NotAvailableError for what this device or this environment can't do."""
    if device.type != "cuda" and setting.precision == "tf32":
        raise NotAvailableError("tf32 needs an NVIDIA GPU")
    if device.type != "cuda" and setting.mode == "cudagraph":
        raise NotAvailableError("CUDA graphs need an NVIDIA GPU")
    if setting.mode == "onnxruntime":
        _check_onnxruntime(setting, device)


def _check_onnxruntime(setting: Setting, device: torch.device) -> None:
    if device.type != "cpu":
        raise NotAvailableError("ONNX Runtime is measured only on the CPU: use --device cpu")
    if setting.precision != "fp32":
        raise NotAvailableError("ONNX Runtime is measured only in fp32")
    missing = [name for name in ONNX_PACKAGES if find_spec(name) is None]
    if missing:
        names = " ".join(missing)
        raise NotAvailableError(f"ONNX Runtime's packages are missing: install {names}")


def make_input(
    batch: int, size: int, setting: Setting, device: torch.device, in_chans: int = 3
) -> Tensor:
    """Standard normal images (batch, in_chans, size, size), the same ones each time."""
    generator = torch.Generator().manual_seed(0)
    image_BCHW = torch.randn(batch, in_chans, size, size, generator=generator).to(device)
    if setting.precision == "bf16":
        image_BCHW = image_BCHW.to(torch.bfloat16)
    if setting.layout == "channels_last":
        return image_BCHW.to(memory_format=torch.channels_last)
    return image_BCHW


def in_setting(model: nn.Module, setting: Setting) -> nn.Module:
    """A copy of `model` in this layout and precision: bf16 converts the weights, no autocast."""
    model = copy.deepcopy(model).eval()
    if setting.precision == "bf16":
        model = model.to(torch.bfloat16)
    if setting.layout == "channels_last":
        # torch's annotations lack what its docs name.
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


@torch.no_grad()
def set_statistics(model: nn.Module) -> None:
    """Give every batch norm of `model`, in place, statistics and weights as after a training.

    A new norm is nearly an identity: a mode that forgot it would compute almost the same.
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
    """Python calls one operator after the other."""
    return lambda: network(image)


def folded(network: nn.Module, image: Tensor) -> Call:
    """Eager, without the batch norms that follow a convolution or a linear layer."""
    without_norms, num_folded = fold_norms(network, image)
    if not num_folded:
        raise NotAvailableError("no batch norm follows a convolution or a linear layer: as eager")
    return lambda: without_norms(image)


def compiled(network: nn.Module, image: Tensor) -> Call:
    """torch.compile for this shape alone; the compiler runs in the first call."""
    fast = torch.compile(network, dynamic=False)
    return lambda: fast(image)


def cudagraph(
    network: nn.Module, image: Tensor, capture: Capture[Output] = capture_cuda_graph
) -> Call:
    """A CUDA graph of the eager call: replaying it costs one launch from Python.

    Each replay gives the same tensor, with new contents.
    """
    return capture(eager(network, image))


def onnxruntime(network: nn.Module, image: Tensor) -> Call:
    """One run of ONNX Runtime on the CPU, from an array to an array, at this batch size alone."""
    session = _onnx_session(_onnx_file(network, image))
    inputs = {session.get_inputs()[0].name: image.numpy()}
    return lambda: session.run(None, inputs)[0]


def _onnx_file(network: nn.Module, image: Tensor) -> bytes:
    with warnings.catch_warnings():
        # The exporter's notes about its own insides.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(network, (image,), dynamo=True, verbose=False)
    file = io.BytesIO()
    assert program is not None, "the exporter of dynamo gives one"
    # It takes a file as well as a path.
    program.save(file)  # type: ignore[arg-type]
    return file.getvalue()


def _onnx_session(file: bytes) -> Any:
    """As many threads as torch has, one operator at a time, every optimisation of the graph."""
    import onnxruntime as runtime  # another environment may lack it

    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.inter_op_num_threads = 1
    options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return runtime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


MODES: dict[str, Callable[[nn.Module, Tensor], Call]] = {
    "eager": eager,
    "folded": folded,
    "compiled": compiled,
    "cudagraph": cudagraph,
    "onnxruntime": onnxruntime,
}


def relative_error(output: Output, expected: Output) -> float:
    """||output - expected|| / ||expected||, summed in float64; infinite where the shapes differ."""
    wide, wanted = (torch.as_tensor(value).cpu().double() for value in (output, expected))
    if wide.shape != wanted.shape:
        return math.inf
    difference, norm = float((wide - wanted).norm().item()), float(wanted.norm().item())
    if not norm:
        return math.inf if difference else 0.0
    return difference / norm


def checked_error(output: Output, expected: Output, precision: str) -> float:
    """`relative_error`. Raises NotAvailableError where it is over the precision's tolerance."""
    error, limit = relative_error(output, expected), TOLERANCES[precision]
    # NaN is over any limit.
    if not error <= limit:
        raise NotAvailableError(
            f"outputs differ from eager's by {error:.2g} (relative); {precision} allows {limit:g}"
        )
    return error
