"""Learning rates as pure functions of the step."""

import math

from resnest_bench.specs import RecipeSpec


def learning_rate(step: int, steps_per_epoch: int, recipe: RecipeSpec) -> float:
    """Learning rate of step 0, 1, ... of a run.

    Linear warm-up: peak * (step + 1) / warmup, so that the first step moves.
    Cosine (Loshchilov and Hutter, arXiv:1608.03983, one period):
    peak / 2 * (1 + cos(pi * t)), with t from 0 right after the warm-up to 1 at the end.
    """
    total = recipe.epochs * steps_per_epoch
    warmup = round(recipe.warmup_epochs * steps_per_epoch)
    assert 0 <= step < total, f"step {step} of {total}"
    if step < warmup:
        return recipe.learning_rate * (step + 1) / warmup
    if recipe.schedule == "constant":
        return recipe.learning_rate
    progress = (step - warmup) / (total - warmup)
    return recipe.learning_rate / 2 * (1 + math.cos(math.pi * progress))
