"""ExecuTorch programs (.pte) for CPUs by XNNPACK, in fp32 (extra `executorch`).

Each release of ExecuTorch is built for one release of torch; with another one its runtime fails. So it is
tried once on a tiny network, and what fails there is the reason why it is not available.
"""

import functools
import os
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from resnest_bench.deploy.onnx import quiet
from resnest_bench.deploy.problems import NotAvailableError, check_packages, explain_failure
from resnest_bench.errors import first_line
from resnest_bench.files import write_bytes

LABEL = "ExecuTorch"
PACKAGES = ("executorch",)
INSTALL = 'pip install "resnest-bench[executorch]"'

Run = Callable[[np.ndarray], np.ndarray]


def check_available() -> None:
    """Raise NotAvailableError if the package is missing or does not work with this release of torch."""
    check_packages(LABEL, PACKAGES, INSTALL)
    if problem := _find_problem():
        raise NotAvailableError(problem)


@functools.cache
def _find_problem() -> str:
    """Say why a tiny network can't be exported and run; '' if it can."""
    network, example_BCHW = (
        nn.Sequential(nn.Flatten(), nn.Linear(4, 2)).eval(),
        torch.ones(1, 1, 2, 2),
    )
    try:
        logits_BK = _make_run(_to_bytes(network, example_BCHW))(example_BCHW.numpy())
    except Exception as error:
        return (
            f"not available here: ExecuTorch {version('executorch')} does not work with torch "
            f"{torch.__version__} ({type(error).__name__}: {first_line(error, 80)}): install the "
            "release of ExecuTorch for it"
        )
    assert logits_BK.shape == (1, 2)
    return ""


def export(network: nn.Module, example_BCHW: Tensor, path: Path) -> tuple[Path, ...]:
    """Write a network in eval mode as `path` (.pte), for the batch size of the example; return the files.

    Raises ExportError, which names the operator that can't be lowered.
    """
    check_available()
    try:
        content = _to_bytes(network, example_BCHW)
    except Exception as error:
        raise explain_failure(error, LABEL) from error
    write_bytes(path, content)
    return (path,)


def _to_bytes(network: nn.Module, example_BCHW: Tensor) -> bytes:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    _name_flatc()
    # Gradients are not exported, and inference mode's tensors can't be.
    with quiet(), torch.inference_mode(False), torch.no_grad():
        exported = torch.export.export(network, (example_BCHW.clone(),))
        edge = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()])
        return bytes(edge.to_executorch().buffer)


def _name_flatc() -> None:
    """Tell ExecuTorch where its own compiler of flat buffers is: it looks only in PATH."""
    spec = find_spec("executorch")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        os.environ.setdefault("FLATC_EXECUTABLE", str(Path(folder) / "data/bin/flatc"))


def load(path: Path, threads: int) -> Run:
    """Return a function from images (B, C, H, W) float32 to logits (B, classes).

    The runtime has one pool of threads per process, whose size the last call of `load` sets.
    """
    check_available()
    from executorch.extension.pybindings import _portable_lib

    with quiet():
        _portable_lib._unsafe_reset_threadpool(threads)
        return _make_run(path.read_bytes())


def _make_run(content: bytes) -> Run:
    from executorch.runtime import Runtime, Verification

    program = Runtime.get().load_program(content, verification=Verification.Minimal)
    method = program.load_method("forward")

    def run(images_BCHW: np.ndarray) -> np.ndarray:
        # The runtime reads from `content`, and a method from its program: both must stay alive.
        assert content
        assert program
        logits_BK = method.execute([torch.from_numpy(images_BCHW)])[0]
        # The program's own memory is overwritten by the next call.
        return np.array(logits_BK)

    return run
