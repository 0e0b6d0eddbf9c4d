"""The optimizer of a recipe, with its groups of parameters and its state by name."""

from collections.abc import Iterator, Mapping
from typing import Any

import timm.optim
import torch
from torch import Tensor, nn

from resnest_bench.errors import UserError
from resnest_bench.models import block_numbers, split_parameters
from resnest_bench.specs import RecipeSpec


def freeze_backbone(model: nn.Module) -> None:
    backbone, _ = split_parameters(model)
    for parameter in backbone:
        parameter.requires_grad_(False)


def parameter_groups(model: nn.Module, recipe: RecipeSpec) -> list[dict]:
    """Group trainable parameters by learning rate and weight decay.

    `factor` multiplies the learning rate of the step: for the head, with `layer_decay` for each block, and for
    biases of norm layers, whose decay is divided by their own factor. With `decay_norm_and_bias: false`,
    vectors and scalars (scales, shifts and biases) have no weight decay.
    """
    backbone, head = split_parameters(model)
    factors = [1.0] * len(backbone)
    if recipe.layer_decay < 1:
        factors = _decayed_factors(model, backbone, recipe.layer_decay)
    factors += [recipe.head_learning_rate_factor] * len(head)
    members: dict[tuple[float, float], list[nn.Parameter]] = {}
    faster = norm_biases(model) if recipe.norm_bias_learning_rate_factor != 1 else set()
    for factor, parameter in zip(factors, [*backbone, *head], strict=True):
        if parameter.requires_grad:
            decays = recipe.decay_norm_and_bias or parameter.ndim > 1
            decay = recipe.weight_decay if decays else 0.0
            if parameter in faster:
                factor *= recipe.norm_bias_learning_rate_factor
                decay /= recipe.norm_bias_learning_rate_factor
            members.setdefault((factor, decay), []).append(parameter)
    return [
        {"params": parameters, "weight_decay": decay, "factor": factor}
        for (factor, decay), parameters in members.items()
    ]


def norm_biases(model: nn.Module) -> set[nn.Parameter]:
    """The biases of batch, layer and group norms, timm's forms of them included."""
    norms = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)
    found = [module.bias for module in model.modules() if isinstance(module, norms)]
    return {bias for bias in found if isinstance(bias, nn.Parameter)}


def _decayed_factors(
    model: nn.Module, backbone: list[nn.Parameter], layer_decay: float
) -> list[float]:
    """Return layer_decay ** d for a block that is d blocks before the head (Clark et al., arXiv:2003.10555)."""
    numbers = block_numbers(model)
    last = max(numbers.values())
    names = {parameter: name for name, parameter in model.named_parameters()}
    return [layer_decay ** (last - numbers[names[parameter]]) for parameter in backbone]


def build_optimizer(
    model: nn.Module, recipe: RecipeSpec, device: torch.device | None = None
) -> torch.optim.Optimizer:
    """Build the optimizer, fused into one kernel if possible.

    With `device`, learning rates are tensors there, so that a recorded CUDA graph reads the current value.
    Raises UserError if the optimizer has nothing to do for this network.
    """
    rate, spec = recipe.learning_rate, recipe.optimizer
    groups = parameter_groups(model, recipe)
    if device is not None:
        # One tensor per group, since factors differ.
        for group in groups:
            group["lr"] = torch.tensor(rate, device=device)
    own = spec.model_dump(exclude={"name"})
    captured = device is not None
    match spec.name:
        case "sgd":
            return torch.optim.SGD(
                groups, lr=rate, momentum=recipe.momentum, nesterov=recipe.nesterov, fused=True
            )
        case "adam":
            return torch.optim.Adam(groups, lr=rate, fused=True, capturable=captured, **own)
        case "adamw":
            return torch.optim.AdamW(groups, lr=rate, fused=True, capturable=captured, **own)
        case "rmsprop":
            return torch.optim.RMSprop(groups, lr=rate, **own)
        case "nadamw":
            return timm.optim.NAdamW(groups, lr=rate, **own)
        case "lamb":
            return timm.optim.Lamb(groups, lr=rate, decoupled_decay=True, **own)
        case "lion":
            return timm.optim.Lion(groups, lr=rate, **own)
        case "muon":
            _check_matrices(groups)
            normalize = own.pop("normalize_kernels")
            muon = timm.optim.Muon(groups, lr=rate, **own)
            if normalize:
                muon.register_step_pre_hook(normalize_kernels)
            return muon


@torch.no_grad()
def normalize_kernels(optimizer: torch.optim.Optimizer, *_: object) -> None:
    """Scale each trained kernel (out, in, height, width) to the norm sqrt(out), as cifar10-airbench does."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.ndim == 4:
                parameter.mul_(len(parameter) ** 0.5 / parameter.norm())


def _check_matrices(groups: list[dict]) -> None:
    if not any(parameter.ndim > 1 for group in groups for parameter in group["params"]):
        raise UserError(
            "muon orthogonalises matrices, but this network has no trainable parameter of two "
            "dimensions or more: take adamw"
        )


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    for group in optimizer.param_groups:
        value = learning_rate * group["factor"]
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(value)
        else:
            group["lr"] = value


def init_state(optimizer: torch.optim.Optimizer) -> None:
    """Create the state that SGD and Adam would create in their first step, unless it exists.

    The first step gives the same result: momentum * 0 + gradient. A CUDA graph needs these tensors when it is
    recorded, and a step can only be undone if the optimizer allocates no memory. Other optimizers are not
    changed.
    """
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            state = optimizer.state[parameter]
            if isinstance(optimizer, torch.optim.SGD):
                if group["momentum"] and state.get("momentum_buffer") is None:
                    state["momentum_buffer"] = torch.zeros_like(parameter)
            elif isinstance(optimizer, torch.optim.Adam) and not state:
                state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
                state["exp_avg"] = torch.zeros_like(parameter)
                state["exp_avg_sq"] = torch.zeros_like(parameter)


def state_tensors(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """Return all tensors of the state, which a step changes in addition to the parameters."""
    states = optimizer.state.values()
    return [value for state in states for value in state.values() if isinstance(value, Tensor)]


def dump_state(
    model: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the state as tensors, named KEY/NAME of the parameter, and as numbers for JSON."""
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, Any] = {"groups": [_counters(group) for group in optimizer.param_groups]}
    for key, name, value in _walk_state(model, optimizer):
        if isinstance(value, Tensor):
            tensors[f"{key}/{name}"] = value
        elif value is not None:
            numbers[f"{key}/{name}"] = value
    return tensors, numbers


def restore_state(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    tensors: Mapping[str, Tensor],
    numbers: Mapping[str, Any],
) -> None:
    """The inverse of `dump_state`. Raises ValueError if a tensor doesn't match this network."""
    parameters = dict(model.named_parameters())
    optimizer.state.clear()
    groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    for path, value in tensors.items():
        key, name = path.split("/", 1)
        parameter = parameters[name]
        optimizer.state[parameter][key] = _like(value, parameter, groups[id(parameter)], key)
    for path, number in numbers.items():
        if path != "groups":
            key, name = path.split("/", 1)
            optimizer.state[parameters[name]][key] = number
    for group, counters in zip(optimizer.param_groups, numbers["groups"], strict=True):
        group.update({key: torch.tensor(value) for key, value in counters.items()})


def _like(value: Tensor, parameter: nn.Parameter, group: dict, key: str) -> Tensor:
    """Move a tensor with the parameter's shape to its device and layout; a counter is not moved."""
    if key == "step":
        moves = group.get("fused") or group.get("capturable")
        return value.to(parameter.device, copy=True) if moves else value.clone()
    if value.shape != parameter.shape:
        raise ValueError(f"its {key} has shape {tuple(value.shape)}, not that of its parameter")
    return torch.empty_like(parameter.detach()).copy_(value)


def _walk_state(
    model: nn.Module, optimizer: torch.optim.Optimizer
) -> Iterator[tuple[str, str, Any]]:
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            yield key, name, value


def _counters(group: dict) -> dict[str, float]:
    # Lamb stores its number of steps here, in a tensor on the CPU.
    return {key: float(group[key]) for key in ("step",) if key in group}
