"""ONNX files, run by ONNX Runtime on the CPU, in fp32 or int8.

int8 is static quantisation: QDQ nodes, symmetric weights with one scale per output channel, and activations
whose range is that over the calibration images (https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html).
Activations are unsigned: with signed ones, ONNX Runtime 1.32 ran a ResNet-18 on eight images of 64x64 no faster
than in fp32, and with unsigned ones 3.5 times as fast (one run on an Intel Xeon that was busy).
"""

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from resnest_bench.deploy.problems import check_packages, explain_failure
from resnest_bench.files import write_bytes

LABEL = "ONNX"
# The packages that the exporter and the runtime need. `make env` installs them.
PACKAGES = ("onnx", "onnxscript", "onnxruntime")
INSTALL = "pip install 'resnest-bench[train]'"
CALIBRATION_BATCH = 32

Run = Callable[[np.ndarray], np.ndarray]


def check_available() -> None:
    """Raise NotAvailableError if a package is missing."""
    check_packages("ONNX Runtime", PACKAGES, INSTALL)


def export(
    network: nn.Module, example_BCHW: Tensor, path: Path, any_batch: bool = False
) -> tuple[Path, ...]:
    """Write a network in eval mode as an ONNX file; return the files.

    The batch size is that of the example, or with `any_batch` free. Raises ExportError, which names the
    operator that ONNX lacks.
    """
    write_bytes(path, to_bytes(network, example_BCHW, any_batch))
    return (path,)


def to_bytes(network: nn.Module, example_BCHW: Tensor, any_batch: bool = False) -> bytes:
    """As `export`, but return the content of the file."""
    check_available()
    # torch.export specialises a batch of one image.
    if any_batch and len(example_BCHW) == 1:
        example_BCHW = torch.cat([example_BCHW, example_BCHW])
    sizes = ({0: torch.export.Dim("batch")},) if any_batch else None
    file = io.BytesIO()
    try:
        with quiet():
            program = torch.onnx.export(
                network,
                (example_BCHW,),
                dynamo=True,
                verbose=False,
                input_names=["images"],
                output_names=["logits"],
                dynamic_shapes=sizes,
            )
            assert program is not None, "the dynamo exporter returns a program"
            # The annotation is too narrow: `save` also takes a file object.
            program.save(file)  # type: ignore[arg-type]
    # The exporter raises whatever a network, torch.export or onnxscript raises.
    except Exception as error:
        raise explain_failure(error, LABEL) from error
    return file.getvalue()


def quantise(path: Path, images_NCHW: np.ndarray, target: Path) -> tuple[Path, ...]:
    """Write the int8 version of the ONNX file `path`, calibrated on images (N, C, H, W) float32.

    Raises ValueError without images, and ExportError if the file can't be quantised.
    """
    check_available()
    check_calibration(images_NCHW)
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    reader = _make_reader(path, images_NCHW)
    with tempfile.TemporaryDirectory() as folder:
        prepared, quantised = Path(folder) / "prepared.onnx", Path(folder) / "int8.onnx"
        try:
            with quiet():
                # Constants are folded and batch norms fused, so that no scale is wasted on them.
                quant_pre_process(path, prepared, skip_symbolic_shape=True)
                quantize_static(
                    prepared,
                    quantised,
                    reader,
                    quant_format=QuantFormat.QDQ,
                    per_channel=True,
                    activation_type=QuantType.QUInt8,
                    weight_type=QuantType.QInt8,
                )
        except Exception as error:
            raise explain_failure(error, f"int8 {LABEL}") from error
        write_bytes(target, quantised.read_bytes())
    return (target,)


def _make_reader(path: Path, images_NCHW: np.ndarray) -> Any:
    """The calibration images in batches of the size that the file takes."""
    from onnxruntime.quantization import CalibrationDataReader

    session = make_session(path.read_bytes(), 1)
    name, size = session.get_inputs()[0].name, session.get_inputs()[0].shape[0]
    step = size if isinstance(size, int) else CALIBRATION_BATCH
    batches = iter(list(split_images(images_NCHW, step, whole=isinstance(size, int))))

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> dict[str, np.ndarray] | None:
            batch = next(batches, None)
            return None if batch is None else {name: batch}

    return Reader()


def split_images(images_NCHW: np.ndarray, size: int, whole: bool) -> Iterator[np.ndarray]:
    """Yield batches of `size` images; with `whole`, the last one is filled up with the first images."""
    for start in range(0, len(images_NCHW), size):
        batch = images_NCHW[start : start + size]
        if whole and len(batch) < size:
            fill = np.resize(np.arange(len(images_NCHW)), size - len(batch))
            batch = np.concatenate([batch, images_NCHW[fill]])
        yield np.ascontiguousarray(batch)


def check_calibration(images_NCHW: np.ndarray) -> None:
    """Raise ValueError if there are no images, or ones of another shape or type."""
    if images_NCHW.ndim != 4 or images_NCHW.dtype != np.float32 or not len(images_NCHW):
        raise ValueError(
            "int8 needs calibration images (N, C, H, W) of float32, at least one, but got "
            f"{images_NCHW.dtype} of shape {images_NCHW.shape}"
        )


def load(path: Path, threads: int) -> Run:
    """Return a function from images (B, C, H, W) float32 to logits (B, classes)."""
    return make_run(path.read_bytes(), threads)


def make_run(content: bytes, threads: int) -> Run:
    """As `load`, from the content of a file."""
    session = make_session(content, threads)
    name = session.get_inputs()[0].name

    def run(images_BCHW: np.ndarray) -> np.ndarray:
        logits_BK: np.ndarray = session.run(None, {name: images_BCHW})[0]
        return logits_BK

    return run


def make_session(content: bytes, threads: int) -> Any:
    """A session with this number of threads, one operator at a time, and all graph optimisations."""
    check_available()
    import onnxruntime as runtime  # takes a second, and few jobs need it

    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence warnings and log messages that exporters and quantisers write about their own internals."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
