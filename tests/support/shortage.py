"""A memory that runs out at a given number of images, on any machine."""

import torch
from torch import nn

MESSAGE = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 15.00 GiB"


class Shortage:
    """Lets `model` run out of memory with more than `limit` images, late in the forward pass.

    By then all batch norms have seen the batch. `sizes` holds what came through and what did not.
    """

    def __init__(self, limit: int, model: nn.Module | None = None) -> None:
        self.limit, self.sizes = limit, []
        if model is not None:
            self.into(model)

    def into(self, model: nn.Module) -> nn.Module:
        last = [m for m in model.modules() if isinstance(m, nn.Linear)][-1]
        last.register_forward_pre_hook(self)
        return model

    def __call__(self, module: nn.Module, args: tuple) -> None:
        self.sizes.append(len(args[0]))
        if len(args[0]) > self.limit:
            raise torch.OutOfMemoryError(MESSAGE)

    def __deepcopy__(self, memo: dict) -> "Shortage":
        # Of a copied network too: a probe's runs out as the network itself does.
        return self
