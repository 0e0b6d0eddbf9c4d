"""Optimizers that a recipe can name, each with its own keys (floor 1)."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from resnest_bench.specs.base import PositiveFloat, PositiveInt, Probability, Spec

Betas = tuple[Probability, Probability]


class OptimizerBase(Spec):
    """Learning rate, weight decay and schedule are keys of the recipe, for all optimizers."""

    name: str
    # Optimizers that create their state in the first step can't be recorded as a CUDA graph.
    RECORDABLE: ClassVar[bool] = False


class Sgd(OptimizerBase):
    """torch.optim.SGD. Momentum and Nesterov momentum are keys of the recipe."""

    RECORDABLE: ClassVar[bool] = True

    name: Literal["sgd"] = "sgd"


class Adam(OptimizerBase):
    """torch.optim.Adam: weight decay is an L2 term in the gradient. Kingma and Ba, arXiv:1412.6980."""

    RECORDABLE: ClassVar[bool] = True

    name: Literal["adam"]
    betas: Betas = Field(default=(0.9, 0.999), description="Decay of the two running means")
    eps: PositiveFloat = Field(default=1e-8, description="Added to the denominator")


class AdamW(OptimizerBase):
    """torch.optim.AdamW: decoupled weight decay. Loshchilov and Hutter, arXiv:1711.05101."""

    RECORDABLE: ClassVar[bool] = True

    name: Literal["adamw"]
    betas: Betas = Field(default=(0.9, 0.999), description="Decay of the two running means")
    eps: PositiveFloat = Field(default=1e-8, description="Added to the denominator")


class NAdamW(OptimizerBase):
    """timm.optim.NAdamW: AdamW with Nesterov's momentum. Dozat 2016."""

    name: Literal["nadamw"]
    betas: Betas = Field(default=(0.9, 0.999), description="Decay of the two running means")
    eps: PositiveFloat = Field(default=1e-8, description="Added to the denominator")


class RmsProp(OptimizerBase):
    """torch.optim.RMSprop, as MobileNet and EfficientNet were trained with. Hinton 2012, lecture 6e."""

    name: Literal["rmsprop"]
    alpha: Probability = Field(default=0.9, description="Decay of the running mean of squares")
    eps: PositiveFloat = Field(default=1e-3, description="Added to the denominator")
    momentum: Probability = Field(default=0.9, description="Momentum of the scaled gradient")


class Lamb(OptimizerBase):
    """timm.optim.Lamb: Adam with a trust ratio per layer, for large batches. You et al., arXiv:1904.00962."""

    name: Literal["lamb"]
    betas: Betas = Field(default=(0.9, 0.999), description="Decay of the two running means")
    eps: PositiveFloat = Field(default=1e-6, description="Added to the denominator")


class Lion(OptimizerBase):
    """timm.optim.Lion: the sign of an interpolated momentum. Chen et al., arXiv:2302.06675."""

    name: Literal["lion"]
    betas: Betas = Field(default=(0.9, 0.99), description="Decay of the update and of the momentum")


class Muon(OptimizerBase):
    """timm.optim.Muon: orthogonalised momentum for matrices, AdamW for the rest. Jordan et al. 2024.

    The kernel of a convolution is a matrix of output channels by the rest. Updates are scaled to the size of
    AdamW's (Liu et al., arXiv:2502.16982), unless `adjust_lr_fn` says otherwise.
    """

    name: Literal["muon"]
    momentum: Probability = Field(default=0.95, description="Momentum of the updates of matrices")
    nesterov: bool = Field(default=True, description="Nesterov momentum")
    ns_steps: PositiveInt = Field(default=5, description="Newton-Schulz iterations")
    betas: Betas = Field(
        default=(0.9, 0.95), description="Decay of AdamW's running means, for vectors and scalars"
    )
    adjust_lr_fn: Literal["match_rms_adamw", "original"] = Field(
        default="match_rms_adamw",
        description="Size of an update of a matrix. match_rms_adamw: that of AdamW's, so that one learning rate "
        "fits both. original: an orthogonal matrix times the learning rate, as in its authors' code",
    )
    fallback_lr_scale: PositiveFloat = Field(
        default=1.0, description="Factor of the learning rate for what AdamW updates"
    )
    normalize_kernels: bool = Field(
        default=False,
        description="Before each update, scale the kernel of each convolution to the norm sqrt(outputs). Its "
        "size has no other effect if a norm follows: only for networks in which one always does",
    )


# Without SGD, which has no keys of its own.
OPTIMIZERS: dict[str, type[OptimizerBase]] = {
    "adam": Adam,
    "adamw": AdamW,
    "nadamw": NAdamW,
    "rmsprop": RmsProp,
    "lamb": Lamb,
    "lion": Lion,
    "muon": Muon,
}


def _from_name(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


# In a config, a name alone stands for the optimizer at its defaults.
OptimizerSpec = Annotated[
    Sgd | Adam | AdamW | NAdamW | RmsProp | Lamb | Lion | Muon,
    Field(discriminator="name"),
    BeforeValidator(_from_name),
]
