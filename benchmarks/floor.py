"""How far a training step is from the least time that this device could take for it.

    python benchmarks/floor.py [--device auto|cpu|cuda] [--variants A,B|all] [--batch-size 256]
                               [--precision fp32|bf16] [--mode auto] [--steps 10] [--out FILE.json]

For each variant, on 32x32 images of 10 classes:

    compute ms = needed operations / operations a second of the device
    memory ms  = bytes that must be moved / bytes a second of the device
    floor ms   = the larger of both
    gap        = measured ms of our step / floor ms

`work.py` says which operations and bytes these are. The device's figures are measured before and after the steps:
operations a second are the better of a large matrix product and a large 3x3 convolution (on AMD processors the
library for matrix products can be slower than the one for convolutions), bytes a second a large copy, what it
reads plus what it writes; of each, the best repetition. A convolution by Winograd's algorithm computes less than it is
counted for, so that its figure can be above the device's arithmetic: then the floor is lower, and still one.
"""

import argparse
import gc
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from reporting import (
    MODES,
    chosen_variants,
    header,
    header_lines,
    markdown,
    synchronise,
    write_json,
)
from torch import Tensor, nn
from work import Work, training_work

from resnest_bench.device.allocator import keep_memory, release_memory
from resnest_bench.device.environment import precision, tuned_convolutions
from resnest_bench.device.lease import DEVICE_KINDS, leased_device
from resnest_bench.measure.ceilings import Sizes, conv_flops, copy_bytes, matmul_flops
from resnest_bench.models import build_model
from resnest_bench.specs import RECIPES, RecipeSpec, VariantSpec
from resnest_bench.training.execution import Execution, choose
from resnest_bench.training.step import make_step, probe_step_maker, set_train_mode

IMAGE_SIZE, NUM_CLASSES = 32, 10
NUM_WARMUP = 3
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
# Long enough for a clock to rise, and for a repetition that is undisturbed.
CEILING_SECONDS = 1.5

Batch = tuple[Tensor, Tensor]


SIZES = {
    "cpu": Sizes(2048, (32, 256, 28), 1 << 28),
    "cuda": Sizes(8192, (256, 512, 30), 1 << 31),
}
COLUMNS = [
    "variant",
    "nominal GFLOP",
    "needed GFLOP",
    "needed share",
    "moved MB",
    "compute ms",
    "memory ms",
    "floor ms",
    "layout, mode",
    "step ms",
    "range ms",
    "gap",
]


@dataclass(frozen=True)
class Ceilings:
    """What the device reached: floating-point operations and bytes a second."""

    matmul_flops: float
    conv_flops: float
    copy_bytes: float

    @property
    def flops(self) -> float:
        return max(self.matmul_flops, self.conv_flops)

    def better(self, other: "Ceilings") -> "Ceilings":
        pairs = zip(asdict(self).values(), asdict(other).values(), strict=True)
        return Ceilings(*(max(pair) for pair in pairs))


@dataclass(frozen=True)
class Floor:
    """The least milliseconds of a step."""

    compute_ms: float
    memory_ms: float

    @property
    def ms(self) -> float:
        return max(self.compute_ms, self.memory_ms)


def compute_floor(work: Work, ceilings: Ceilings) -> Floor:
    return Floor(
        compute_ms=1000 * work.needed_flops / ceilings.flops,
        memory_ms=1000 * work.moved_bytes / ceilings.copy_bytes,
    )


def our_step(
    model: nn.Module, recipe: RecipeSpec, device: torch.device, batch: Batch, num_steps: int
) -> tuple[Callable[[], None], str]:
    """Our training step on one batch, as often as it is called, and its layout and mode.

    These are the recipe's, or what a job of `num_steps` steps finds. Data loading is not part of it.
    """
    images_BCHW, labels_B = batch
    num_images, side = len(images_BCHW), images_BCHW.shape[-1]
    maker = probe_step_maker(model, recipe, device, num_images, side, NUM_CLASSES)
    seen = choose(recipe, device, maker, num_steps * num_images, num_images)
    step = make_step(model, recipe, device, Execution(seen.layout, seen.mode))
    set_train_mode(step.model, recipe)
    return lambda: step(images_BCHW, labels_B, recipe.learning_rate, 0), str(step.execution)


def make_batch(batch_size: int, device: torch.device) -> Batch:
    generator = torch.Generator().manual_seed(0)
    shape = (batch_size, 3, IMAGE_SIZE, IMAGE_SIZE)
    images_BCHW = torch.randn(shape, generator=generator).to(device)
    labels_B = torch.randint(NUM_CLASSES, (batch_size,), generator=generator).to(device)
    return images_BCHW, labels_B


def time_action(action: Callable[[], object], device: torch.device) -> float:
    synchronise(device)
    start = time.perf_counter()
    action()
    synchronise(device)
    return time.perf_counter() - start


def measure_ceilings(device: torch.device, dtype: torch.dtype, sizes: Sizes) -> Ceilings:
    with torch.no_grad():
        return Ceilings(
            matmul_flops=matmul_flops(device, dtype, sizes.matmul, CEILING_SECONDS),
            conv_flops=conv_flops(device, dtype, *sizes.conv, CEILING_SECONDS),
            copy_bytes=copy_bytes(device, sizes.copy_bytes, CEILING_SECONDS),
        )


def time_steps(step: Callable[[], None], num_steps: int, device: torch.device) -> list[float]:
    """Milliseconds of each of `num_steps` steps, after some that are not counted."""
    for _ in range(NUM_WARMUP):
        step()
    return [1000 * time_action(step, device) for _ in range(num_steps)]


def measure_variant(
    variant: VariantSpec, recipe: RecipeSpec, device: torch.device, num_steps: int
) -> dict[str, Any]:
    """The work of a step and the raw milliseconds of ours, as JSON values."""
    work, _ = training_work(build_model(variant, NUM_CLASSES), recipe.batch_size, recipe.precision)
    torch.manual_seed(0)
    model = build_model(variant, NUM_CLASSES).to(device)
    batch = make_batch(recipe.batch_size, device)
    step, execution = our_step(model, recipe, device, batch, num_steps + NUM_WARMUP)
    step_ms = time_steps(step, num_steps, device)
    del model, step
    # A model and its hooks can hold each other: what is left would be the next variant's memory.
    gc.collect()
    release_memory()
    return {"variant": variant.name, "work": work, "execution": execution, "step_ms": step_ms}


def gap(step_ms: list[float], floor: Floor) -> float:
    return statistics.median(step_ms) / floor.ms


def make_row(measured: dict[str, Any], ceilings: Ceilings) -> list[str]:
    work, step_ms = measured["work"], measured["step_ms"]
    floor = compute_floor(work, ceilings)
    return [
        measured["variant"] + ("" if work.checked else " (*)"),
        f"{work.nominal_flops / 1e9:,.1f}",
        f"{work.needed_flops / 1e9:,.1f}",
        f"{work.needed_flops / work.nominal_flops:.0%}",
        f"{work.moved_bytes / 1e6:,.0f}",
        f"{floor.compute_ms:,.2f}",
        f"{floor.memory_ms:,.2f}",
        f"{floor.ms:,.2f}",
        measured["execution"],
        f"{statistics.median(step_ms):,.2f}",
        f"{min(step_ms):,.2f} to {max(step_ms):,.2f}",
        f"{gap(step_ms, floor):.2f}",
    ]


def report(told: dict[str, Any], measured: list[dict[str, Any]], ceilings: Ceilings) -> str:
    num_steps, batch_size = len(measured[0]["step_ms"]), measured[0]["work"].batch_size
    lines = [
        *header_lines(told, f"median of {num_steps} steps of {batch_size} images a variant"),
        f"- ceilings ({told['precision']}): matrix product {ceilings.matmul_flops / 1e9:,.0f} and "
        f"3x3 convolution {ceilings.conv_flops / 1e9:,.0f} GFLOP/s, "
        f"copy {ceilings.copy_bytes / 1e9:,.1f} GB/s",
        "",
        markdown(COLUMNS, [make_row(one, ceilings) for one in measured]),
    ]
    if not all(one["work"].checked for one in measured):
        lines += ["", "(*) torch's own counter finds other operations than the layers seen here."]
    return "\n".join(lines)


def as_json(measured: dict[str, Any], ceilings: Ceilings) -> dict[str, Any]:
    floor = compute_floor(measured["work"], ceilings)
    work = {**asdict(measured["work"]), "moved_bytes": measured["work"].moved_bytes}
    return {
        **measured,
        "work": work,
        "floor": {**asdict(floor), "ms": floor.ms},
        "gap": gap(measured["step_ms"], floor),
    }


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=DEVICE_KINDS, default="auto")
    parser.add_argument("--variants", default="all", help="names with commas between, or all")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--precision", choices=sorted(DTYPES), default="fp32")
    parser.add_argument("--mode", choices=MODES, default="auto", help="of the recipe")
    parser.add_argument("--steps", type=int, default=10, help="timed steps of each variant")
    parser.add_argument("--out", type=Path, help="also write the raw figures as JSON")
    return parser.parse_args()


def main() -> None:
    given = parse()
    variants = chosen_variants(given.variants)
    changes = {"batch_size": given.batch_size, "precision": given.precision, "mode": given.mode}
    recipe = RECIPES["paper20"].model_copy(update=changes)
    with ExitStack() as stack:
        device = stack.enter_context(leased_device(given.device))
        stack.enter_context(precision(recipe.precision))
        stack.enter_context(tuned_convolutions(device))
        allocator = keep_memory() if device.type == "cpu" else None
        told = header(device, allocator) | {"precision": recipe.precision}
        dtype, sizes = DTYPES[recipe.precision], SIZES[device.type]
        before = measure_ceilings(device, dtype, sizes)
        measured = [measure_variant(variant, recipe, device, given.steps) for variant in variants]
        after = measure_ceilings(device, dtype, sizes)
    ceilings = before.better(after)
    print(report(told, measured, ceilings))
    rows = [as_json(one, ceilings) for one in measured]
    found = [asdict(before), asdict(after)]
    write_json(given.out, {**told, "ceilings_before_and_after": found, "variants": rows})


if __name__ == "__main__":
    main()
