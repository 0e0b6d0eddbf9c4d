"""Deployment modes of trained networks, and which of them a study evaluates (floor 1)."""

from typing import Literal

from pydantic import Field, field_validator

from resnest_bench.specs.base import Name, PositiveInt, Spec, VariantNames

DeployMode = Literal[
    "eager",
    "folded",
    "compiled",
    "bf16",
    "onnxruntime",
    "onnxruntime-int8",
    "openvino",
    "openvino-int8",
    "executorch",
]
# What every mode is compared with: the same weights in torch, in fp32.
BASE_MODE: Literal["eager"] = "eager"
INT8 = "-int8"


def is_int8(mode: str) -> bool:
    """Whether a mode rounds to int8, and so needs calibration images."""
    return mode.endswith(INT8)


def find_cell(mode: str) -> tuple[str, str]:
    """Return precision and mode of a latency cell: bf16 is eager mode in another precision."""
    return ("bf16", BASE_MODE) if mode == "bf16" else ("fp32", mode)


class DeployBlock(Spec):
    """Evaluate the networks of one training in several deployment modes, over all seeds."""

    dataset: Name = Field(description="Of a train block")
    recipe: Name = Field(
        description="Of a train block with this dataset, which then keeps its weights"
    )
    variants: VariantNames = Field(default="all", description="Names, or all that it trains")
    modes: tuple[DeployMode, ...] = Field(
        default=("onnxruntime", "onnxruntime-int8"),
        description="Next to eager, which is always evaluated and with which all others are compared. "
        "-int8: static quantisation, calibrated on training images; bf16: weights and activations in torch; "
        "openvino and executorch need the extras of these names",
    )
    calibration_images: PositiveInt = Field(
        default=256,
        description="Training images from which int8 takes the ranges of activations, drawn by the seed",
    )

    @field_validator("modes")
    @classmethod
    def _distinct(cls, modes: tuple[str, ...]) -> tuple[str, ...]:
        if not modes or len(set(modes)) != len(modes):
            raise ValueError(f"list at least one mode and none twice, but got {list(modes)}")
        return modes

    def has_variant(self, name: str) -> bool:
        return self.variants == "all" or name in self.variants

    @property
    def all_modes(self) -> tuple[DeployMode, ...]:
        """With the one that all others are compared with, first."""
        return (BASE_MODE, *(mode for mode in self.modes if mode != BASE_MODE))
