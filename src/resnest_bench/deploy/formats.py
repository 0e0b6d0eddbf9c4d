"""The formats by name, and the modes of deployment that run their files."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from torch import Tensor, nn

from resnest_bench.deploy import executorch, onnx, openvino

Run = Callable[[np.ndarray], np.ndarray]


class Export(Protocol):
    def __call__(
        self, network: nn.Module, example_BCHW: Tensor, path: Path
    ) -> tuple[Path, ...]: ...


@dataclass(frozen=True)
class Format:
    """One format of files and its runtime.

    Attributes:
        label: its name in texts.
        suffix: of the main file's name.
        check_available: raises NotAvailableError if it can't be written or run here.
        check_int8: the same for int8.
        export: writes a network.
        quantise: writes the int8 version of such a file from calibration images; None if there is none.
        load: returns a function from images to logits.
    """

    label: str
    suffix: str
    check_available: Callable[[], None]
    check_int8: Callable[[], None]
    export: Export
    quantise: Callable[[Path, np.ndarray, Path], tuple[Path, ...]] | None
    load: Callable[[Path, int], Run]


FORMATS: dict[str, Format] = {
    "onnx": Format(
        "ONNX Runtime",
        ".onnx",
        onnx.check_available,
        onnx.check_available,
        onnx.export,
        onnx.quantise,
        onnx.load,
    ),
    "openvino": Format(
        openvino.LABEL,
        ".xml",
        openvino.check_available,
        lambda: openvino.check_available(int8=True),
        openvino.export,
        openvino.quantise,
        openvino.load,
    ),
    "executorch": Format(
        executorch.LABEL,
        ".pte",
        executorch.check_available,
        executorch.check_available,
        executorch.export,
        None,
        executorch.load,
    ),
}


@dataclass(frozen=True)
class FileMode:
    """A mode that runs a file: its format, and whether it is quantised to int8."""

    format_name: str
    int8: bool = False

    @property
    def format(self) -> Format:
        return FORMATS[self.format_name]

    def check_available(self) -> None:
        """Raise NotAvailableError with the install line if something is missing."""
        (self.format.check_int8 if self.int8 else self.format.check_available)()


# Modes of a latency protocol and of a `deploy` block.
FILE_MODES: dict[str, FileMode] = {
    "onnxruntime": FileMode("onnx"),
    "onnxruntime-int8": FileMode("onnx", int8=True),
    "openvino": FileMode("openvino"),
    "openvino-int8": FileMode("openvino", int8=True),
    "executorch": FileMode("executorch"),
}


def write_mode(
    mode: str,
    network: nn.Module,
    example_BCHW: Tensor,
    folder: Path,
    calibration_NCHW: np.ndarray | None = None,
) -> tuple[Path, ...]:
    """Write the files of a mode of FILE_MODES into `folder`; return them, the one to load first.

    `calibration_NCHW` are float32 images for int8. Raises NotAvailableError if the format is not available
    or the network can't be exported, and ValueError for int8 without images.
    """
    chosen = FILE_MODES[mode]
    chosen.check_available()
    if chosen.int8 and calibration_NCHW is None:
        raise ValueError(f"{mode} needs calibration images, but got none")
    file = folder / f"network{chosen.format.suffix}"
    files = chosen.format.export(network, example_BCHW, file)
    if calibration_NCHW is None or not chosen.int8:
        return files
    assert chosen.format.quantise is not None, "FILE_MODES has int8 only where it can be made"
    target = folder / f"network-int8{chosen.format.suffix}"
    return chosen.format.quantise(file, calibration_NCHW, target)
