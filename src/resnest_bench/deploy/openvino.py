"""OpenVINO's intermediate representation (an .xml and a .bin file), in fp32 or int8 (extra `openvino`).

It is converted from ONNX, so that both runtimes get the same graph. int8 is NNCF's post-training
quantisation (https://docs.openvino.ai/2025/openvino-workflow/model-optimization.html).
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from resnest_bench.deploy import onnx
from resnest_bench.deploy.problems import check_packages, explain_failure

LABEL = "OpenVINO"
PACKAGES = ("openvino",)
INT8_PACKAGES = ("openvino", "nncf")
INSTALL = 'pip install "resnest-bench[openvino]"'

Run = Callable[[np.ndarray], np.ndarray]


def check_available(int8: bool = False) -> None:
    """Raise NotAvailableError if a package is missing."""
    check_packages(LABEL, INT8_PACKAGES if int8 else PACKAGES, INSTALL)


def export(
    network: nn.Module, example_BCHW: Tensor, path: Path, any_batch: bool = False
) -> tuple[Path, ...]:
    """Write a network in eval mode as `path` (.xml) and its weights (.bin); return both files.

    Arguments and errors as in `onnx.export`.
    """
    check_available()
    with tempfile.TemporaryDirectory() as folder:
        (file,) = onnx.export(network, example_BCHW, Path(folder) / "network.onnx", any_batch)
        return convert(file, path)


def convert(onnx_file: Path, path: Path) -> tuple[Path, ...]:
    """Write an ONNX file as OpenVINO's two files. Raises ExportError if it can't be converted."""
    check_available()
    import openvino

    try:
        with onnx.quiet():
            model = openvino.convert_model(onnx_file)
    except Exception as error:
        raise explain_failure(error, LABEL) from error
    return _save(model, path)


def quantise(path: Path, images_NCHW: np.ndarray, target: Path) -> tuple[Path, ...]:
    """Write the int8 version of the .xml file `path`, calibrated on images (N, C, H, W) float32.

    Raises ValueError without images, and ExportError if the file can't be quantised.
    """
    check_available(int8=True)
    onnx.check_calibration(images_NCHW)
    import nncf
    import openvino

    model = openvino.Core().read_model(path)
    shape = model.input(0).get_partial_shape()
    fixed = not shape[0].is_dynamic
    size = shape[0].get_length() if fixed else onnx.CALIBRATION_BATCH
    batches = list(onnx.split_images(images_NCHW, size, whole=fixed))
    try:
        with onnx.quiet():
            quantised = nncf.quantize(model, nncf.Dataset(batches), subset_size=len(batches))
    except Exception as error:
        raise explain_failure(error, f"int8 {LABEL}") from error
    return _save(quantised, target)


def _save(model: Any, path: Path) -> tuple[Path, ...]:
    """Write both files next to `path` first, so that no half of them stays there."""
    import openvino

    path.parent.mkdir(parents=True, exist_ok=True)
    weights = path.with_suffix(".bin")
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        written = Path(folder) / path.name
        # By default weights are rounded to 16 bits.
        openvino.save_model(model, written, compress_to_fp16=False)
        written.with_suffix(".bin").replace(weights)
        written.replace(path)
    return path, weights


def load(path: Path, threads: int) -> Run:
    """Return a function from images (B, C, H, W) float32 to logits (B, classes)."""
    check_available()
    import openvino

    # By default OpenVINO rounds to bf16 where the processor is faster with it.
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    request = openvino.Core().compile_model(path, "CPU", settings).create_infer_request()

    bound: list[np.ndarray] = []

    def run(images_BCHW: np.ndarray) -> np.ndarray:
        images_BCHW = np.ascontiguousarray(images_BCHW)
        # To bind an array takes a tenth of a small network's call: the same array stays bound.
        if not bound or bound[0] is not images_BCHW:
            request.set_input_tensor(openvino.Tensor(images_BCHW, shared_memory=True))
            bound[:] = [images_BCHW]
        request.infer()
        # The request's own memory is overwritten by the next call.
        logits_BK: np.ndarray = request.get_output_tensor(0).data.copy()
        return logits_BK

    return run
