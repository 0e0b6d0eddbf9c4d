"""The blocks of a study: which variants are trained, timed and fine-tuned on which data (floor 1)."""

from typing import Literal

from pydantic import Field

from resnest_bench.specs.base import CountInt, Name, PositiveInt, Spec, VariantNames
from resnest_bench.specs.data import WeightsSpec


class TrainBlock(Spec):
    """Train these variants on one dataset by one recipe, over all seeds."""

    dataset: Name = Field(description="A key of datasets")
    recipe: Name = Field(description="A key of recipes, or a built-in one")
    variants: VariantNames = Field(default="all", description="Names, or all")
    keep_weights: bool = Field(
        default=False,
        description="Keep the final weights as .safetensors; weights that a fine-tuning needs are "
        "always kept",
    )


class LatencyBlock(Spec):
    """Measure the latency of these variants at one dataset's image size."""

    dataset: Name = Field(
        description="A key of datasets, for the image size and the number of classes"
    )
    protocol: Name = Field(default="default", description="A key of protocols, or default")
    variants: VariantNames = Field(default="all", description="Names, or all")
    rounds: PositiveInt = Field(
        default=8,
        description="Number of processes that each measure every variant, in random order; intervals of "
        "latencies are over rounds",
    )


class FinetuneBlock(Spec):
    """Fine-tune from given weights on one dataset, by several recipes, over all seeds."""

    dataset: Name = Field(description="A key of datasets")
    recipes: tuple[Name, ...] = Field(
        default=("paper_finetune", "head_only", "from_scratch"),
        description="Keys of recipes, or built-in ones",
    )
    weights: dict[Name, WeightsSpec] = Field(description="Initial weights by variant")


class ImportedBlock(Spec):
    """Results from elsewhere, which `resnest-bench import` has made records of. Nothing runs for them."""

    kind: Literal["train", "latency"] = Field(
        default="train", description="train: values of trained networks. latency: times"
    )
    dataset: Name = Field(description="A key of datasets, or a new name")
    recipe: Name = Field(
        description="How the networks were trained: a recipe of this study, next to whose trainings "
        "they are then shown, or a new name. Of latencies: the protocol"
    )
    seeds: dict[Name, tuple[CountInt, ...]] = Field(
        description="Seeds by network; for latencies, rounds"
    )

    @property
    def protocol(self) -> str:
        """As in a LatencyBlock."""
        return self.recipe
