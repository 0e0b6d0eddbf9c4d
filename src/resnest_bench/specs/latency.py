"""Latency protocols: what is timed, and how long (floor 1)."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from resnest_bench.specs.base import CountInt, NonNegativeFloat, PositiveFloat, PositiveInt, Spec

Precision = Literal["fp32", "tf32", "bf16"]
Layout = Literal["contiguous", "channels_last"]
Mode = Literal[
    "eager",
    "folded",
    "compiled",
    "cudagraph",
    "onnxruntime",
    "onnxruntime-int8",
    "openvino",
    "openvino-int8",
    "executorch",
]


class LatencySpec(Spec):
    """One measurement protocol. Every combination of the axes is a cell."""

    batch_sizes: tuple[PositiveInt, ...] = Field(
        default=(1, 8, 64, 256), description="Images in one call"
    )
    precisions: tuple[Precision, ...] = Field(
        default=("fp32",),
        description="tf32 and CUDA graphs need an NVIDIA GPU; elsewhere such a "
        "cell is listed as unavailable",
    )
    layouts: tuple[Layout, ...] = Field(default=("channels_last",), description="Memory layouts")
    modes: tuple[Mode, ...] = Field(
        default=("eager",),
        description="How the network is called. folded: eager, with batch norm in the weights before "
        "it; compiled: torch.compile; cudagraph: a replayed CUDA graph; onnxruntime, openvino, "
        "executorch: these runtimes, only on the CPU in fp32, and once for all layouts; -int8: with static "
        "quantisation. openvino and executorch need the extras of these names",
    )
    # Rounds differ far more than calls within one: short cells leave time for more rounds
    # (docs/decisions/006-rounds-of-latency.md).
    min_samples: PositiveInt = Field(default=10, description="Least number of timed calls per cell")
    min_seconds: NonNegativeFloat = Field(
        default=0.5, description="Least time of measurement per cell"
    )
    max_seconds: PositiveFloat = Field(
        default=60.0,
        description="A cell stops after this time even with fewer than min_samples, but not with fewer than 5",
    )
    warmup_calls: CountInt = Field(default=5, description="Least number of untimed calls")
    warmup_seconds: NonNegativeFloat = Field(
        default=0.25, description="Least time of untimed calls"
    )
    paper_batch_size: PositiveInt | None = Field(
        default=256, description="Batch size of the paper's time per image; null: not measured"
    )
    paper_batches: PositiveInt = Field(
        default=10, description="Number of consecutive batches for the paper's time"
    )
    memory: bool = Field(
        default=False,
        description="true: also measure the peak resident memory of each cell on a CPU, in a process that runs "
        "it alone. On a GPU the peak is always measured",
    )
    energy_seconds: NonNegativeFloat = Field(
        default=0.0,
        description="Least time of measuring the energy of each cell, and of the reference network before and "
        "after all of them; 0: not measured, else take 10 or more. Needs the extra `zeus`",
    )
    reference_model: str = Field(
        default="resnet18",
        description="timm model that is timed before and after each variant, for the noise floor",
    )
    reference_batch_size: PositiveInt = Field(
        default=8, description="Batch size of the reference model"
    )
    reference_samples: PositiveInt = Field(
        default=20, description="Timed calls of the reference model, before and after"
    )

    @field_validator("batch_sizes", "precisions", "layouts", "modes")
    @classmethod
    def _distinct(cls, values: tuple) -> tuple:
        if not values or len(set(values)) != len(values):
            raise ValueError(f"list at least one value and none twice, but got {list(values)}")
        return values

    @model_validator(mode="after")
    def _times_fit(self) -> "LatencySpec":
        if self.max_seconds < self.min_seconds:
            raise ValueError(
                f"max_seconds must be at least min_seconds, but got {self.max_seconds} and "
                f"{self.min_seconds}"
            )
        return self
