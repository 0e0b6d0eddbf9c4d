"""Learning rates as pure functions of the step."""

import math

from resnest_bench.specs import RecipeSpec

# torch's OneCycleLR starts there too.
ONE_CYCLE_START = 1 / 25


def learning_rate(step: int, steps_per_epoch: int, recipe: RecipeSpec) -> float:
    """Return the learning rate of step 0, 1, ... of a run.

    Linear warm-up: peak * (step + 1) / warmup, so that the first step moves. Then, with t from 0 right
    after the warm-up to 1 at the end, and the floor `min_learning_rate`:

    - cosine (Loshchilov and Hutter, arXiv:1608.03983, one period):
      floor + (peak - floor) / 2 * (1 + cos(pi * t))
    - linear: floor + (peak - floor) * (1 - t)
    - step: peak * step_factor ** (number of step_epochs that have passed), not below the floor
    - one_cycle (Smith and Topin, arXiv:1708.07120): its warm-up is half a cosine from peak / 25; then
      as cosine
    - constant: the peak
    """
    total = recipe.epochs * steps_per_epoch
    warmup = round(recipe.warmup_epochs * steps_per_epoch)
    assert 0 <= step < total, f"step {step} of {total}"
    peak, floor = recipe.learning_rate, recipe.min_learning_rate
    if step < warmup:
        if recipe.schedule == "one_cycle":
            return _half_cosine(ONE_CYCLE_START * peak, peak, step / warmup)
        return peak * (step + 1) / warmup
    t = (step - warmup) / (total - warmup)
    match recipe.schedule:
        case "constant":
            return peak
        case "linear":
            return floor + (peak - floor) * (1 - t)
        case "step":
            falls = sum(step >= epoch * steps_per_epoch for epoch in recipe.step_epochs)
            return max(floor, peak * recipe.step_factor**falls)
        case "cosine" | "one_cycle":
            return _half_cosine(peak, floor, t)


def _half_cosine(start: float, end: float, t: float) -> float:
    """Interpolate along half a cosine from `start` at t = 0 to `end` at t = 1."""
    return end + (start - end) / 2 * (1 + math.cos(math.pi * t))
