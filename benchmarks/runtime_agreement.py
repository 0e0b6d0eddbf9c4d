"""Our latency in other runtimes beside a plain loop of each runtime's own API, taking turns: do they agree?

    python benchmarks/runtime_agreement.py [--variants A,B|all] [--modes onnxruntime,openvino-int8]
                                           [--batch-sizes 1,8] [--repeats 5] [--out FILE.json]

Ours is the median of `measure/latency.py`'s samples of the call that a latency times. Theirs reads the same files and does
what the runtime's own tool does: onnxruntime_perf_test runs one session again and again, and benchmark_app with `-api sync
-hint latency` one infer request. They take turns in one process: ours, theirs, ours, theirs... A ratio is ours over theirs
of the same turn.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from latency_agreement import PROTOCOL, our_ms, take_turns
from reporting import chosen_variants, header, header_lines, markdown, write_json

from resnest_bench.deploy.formats import FILE_MODES, write_mode
from resnest_bench.deploy.problems import NotAvailableError
from resnest_bench.measure.deployment import Setting, in_setting, make_input
from resnest_bench.models import build_model

IMAGE_SIZE, NUM_CLASSES = 32, 10
VARIANTS = "ResNet-18,MobileNetV3-small"
MODES = "onnxruntime,onnxruntime-int8,openvino,openvino-int8"
GOAL = 0.05
OURS, THEIRS = "ours", "theirs"
COLUMNS = [
    "variant",
    "batch",
    "mode",
    "ours ms",
    "theirs ms",
    "ratio",
    "range",
    "turns",
    "off (goal 5%)",
]
CPU = torch.device("cpu")

Row = dict[str, Any]


def onnxruntime_call(path: Path, images_BCHW: np.ndarray) -> Callable[[], object]:
    """As onnxruntime_perf_test -x THREADS -y 1: one session, sequential, all optimisations."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = torch.get_num_threads(), 1
    session = onnxruntime.InferenceSession(str(path), options)
    inputs = {session.get_inputs()[0].name: images_BCHW}
    return lambda: session.run(None, inputs)


def openvino_call(path: Path, images_BCHW: np.ndarray) -> Callable[[], object]:
    """As benchmark_app -api sync -hint latency -nthreads THREADS -infer_precision f32."""
    import openvino

    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "INFERENCE_PRECISION_HINT": "f32",
    }
    request = openvino.compile_model(path, "CPU", settings).create_infer_request()
    request.set_input_tensor(openvino.Tensor(images_BCHW))
    infer: Callable[[], object] = request.infer
    return infer


CALLS = {"onnx": onnxruntime_call, "openvino": openvino_call}


def loop_ms(call: Callable[[], object], device: torch.device) -> float:
    """Milliseconds per call of a plain loop, after a warm-up: the median of its calls."""
    for _ in range(5):
        call()
    times: list[float] = []
    end = time.perf_counter() + PROTOCOL.min_seconds
    while time.perf_counter() < end or len(times) < 10:
        start = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def measure_row(variant: Any, batch_size: int, mode: str, repeats: int) -> Row:
    """One network at one batch size in one mode: both calls read the same files."""
    setting = Setting("fp32", "contiguous", mode)
    network = in_setting(build_model(variant, NUM_CLASSES), setting)
    image = make_input(batch_size, IMAGE_SIZE, setting, CPU)
    images_BCHW = image.numpy()
    chosen = FILE_MODES[mode]
    with tempfile.TemporaryDirectory() as folder:
        files = write_mode(mode, network, image, Path(folder), images_BCHW)
        run = chosen.format.load(files[0], torch.get_num_threads())
        theirs = CALLS[chosen.format_name](files[0], images_BCHW)
        clocks = {
            OURS: lambda call, device: our_ms(lambda: run(images_BCHW), device),
            THEIRS: lambda call, device: loop_ms(theirs, device),
        }
        turns = take_turns(clocks, lambda: run(images_BCHW), CPU, repeats)
    ratios = [one / other for one, other in zip(turns[OURS], turns[THEIRS], strict=True)]
    return {
        "variant": variant.name,
        "batch_size": batch_size,
        "mode": mode,
        "ms": turns,
        "ratio": statistics.median(ratios),
        "ratio_low": min(ratios),
        "ratio_high": max(ratios),
    }


def row_cells(row: Row) -> list[str]:
    off = abs(row["ratio"] - 1)
    return [
        row["variant"],
        str(row["batch_size"]),
        row["mode"],
        *(f"{statistics.median(row['ms'][name]):.3f}" for name in (OURS, THEIRS)),
        f"{row['ratio']:.3f}",
        f"{row['ratio_low']:.3f} to {row['ratio_high']:.3f}",
        str(len(row["ms"][OURS])),
        f"{off:.1%}" if off <= GOAL else f"{off:.1%} (over)",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variants", default=VARIANTS, help="names with commas between, or all")
    parser.add_argument("--modes", default=MODES, help="names with commas between")
    parser.add_argument("--batch-sizes", default="1,8", help="numbers with commas between")
    parser.add_argument("--repeats", type=int, default=5, help="turns")
    parser.add_argument("--out", type=Path, help="also write every figure as JSON")
    given = parser.parse_args()
    rows = []
    torch.manual_seed(0)
    with torch.inference_mode():
        for variant in chosen_variants(given.variants):
            for mode in given.modes.split(","):
                for size in map(int, given.batch_sizes.split(",")):
                    try:
                        rows.append(measure_row(variant, size, mode, given.repeats))
                    except NotAvailableError as error:
                        print(f"{variant.name}, {mode}: {error}")
    told = header(CPU)
    table = markdown(COLUMNS, [row_cells(row) for row in rows])
    print("\n".join([*header_lines(told, f"{given.repeats} turns; medians"), "", table]))
    write_json(given.out, {**told, "goal": GOAL, "rows": rows})


if __name__ == "__main__":
    main()
