"""The networks of a bundle as ONNX files, each checked against torch before it leaves the house."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx as onnx_format
import onnxruntime
import timm
import torch
from torch import nn

from resnest_bench.bundle.measuring import make_call, make_images, relative_error
from resnest_bench.deploy import onnx
from resnest_bench.deploy.problems import ExportError
from resnest_bench.measure.complexity import complexity
from resnest_bench.measure.deployment import TOLERANCES, set_statistics
from resnest_bench.models import build_model, fit_to_image
from resnest_bench.models.weight_files import load_weights_file
from resnest_bench.models.weights import apply_weights
from resnest_bench.specs import LatencySpec, VariantSpec

TOLERANCE = TOLERANCES["fp32"]
# The batch sizes that an exported network is checked at; torch would specialise one of a single image.
CHECKED_BATCHES = (1, 3)
NO_TRAINING = "those of the latency job (no training)"
# A small device must have the memory for two of these.
COPY_BYTES = 1 << 26
NUM_LAYERS = 30


@dataclass(frozen=True)
class Exported:
    """A network's ONNX file and what its list of contents says of it."""

    content: bytes
    facts: dict[str, Any]


@torch.inference_mode()
def export_network(
    variant: VariantSpec,
    num_classes: int,
    image: dict[str, int],
    weights: Path | None,
) -> Exported:
    """Export one variant, with the trained weights in the file `weights` or those of a latency job.

    `image` has its size and its channels. Raises ExportError where an operator has no form in ONNX, or
    where the file computes something else than torch.
    """
    fitted, size_args = fit_to_image(variant, image["size"])
    torch.manual_seed(0)
    model = build_model(fitted, num_classes, in_chans=image["channels"]).eval()
    counts = complexity(model, image["size"], image["channels"])
    if weights is None:
        set_statistics(model)
    else:
        apply_weights(model, load_weights_file(weights), str(weights))
    exported = torch.from_numpy(make_images(1, image))
    logits_K = model(exported)[0]
    # torch.export takes no tensors that were made in inference mode.
    with torch.inference_mode(False), torch.no_grad():
        content = onnx.to_bytes(model.eval(), exported.clone(), any_batch=True)
    facts = {
        "num_params": counts.num_params,
        "num_macs": counts.num_macs,
        "num_activations": counts.num_activations,
        "uncounted_operators": counts.uncounted,
        "size_args": size_args,
        "logits": logits_K.tolist(),
        "num_operators": _check(model, content, image),
    }
    return Exported(content, facts)


def _check(model: nn.Module, content: bytes, image: dict[str, int]) -> int:
    """Compare the file with torch; return the number of operators that the runtime makes of it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.onnx"
        file.write_bytes(content)
        for batch in CHECKED_BATCHES:
            images = make_images(batch, image)
            output = make_call(file, torch.get_num_threads(), images)()
            error = relative_error(output, model(torch.from_numpy(images)).numpy())
            if error > TOLERANCE:
                raise ExportError(
                    f"the ONNX file computes something else than torch: its output differs by {error:.1e} "
                    f"at batch size {batch}, more than {TOLERANCE:g}"
                )
        return count_operators(file)


def count_operators(file: Path) -> int:
    """The operators of an ONNX file after the runtime has fused and folded them for one image."""
    options = onnxruntime.SessionOptions()
    optimised = file.with_suffix(".optimised.onnx")
    options.optimized_model_filepath = str(optimised)
    options.log_severity_level = 3
    options.add_free_dimension_override_by_name("batch", 1)
    onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    graph = onnx_format.load(str(optimised), load_external_data=False).graph
    return len(graph.node)


def export_reference(protocol: LatencySpec, image: dict[str, int]) -> bytes:
    """The reference network as a latency job builds it; its images are always RGB."""
    torch.manual_seed(0)
    model = timm.create_model(protocol.reference_model, num_classes=10).eval()
    example = torch.from_numpy(make_images(1, image))
    return onnx.to_bytes(model, example, any_batch=True)


def export_probes() -> list[tuple[str, bytes, dict[str, Any]]]:
    """Name, file and facts of the small networks that find a device's ceilings.

    `flops` are the floating-point operations of a call. A probe with `operators` has next to nothing to
    compute: its time is their overhead.
    """
    matmul, conv = nn.Linear(1024, 1024, bias=False), nn.Conv2d(128, 128, 3, bias=False)
    layers = nn.Sequential(*(nn.Conv2d(8, 8, 1) for _ in range(NUM_LAYERS)))
    probes: list[tuple[str, nn.Module, list[int], int, int]] = [
        ("matmul", matmul, [1024, 1024], 2 * 1024**3, 0),
        ("conv", conv, [8, 128, 28, 28], 2 * 8 * 128**2 * 9 * 26**2, 0),
        ("operators", layers, [1, 8, 4, 4], 0, NUM_LAYERS),
    ]
    return [
        (
            f"probe-{name}.onnx",
            onnx.to_bytes(network.eval(), torch.from_numpy(np.ones(shape, dtype=np.float32))),
            {"shape": shape, "flops": flops, "operators": operators},
        )
        for name, network, shape, flops, operators in probes
    ]
