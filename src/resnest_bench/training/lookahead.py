"""Lookahead: slow weights that follow the trained ones every few steps.

Zhang et al., Lookahead Optimizer: k steps forward, 1 step back, arXiv:1907.08610, algorithm 1. After every k
steps of any optimizer, with fast weights theta and slow weights phi:

    phi <- phi + alpha * (theta - phi),  theta <- phi

phi starts as the initial weights. timm has this as a wrapper of an optimizer, whose slow weights start at the
first of these updates; here they are apart from the optimizer, so that each one can be resumed and recorded as
before.
"""

import torch
from torch import Tensor, nn

from resnest_bench.specs import RecipeSpec


class Lookahead:
    """The slow weights of the trainable parameters of `model`, by name. Norm statistics are not averaged."""

    def __init__(self, model: nn.Module, num_steps: int, alpha: float) -> None:
        self.num_steps, self.alpha = num_steps, alpha
        self.fast = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.slow: dict[str, Tensor] = {name: p.detach().clone() for name, p in self.fast.items()}

    def after_update(self, num_updates: int) -> None:
        """Call after each update of the weights; `num_updates` counts them from 1."""
        if num_updates % self.num_steps == 0:
            self.synchronise()

    @torch.no_grad()
    def synchronise(self) -> None:
        """Move the slow weights, and set the fast ones to them. A second call changes nothing."""
        for name, slow in self.slow.items():
            slow.lerp_(self.fast[name], self.alpha)
            self.fast[name].copy_(slow)


def make_lookahead(model: nn.Module, recipe: RecipeSpec) -> Lookahead | None:
    """Return the slow weights of `model`, or None for a recipe without them."""
    if not recipe.lookahead_steps:
        return None
    return Lookahead(model, recipe.lookahead_steps, recipe.lookahead_alpha)
