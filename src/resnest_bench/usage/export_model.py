"""Export a trained network to files that other runtimes run, each compared with torch on real test images."""

import importlib.metadata
import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import nn

from resnest_bench.data.batches import BatchLoader
from resnest_bench.data.prepared import PreparedDataset
from resnest_bench.deploy import executorch, onnx, openvino
from resnest_bench.deploy.problems import NotAvailableError, explain_failure
from resnest_bench.errors import UserError
from resnest_bench.models.weights import file_sha256, save_weights
from resnest_bench.usage.trained import TrainedNetwork

FORMATS = ("onnx", "openvino", "executorch", "safetensors", "pt2")
COMPARED_IMAGES = 256
AT_ONCE = 32
# Of the logits, ||file - torch|| / ||torch||: other orders of sums in fp32 change about 1e-6 of them, and a
# wrong network about 1.
TOLERANCE = 1e-3
CHECKSUMS = "SHA256SUMS"

Run = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class ExportedFile:
    """One format: its files, and how its outputs differ from torch's on `num_images` test images.

    `max_difference` is of the logits, `relative_error` ||file - torch|| / ||torch||, and `agreement` the share of
    images with the same predicted class.
    """

    format: str
    files: tuple[str, ...]
    num_bytes: int
    runtime: str
    num_images: int
    max_difference: float
    relative_error: float
    agreement: float


def choose_images(
    network: TrainedNetwork, data: PreparedDataset, most: int = COMPARED_IMAGES
) -> np.ndarray:
    """Return up to `most` test images (N, C, H, W) float32, evenly spaced, since they are sorted by class."""
    num = len(data.test)
    indices = np.unique(np.linspace(0, num - 1, min(num, most)).round().astype(int))
    stats = network.preprocessing.mean, network.preprocessing.std
    loader = BatchLoader(data.test, data.meta, None, torch.device("cpu"), stats)
    images: np.ndarray = loader.eval_batch(indices)[0].numpy()
    return images


def export_formats(
    network: TrainedNetwork, formats: Sequence[str], folder: Path, images_NCHW: np.ndarray
) -> tuple[list[ExportedFile], dict[str, str]]:
    """Write the network in each format into `folder`; return the files, and why formats have none.

    A file whose outputs differ from torch's is deleted. The network must be on the CPU.
    """
    done: list[ExportedFile] = []
    problems: dict[str, str] = {}
    with torch.inference_mode():
        wanted_NK = _run_parts(
            lambda part: network.model(torch.from_numpy(part)).numpy(), images_NCHW
        )
    for name in formats:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            try:
                paths, run, size = _export(name, network, Path(place), images_NCHW[:2])
                seen = _compare(name, paths, run, images_NCHW, wanted_NK, size)
            except NotAvailableError as error:
                problems[name] = str(error)
                continue
            for path in paths:
                path.replace(folder / path.name)
            done.append(seen)
    return done, problems


def _export(
    name: str, network: TrainedNetwork, folder: Path, example: np.ndarray
) -> tuple[tuple[Path, ...], Run, int]:
    """Write one format; return its files, a function that runs them, and the images at a time."""
    model, example_BCHW = network.model, torch.from_numpy(example)
    if name == "onnx":
        paths = onnx.export(model, example_BCHW, folder / "model.onnx", any_batch=True)
        _add_metadata(paths[0], network)
        return paths, onnx.load(paths[0], 1), AT_ONCE
    if name == "openvino":
        paths = openvino.export(model, example_BCHW, folder / "model.xml", any_batch=True)
        return paths, openvino.load(paths[0], 1), AT_ONCE
    if name == "executorch":
        paths = executorch.export(model, example_BCHW[:1], folder / "model.pte")
        return paths, executorch.load(paths[0], 1), 1
    if name == "safetensors":
        path = folder / "model.safetensors"
        save_weights(path, model)
        return (path,), _load_weights(path, model), AT_ONCE
    path = folder / "model.pt2"
    _export_program(path, model, example_BCHW)
    return (path,), _load_program(path), AT_ONCE


def _add_metadata(path: Path, network: TrainedNetwork) -> None:
    """Write preprocessing and classes into the ONNX file too, so that it can be used alone."""
    import onnx as onnx_package

    model = onnx_package.load(path)
    values = {
        "preprocessing": json.dumps(network.preprocessing.as_dict()),
        "classes": json.dumps(network.classes, ensure_ascii=False),
        "variant": network.job.variant,
    }
    onnx_package.helper.set_model_props(model, values)
    onnx_package.save(model, path)


def _load_weights(path: Path, model: nn.Module) -> Run:
    import copy

    loaded = copy.deepcopy(model)
    for tensor in loaded.state_dict().values():
        tensor.zero_()
    loaded.load_state_dict(safetensors.torch.load_file(path))
    return _make_run(loaded)


def _export_program(path: Path, model: nn.Module, example_BCHW: torch.Tensor) -> None:
    batch = torch.export.Dim("batch")
    try:
        with onnx.quiet(), torch.no_grad():
            program = torch.export.export(model, (example_BCHW,), dynamic_shapes=({0: batch},))
            torch.export.save(program, path)
    # It raises whatever a network raises.
    except Exception as error:
        raise explain_failure(error, "torch.export") from error


def _load_program(path: Path) -> Run:
    with onnx.quiet():
        return _make_run(torch.export.load(path).module())


def _make_run(model: nn.Module) -> Run:
    def run(images_BCHW: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            logits_BK: np.ndarray = model(torch.from_numpy(images_BCHW)).numpy()
        return logits_BK

    return run


def _run_parts(run: Run, images_NCHW: np.ndarray, size: int = AT_ONCE) -> np.ndarray:
    parts = [
        run(np.ascontiguousarray(images_NCHW[start : start + size]))
        for start in range(0, len(images_NCHW), size)
    ]
    return np.concatenate(parts).astype(np.float64)


def _compare(
    name: str,
    paths: Sequence[Path],
    run: Run,
    images_NCHW: np.ndarray,
    wanted_NK: np.ndarray,
    size: int,
) -> ExportedFile:
    """Run a file in its own runtime. Raises NotAvailableError if its outputs differ too much."""
    came_NK = _run_parts(run, images_NCHW, size)
    if came_NK.shape != wanted_NK.shape:
        raise NotAvailableError(
            f"its outputs have the shape {came_NK.shape}, not {wanted_NK.shape}"
        )
    error = float(np.linalg.norm(came_NK - wanted_NK)) / max(
        float(np.linalg.norm(wanted_NK)), 1e-30
    )
    if not error <= TOLERANCE:  # NaN too
        raise NotAvailableError(
            f"its outputs on {len(images_NCHW)} test images must be those of torch up to {TOLERANCE:g} (relative), "
            f"but differ by {error:.2g}: it is not kept"
        )
    return ExportedFile(
        name,
        tuple(path.name for path in paths),
        sum(path.stat().st_size for path in paths),
        _name_runtime(name),
        len(images_NCHW),
        float(np.abs(came_NK - wanted_NK).max()),
        error,
        float((came_NK.argmax(axis=1) == wanted_NK.argmax(axis=1)).mean()),
    )


def _name_runtime(name: str) -> str:
    package = {"onnx": "onnxruntime", "safetensors": "torch", "pt2": "torch"}.get(name, name)
    return f"{package} {importlib.metadata.version(package)}"


def write_texts(folder: Path, network: TrainedNetwork) -> None:
    """Write the preprocessing and the class names as JSON."""
    content: dict[str, Any] = {
        **network.preprocessing.as_dict(),
        "classes": list(network.classes),
    }
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    (folder / "preprocessing.json").write_text(text, encoding="utf-8")
    names = json.dumps(list(network.classes), indent=1, ensure_ascii=False) + "\n"
    (folder / "classes.json").write_text(names, encoding="utf-8")


def write_checksums(folder: Path) -> None:
    """Write the SHA-256 of every file as `sha256sum --check` reads it."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != CHECKSUMS)
    lines = [f"{file_sha256(path)}  {path.name}\n" for path in files]
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8")


def check_output(folder: Path) -> None:
    """Raise UserError unless the folder is new or empty."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise UserError(f"--output must be a new folder, but {folder} is a file: name another")
    if folder.is_dir() and any(folder.iterdir()):
        raise UserError(
            f"--output must be a new or empty folder, but {folder} holds files: name another, or delete it"
        )


def publish(partial: Path, folder: Path) -> None:
    """Move a finished folder to its place, whole."""
    partial.chmod(0o755)
    if folder.is_dir():
        folder.rmdir()
    shutil.move(partial, folder)
