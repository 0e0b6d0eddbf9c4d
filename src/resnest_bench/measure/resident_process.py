"""A process that runs one network and says how much memory it took; run by `measure.resident`.

It must not import torch for a file of another runtime: torch alone is larger than many networks. So this file
imports nothing of the package at its top. Its input is a JSON object on standard input, its output one on standard
output.
"""

import json
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

NUM_CALLS = 3


def peak_bytes() -> int:
    """Return the peak resident memory of this process since it began to run this program.

    Not `ru_maxrss` on Linux: it is kept across exec, and so starts with the size of the process that started us.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(one for one in status.read_text().splitlines() if one.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def import_onnx(task: dict[str, Any]) -> Callable[[np.ndarray], object]:
    """As `deploy.onnx.load`."""
    import onnxruntime as runtime

    def start(images_BCHW: np.ndarray) -> Callable[[], object]:
        options = runtime.SessionOptions()
        options.intra_op_num_threads = task["threads"]
        options.inter_op_num_threads = 1
        session = runtime.InferenceSession(
            task["file"], options, providers=["CPUExecutionProvider"]
        )
        name = session.get_inputs()[0].name
        return lambda: session.run(None, {name: images_BCHW})

    return start


def import_openvino(task: dict[str, Any]) -> Callable[[np.ndarray], object]:
    """As `deploy.openvino.load`."""
    import openvino

    def start(images_BCHW: np.ndarray) -> Callable[[], object]:
        settings = {
            "INFERENCE_NUM_THREADS": task["threads"],
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
        }
        model = openvino.Core().compile_model(task["file"], "CPU", settings)
        request = model.create_infer_request()
        return lambda: request.infer([images_BCHW])

    return start


def import_torch(task: dict[str, Any]) -> Callable[[np.ndarray], object]:
    """A mode of torch, or a runtime that needs torch."""
    import torch

    from resnest_bench.deploy.formats import FORMATS
    from resnest_bench.measure.deployment import MODES, Setting, in_setting, make_input
    from resnest_bench.models import build_model
    from resnest_bench.specs.variants import VariantSpec

    torch.set_num_threads(task["threads"])

    def start(images_BCHW: np.ndarray) -> Callable[[], object]:
        if "file" in task:
            run = FORMATS[task["format"]].load(Path(task["file"]), task["threads"])
            return lambda: run(images_BCHW)
        from pydantic import TypeAdapter

        variant: Any = TypeAdapter(VariantSpec).validate_python(task["variant"])
        setting = Setting(**task["setting"])
        model = build_model(variant, task["num_classes"], in_chans=task["in_chans"]).eval()
        network = in_setting(model, setting)
        del model
        device = torch.device("cpu")
        image = make_input(task["batch"], task["size"], setting, device, task["in_chans"])
        return MODES[setting.mode](network, image)

    def without_gradients(images_BCHW: np.ndarray) -> Callable[[], object]:
        with torch.inference_mode():
            call = start(images_BCHW)

        def guarded() -> object:
            with torch.inference_mode():
                return call()

        return guarded

    return without_gradients


IMPORTS: dict[str, Callable[[dict[str, Any]], Callable[[np.ndarray], Any]]] = {
    "onnx": import_onnx,
    "openvino": import_openvino,
    "executorch": import_torch,
    "torch": import_torch,
}


def run(task: dict[str, Any]) -> dict[str, int]:
    """Load the libraries, then the network, call it, and return the peaks before and after it in bytes."""
    start = IMPORTS[task["format"]](task)
    shape = (task["batch"], task["in_chans"], task["size"], task["size"])
    images_BCHW = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    before = peak_bytes()
    call = start(images_BCHW)
    for _ in range(NUM_CALLS):
        call()
    return {"before": before, "peak": peak_bytes()}


if __name__ == "__main__":
    print(json.dumps(run(json.load(sys.stdin))))
