"""How a training is executed: memory layout and mode, measured unless the recipe sets them.

The recipe defines what is computed, including the precision. Layout and mode change results only by rounding,
but speed by up to four times, depending on network, processor and batch.
"""

import json
import logging
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from pydantic import ValidationError
from torch import nn

from resnest_bench import files
from resnest_bench.device.memory import free_memory, is_out_of_memory
from resnest_bench.errors import UserError, first_line
from resnest_bench.models import optimize_for_training
from resnest_bench.records.observations import (
    ExecutionObservation,
    LeftOutObservation,
    ProbeObservation,
)
from resnest_bench.specs import RecipeSpec

log = logging.getLogger(__name__)

PROBE_PIXELS = 256 * 32 * 32
PROBE_ROUNDS = 5
# Measuring stops after two rounds and this many seconds, or this share of the job.
PROBE_SECONDS = 4.0
PROBE_SHARE = 0.02
# The usually faster choice is kept unless another one is clearly faster: noise must not decide.
CLEARLY_FASTER = 0.95
# Compiling takes 60 to 90 s on two cores, which must be a small part of the job.
COMPILED_FROM_SECONDS = 1800.0


@dataclass(frozen=True)
class Execution:
    layout: str
    mode: str
    # Images at a time, if a whole batch does not fit into memory; else None.
    micro_batch_size: int | None = None

    def __str__(self) -> str:
        return f"{self.layout}, {self.mode}"

    @classmethod
    def of(cls, seen: ExecutionObservation) -> "Execution":
        return cls(seen.layout, seen.mode, seen.micro_batch_size)


def prepared_network(model: nn.Module, execution: Execution) -> nn.Module:
    """Change `model` in place to its fast version and its memory layout."""
    model = optimize_for_training(model, compiled=execution.mode == "compiled")
    return move_network(model, execution.layout)


def move_network(model: nn.Module, layout: str) -> nn.Module:
    """Change the memory layout of `model`'s tensors in place."""
    last = layout == "channels_last"
    memory_format = torch.channels_last if last else torch.contiguous_format
    # In place; torch's annotations lack an argument of its docs.
    model.to(memory_format=memory_format)  # type: ignore[call-overload]
    return model


def probe_batch(recipe: RecipeSpec, image_size: int) -> int:
    """Return the images in a probed step: a whole batch of small images, or fewer photos."""
    return min(recipe.batch_size, max(4, PROBE_PIXELS // image_size**2))


def share_recipe(recipe: RecipeSpec, num_processes: int) -> RecipeSpec:
    """Return what one of several processes runs: its share of each batch, eagerly."""
    if num_processes == 1:
        return recipe
    share = max(2 * recipe.accumulation_steps, math.ceil(recipe.batch_size / num_processes))
    return recipe.model_copy(update={"batch_size": share, "mode": "eager"})


# Makes a function that runs one step on a copy of the network with this execution.
StepMaker = Callable[[Execution], Callable[[], None]]
# How such a step would crash this process, or None.
CrashCheck = Callable[[Execution], str | None]


def _timed(step: Callable[[], None], device: torch.device) -> float:
    start = time.perf_counter()
    step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def never_crashes(execution: Execution) -> None:
    """The check if no candidate can crash."""


@dataclass
class Steps:
    """Steps of the candidates that work, each run once, and why others are excluded."""

    working: dict[Execution, Callable[[], None]]
    left_out: dict[Execution, str]


def try_steps(
    candidates: list[Execution],
    make_step: StepMaker,
    device: torch.device,
    crash: CrashCheck = never_crashes,
) -> Steps:
    """Run one step of each candidate. Those that crash or fail are excluded if another one works.

    Raises the first error if none works, and immediately if memory runs out.
    """
    steps, errors = Steps({}, {}), []
    for candidate in candidates:
        try:
            if death := crash(candidate):
                raise RuntimeError(f"a step crashes here: {death}")
            step = make_step(candidate)
            _timed(step, device)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            errors.append(error)
            steps.left_out[candidate] = first_line(error)
        else:
            steps.working[candidate] = step
    if not steps.working:
        raise errors[0]
    for candidate, reason in steps.left_out.items():
        log.warning("%s does not work here, so it is not used: %s", candidate, reason)
    return steps


def measure(
    steps: dict[Execution, Callable[[], None]],
    device: torch.device,
    num_steps: float = math.inf,
    rounds: int = PROBE_ROUNDS,
) -> dict[Execution, float]:
    """Measure the median seconds of each step, interleaved. Each has run once before.

    `num_steps` is the total of the job: a short job is measured for a shorter time.
    """
    seconds: dict[Execution, list[float]] = {candidate: [] for candidate in steps}
    start = time.perf_counter()
    for done in range(rounds):
        if done >= 2:
            fastest_step = min(min(values) for values in seconds.values())
            budget = min(PROBE_SECONDS, PROBE_SHARE * num_steps * fastest_step)
            if time.perf_counter() - start > budget:
                break
        for candidate, step in steps.items():
            seconds[candidate].append(_timed(step, device))
    return {candidate: statistics.median(values) for candidate, values in seconds.items()}


def fastest(measured: dict[Execution, float]) -> Execution:
    """Return the first one, unless another one is clearly faster."""
    first, *_ = measured
    best = min(measured, key=lambda candidate: measured[candidate])
    return best if measured[best] < CLEARLY_FASTER * measured[first] else first


def list_layouts(recipe: RecipeSpec) -> list[str]:
    return ["channels_last", "contiguous"] if recipe.layout == "auto" else [recipe.layout]


def choose_mode(recipe: RecipeSpec, device: torch.device) -> str:
    """Return the mode to start with: the recipe's, or the usual one of the device."""
    if recipe.mode == "auto":
        recordable = device.type == "cuda" and recipe.optimizer.RECORDABLE
        return "cudagraph" if recordable else "eager"
    return recipe.mode


def choose(
    recipe: RecipeSpec,
    device: torch.device,
    make_step: StepMaker,
    num_images: int,
    batch_size: int,
    crash: CrashCheck = never_crashes,
) -> ExecutionObservation:
    """Choose layout and mode, by measuring if the recipe says `auto`.

    Args:
        make_step: see `StepMaker`; a step has `batch_size` images.
        num_images: images that the job trains on, over all epochs and seeds.
        crash: returns whether the step of a candidate would crash the process.
    """
    mode = choose_mode(recipe, device)
    candidates = [Execution(layout, mode) for layout in list_layouts(recipe)]
    if len(candidates) == 1 and recipe.mode != "auto":
        # There is nothing to choose, but a crash would end the job without a message.
        if crash(candidates[0]):
            check_layout(candidates[0], make_step, device, crash)
        return observation(candidates[0], {})
    num_steps = num_images / batch_size
    steps = _steps_that_fit(candidates, make_step, device, crash)
    if not steps.working:
        return observation(candidates[0], {})
    measured = measure(steps.working, device, num_steps)
    chosen = fastest(measured)
    if recipe.mode == "auto" and num_steps * measured[chosen] > COMPILED_FROM_SECONDS:
        try:
            compiled = Execution(chosen.layout, "compiled")
            working = try_steps([compiled], make_step, device).working
            measured |= measure(working, device, num_steps)
        except Exception as error:
            # A compiler fails in many ways, but eager still works.
            log.warning("torch.compile does not work here, so it is not used: %s", error)
        # The first one that was measured is the usual one.
        chosen = fastest({chosen: measured[chosen], **measured})
    seen = observation(chosen, measured, batch_size, steps.left_out)
    log.info("%s (%s)", chosen, ", ".join(f"{k}: {v * 1e3:.0f} ms" for k, v in measured.items()))
    return seen


def check_layout(
    asked: Execution, make_step: StepMaker, device: torch.device, crash: CrashCheck
) -> None:
    """Raise UserError if a step fails in the recipe's layout, but not in `contiguous`.

    If it fails in both, the network itself is at fault, and its error is raised.
    """
    try:
        try_steps([asked], make_step, device, crash)
    except Exception as error:
        if is_out_of_memory(error):
            # No need for a whole batch: the training itself uses micro-batches if necessary.
            return
        reason = first_line(error)
        try_steps([replace(asked, layout="contiguous")], make_step, device)
        raise UserError(
            f"the recipe asks for layout {asked.layout}, which does not work for this network here "
            f"({reason}): take layout contiguous, or auto"
        ) from error


def _steps_that_fit(
    candidates: list[Execution], make_step: StepMaker, device: torch.device, crash: CrashCheck
) -> Steps:
    """Call `try_steps`; return no steps if several copies of the network don't fit into memory."""
    try:
        return try_steps(candidates, make_step, device, crash)
    except Exception as error:
        if not is_out_of_memory(error):
            if len(candidates) == 1:
                check_layout(candidates[0], make_step, device, crash)
            raise
        log.warning("memory ran out while layouts were measured: %s is taken", candidates[0])
    free_memory(device)
    return Steps({}, {})


def observation(
    chosen: Execution,
    measured: dict[Execution, float],
    batch_size: int = 0,
    left_out: dict[Execution, str] | None = None,
) -> ExecutionObservation:
    """Return the record's entry. `batch_size` is that of the measured steps."""
    reasons = (left_out or {}).items()
    return ExecutionObservation(
        layout=chosen.layout,
        mode=chosen.mode,
        probe=[
            ProbeObservation(layout=e.layout, mode=e.mode, batch_size=batch_size, step_ms=s * 1e3)
            for e, s in measured.items()
        ],
        left_out=[
            LeftOutObservation(layout=e.layout, mode=e.mode, reason=reason) for e, reason in reasons
        ],
    )


def decided(file: Path, decide: Callable[[], ExecutionObservation]) -> ExecutionObservation:
    """Read the decision from `file`, or else make it by `decide` and store it.

    A resumed job continues as it began, whatever a second measurement would say, to give the same numbers as
    an uninterrupted one. A seed starts with the micro-batch size of earlier seeds, so that all seeds of a
    variant are trained alike.
    """
    if file.exists():
        try:
            return ExecutionObservation.model_validate(json.loads(file.read_text("utf-8")))
        except (OSError, ValueError, ValidationError) as error:
            log.warning("%s can't be used (%s): measuring again", file, error)
    seen = decide()
    keep(file, seen)
    return seen


def keep(file: Path, seen: ExecutionObservation) -> None:
    """Store `seen` for all later seeds of a job."""
    files.write_text(file, seen.model_dump_json(indent=1) + "\n")
