"""What `breadth.py` asks of one network at one image size: the functions that the product calls.

Each step takes a variant and an image size, and returns facts as JSON values. It raises UserError
where the product refuses in one line. Any other exception would be a traceback for the user.
"""

import copy
import functools
import statistics
from collections.abc import Callable
from typing import Any

import timm
import torch
from torch import nn

from resnest_bench.cli.describe import describe_variants, variants_text
from resnest_bench.errors import UserError
from resnest_bench.measure.latency import measure_latency
from resnest_bench.models import build_model, check_buildable, check_image, fit_to_image
from resnest_bench.specs import LatencySpec, RecipeSpec, TimmVariant, study_from_config
from resnest_bench.training.execution import Execution, check_layout, list_layouts, try_steps
from resnest_bench.training.step import make_step, probe_steps, set_train_mode

CPU = torch.device("cpu")
NUM_CLASSES, BATCH_SIZE = 10, 2
RECIPE = RecipeSpec(epochs=1, batch_size=BATCH_SIZE, learning_rate=1e-3)
# As short as can be: whether a setting works, not how fast it is.
PROTOCOL = LatencySpec(
    batch_sizes=(1,),
    layouts=("contiguous", "channels_last"),
    modes=("eager", "folded"),
    min_samples=1,
    min_seconds=0.0,
    max_seconds=0.1,
    warmup_calls=0,
    warmup_seconds=0.0,
    paper_batch_size=None,
    reference_model="test_resnet",
    reference_batch_size=1,
    reference_samples=1,
)
# A network without such a pair of layers has nothing to fold: that is no failure.
NOTHING_TO_FOLD = "no batch norm follows"

Facts = dict[str, Any]
Step = Callable[[TimmVariant, int], Facts]


class StepFailedError(RuntimeError):
    """A step ended, but not with what it is for."""


def plan(variant: TimmVariant, image_size: int) -> Facts:
    """The checks of `resnest-bench plan`, and the arguments that the product sets."""
    check_buildable(variant)
    check_image(variant, image_size)
    return {"size_args": fit_to_image(variant, image_size)[1]}


def describe(variant: TimmVariant, image_size: int) -> Facts:
    """Parameters, multiply-accumulates, activations and operators that were not counted."""
    (row,) = describe_variants(_study_with(variant), image_size, NUM_CLASSES)
    variants_text([row], image_size, NUM_CLASSES)
    if row["error"]:
        raise UserError(row["error"])
    names = ("num_params", "num_macs", "num_activations", "uncounted_operators", "remark")
    return {name: row[name] for name in names}


def _study_with(variant: TimmVariant) -> Any:
    config = {
        "study": "breadth",
        "seeds": [0],
        "variants": [variant.model_dump(mode="json")],
        "datasets": {"digits": {"source": "digits"}},
        "train": [{"dataset": "digits", "recipe": "paper20"}],
    }
    return study_from_config(config, "breadth")


def as_in_a_job(step: Step) -> Step:
    """`step`, whose errors are explained as a training explains its own (`training/refusals.py`)."""

    @functools.wraps(step)
    def explained(variant: TimmVariant, image_size: int) -> Facts:
        try:
            return step(variant, image_size)
        except UserError:
            raise
        # Foreign code: what it raises is anything.
        except Exception:
            check_image(variant, image_size)
            raise

    return explained


@as_in_a_job
def train(variant: TimmVariant, image_size: int) -> Facts:
    """One update in each layout that the product would try, and a second one in the usual layout."""
    model = _build(variant, image_size)
    candidates = [Execution(layout, "eager") for layout in list_layouts(RECIPE)]
    maker, crash = probe_steps(model, CPU, RECIPE, BATCH_SIZE, image_size, NUM_CLASSES)
    seen = try_steps(candidates, maker, CPU, crash)
    _update(model, RECIPE, next(iter(seen.working)), image_size, num_steps=1)
    return {"left_out": {one.layout: reason for one, reason in seen.left_out.items()}}


@as_in_a_job
def train_channels_last(variant: TimmVariant, image_size: int) -> Facts:
    """Two updates where the recipe itself says `layout: channels_last` and `mode: eager`."""
    model = _build(variant, image_size)
    recipe = RECIPE.model_copy(update={"layout": "channels_last", "mode": "eager"})
    maker, crash = probe_steps(model, CPU, recipe, BATCH_SIZE, image_size, NUM_CLASSES)
    asked = Execution("channels_last", "eager")
    check_layout(asked, maker, CPU, crash)
    # What the first step has overwritten, the second one stumbles over.
    _update(model, recipe, asked, image_size, num_steps=2)
    return {}


def _build(variant: TimmVariant, image_size: int) -> nn.Module:
    torch.manual_seed(0)
    return build_model(fit_to_image(variant, image_size)[0], NUM_CLASSES)


def _update(
    model: nn.Module, recipe: RecipeSpec, execution: Execution, image_size: int, num_steps: int
) -> None:
    """Forward, backward and optimiser, with the weights that they change looked at."""
    set_train_mode(model, recipe)
    before = [copy.deepcopy(p.detach()) for p in list(model.parameters())[-2:]]
    step = make_step(model, recipe, CPU, execution)
    generator = torch.Generator().manual_seed(0)
    images_BCHW = torch.randn(BATCH_SIZE, 3, image_size, image_size, generator=generator)
    labels_B = torch.arange(BATCH_SIZE)
    for _ in range(num_steps):
        step(images_BCHW, labels_B, recipe.learning_rate, 0)
    loss, _ = step.sums.means()
    if not loss < float("inf"):
        raise StepFailedError(f"the loss of its first step is {loss}")
    after = list(step.model.parameters())[-2:]
    if all(torch.equal(old, new) for old, new in zip(before, after, strict=True)):
        raise StepFailedError("a step leaves its last parameters as they were")


def time_latency(variant: TimmVariant, image_size: int) -> Facts:
    """Each layout, as it is and with batch norm folded, whose outputs are compared with eager's."""
    seen = measure_latency(variant, NUM_CLASSES, image_size, PROTOCOL, CPU)
    missing = {f"{cell.layout}, {cell.mode}": cell.reason for cell in seen.unavailable}
    failed = [f"{name}: {why}" for name, why in missing.items() if NOTHING_TO_FOLD not in why]
    if failed:
        raise StepFailedError("; ".join(failed))
    medians = {
        f"{cell.layout}, {cell.mode}": round(statistics.median(cell.samples_ms), 3)
        for cell in seen.cells
    }
    return {"latency_ms": medians}


def run_alone(variant: TimmVariant, image_size: int) -> Facts:
    """The plain network at this size, without the product: whether a refusal is right.

    Raises what timm or the network raises.
    """
    try:
        _forward_alone(variant.model, image_size)
    # Foreign code: what it raises is anything.
    except Exception as first:
        try:
            _forward_alone(variant.model, image_size, img_size=image_size)
        except Exception:
            raise first from None
    return {}


def _forward_alone(model: str, image_size: int, **args: Any) -> None:
    network = timm.create_model(model, num_classes=NUM_CLASSES, **args)
    with torch.no_grad():
        logits_BK = network(torch.zeros(BATCH_SIZE, 3, image_size, image_size))
    if logits_BK.shape != (BATCH_SIZE, NUM_CLASSES):
        raise StepFailedError(f"its output is no logits, but has shape {tuple(logits_BK.shape)}")


STEPS: dict[str, Step] = {
    "plan": plan,
    "describe": describe,
    "train": train,
    "channels_last": train_channels_last,
    "latency": time_latency,
}
