"""SGD with the parameter groups that a recipe asks for."""

import torch
from torch import nn

from resnest_bench.models import split_parameters
from resnest_bench.specs import RecipeSpec


def freeze_backbone(model: nn.Module) -> None:
    backbone, _ = split_parameters(model)
    for parameter in backbone:
        parameter.requires_grad_(False)


def parameter_groups(model: nn.Module, recipe: RecipeSpec) -> list[dict]:
    """Groups of trainable parameters: by head or backbone, and by decay.

    `factor` multiplies the learning rate of the step. Vectors and scalars are the scales, shifts
    and biases that `decay_norm_and_bias: false` spares.
    """
    backbone, head = split_parameters(model)
    groups = []
    for factor, parameters in ((1.0, backbone), (recipe.head_learning_rate_factor, head)):
        trainable = [parameter for parameter in parameters if parameter.requires_grad]
        decayed = [p for p in trainable if recipe.decay_norm_and_bias or p.ndim > 1]
        spared = [p for p in trainable if not (recipe.decay_norm_and_bias or p.ndim > 1)]
        for members, decay in ((decayed, recipe.weight_decay), (spared, 0.0)):
            if members:
                groups.append({"params": members, "weight_decay": decay, "factor": factor})
    return groups


def build_optimizer(
    model: nn.Module, recipe: RecipeSpec, device: torch.device | None = None
) -> torch.optim.SGD:
    """SGD in one kernel for all parameters. With `device`, its learning rates are tensors there.

    A recorded CUDA graph reads them; a number would be recorded as it was.
    """
    rate = recipe.learning_rate
    groups = parameter_groups(model, recipe)
    if device is not None:
        # A tensor of its own for each group: factors differ.
        for group in groups:
            group["lr"] = torch.tensor(rate, device=device)
    return torch.optim.SGD(
        groups, lr=rate, momentum=recipe.momentum, nesterov=recipe.nesterov, fused=True
    )


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    for group in optimizer.param_groups:
        value = learning_rate * group["factor"]
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(value)
        else:
            group["lr"] = value


def init_momenta(optimizer: torch.optim.SGD) -> None:
    """Give every parameter a momentum of zeros where it has none.

    The first step then is momentum * 0 + gradient, as without; and a graph can be recorded, whose
    tensors must be there before it.
    """
    for group in optimizer.param_groups:
        for parameter in group["params"] if group["momentum"] else ():
            state = optimizer.state[parameter]
            if state.get("momentum_buffer") is None:
                state["momentum_buffer"] = torch.zeros_like(parameter)
