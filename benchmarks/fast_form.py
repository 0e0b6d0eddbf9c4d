"""What each part of the fast path gives: steps of one network in several forms, taking turns.

    python benchmarks/fast_form.py --variants ResNeSt-14-2s1x64d,ResNet-18 --precision fp32

The forms add up from left to right: the plain network, another memory layout, convolutions of small
maps as matrix products, split attention in one pass. All with SGD in one kernel and kept memory.
"""

import argparse
import copy
import statistics
import time
from pathlib import Path

import torch
from reporting import (
    chosen_variants,
    header,
    header_lines,
    markdown,
    synchronise,
    to_channels_last,
    write_json,
)
from timm.layers import SplitAttn
from torch import nn

from resnest_bench.device.allocator import keep_memory
from resnest_bench.device.lease import DEVICE_KINDS, leased_device
from resnest_bench.models import build_model, optimize_for_training
from resnest_bench.models.fast import OnePassSplitAttn
from resnest_bench.specs import RECIPES, RecipeSpec, VariantSpec
from resnest_bench.training.execution import Execution
from resnest_bench.training.optimizer import build_optimizer
from resnest_bench.training.step import TrainStep

FORMS = ("plain", "channels_last", "+ matrix products", "+ one-pass attention")
DEFAULT = "ResNeSt-14-2s1x64d,ResNeSt-14-1s1x64d,ResNet-14-0s1x64d,ResNet-18,EfficientNet-b0"
IMAGE_SIZE, NUM_CLASSES, UNTIMED = 32, 10, 3


def in_form(model: nn.Module, form: str) -> nn.Module:
    """A copy of `model` in one of FORMS."""
    model = copy.deepcopy(model)
    if form != "plain":
        to_channels_last(model)
    if form.startswith("+"):
        optimize_for_training(model)
    if form == "+ matrix products":
        fast: list[nn.Module] = [m for m in model.modules() if type(m) is OnePassSplitAttn]
        for module in fast:
            module.__class__ = SplitAttn
    return model


def measure(
    variant: VariantSpec, recipe: RecipeSpec, device: torch.device, num_steps: int
) -> dict[str, list[float]]:
    """Milliseconds of each step by form; the forms take turns, after three untimed rounds."""
    torch.manual_seed(0)
    model = build_model(variant, NUM_CLASSES, recipe.dropout).to(device).train()
    images = torch.randn(recipe.batch_size, 3, IMAGE_SIZE, IMAGE_SIZE, device=device)
    labels = torch.randint(NUM_CLASSES, (recipe.batch_size,), device=device)
    steps = {}
    for form in FORMS:
        network = in_form(model, form)
        layout = "contiguous" if form == "plain" else "channels_last"
        optimizer = build_optimizer(network, recipe)
        steps[form] = TrainStep(network, optimizer, recipe, device, Execution(layout, "eager"))
    seen: dict[str, list[float]] = {form: [] for form in FORMS}
    for number in range(UNTIMED + num_steps):
        for form, step in steps.items():
            synchronise(device)
            start = time.perf_counter()
            step(images, labels, 0.01, number)
            synchronise(device)
            if number >= UNTIMED:
                seen[form].append(1e3 * (time.perf_counter() - start))
    return seen


def make_row(name: str, batch_size: int, seen: dict[str, list[float]]) -> list[str]:
    """Images a second of each form, and the whole gain."""
    speeds = [1e3 * batch_size / statistics.median(seen[form]) for form in FORMS]
    return [name, *(f"{speed:,.0f}" for speed in speeds), f"{speeds[-1] / speeds[0]:.2f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=DEVICE_KINDS, default="auto")
    parser.add_argument("--variants", default=DEFAULT, help="names with commas between, or all")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--steps", type=int, default=9, help="timed steps of each form")
    parser.add_argument("--out", type=Path, help="also write the raw figures as JSON")
    asked = parser.parse_args()
    recipe = RECIPES["paper20"].model_copy(update={"precision": asked.precision})
    with leased_device(asked.device) as device:
        kept = keep_memory() if device.type == "cpu" else None
        told = header(device, kept)
        seen = {
            variant.name: measure(variant, recipe, device, asked.steps)
            for variant in chosen_variants(asked.variants)
        }
    rows = [make_row(name, recipe.batch_size, steps) for name, steps in seen.items()]
    count = f"medians of {asked.steps} steps of {recipe.batch_size} images, {asked.precision}"
    print("\n".join(header_lines(told, count)), end="\n\n")
    print(markdown(["images/s", *FORMS, "gain"], rows))
    write_json(asked.out, {**told, "step_ms": seen})


if __name__ == "__main__":
    main()
