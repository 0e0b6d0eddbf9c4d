"""The blocks of a study: which variants are trained, timed and fine-tuned on which data (floor 1)."""

from collections.abc import Iterable
from typing import Literal

from pydantic import Field, model_validator

from resnest_bench.paths import TRAINING_KINDS, Job
from resnest_bench.specs.base import CountInt, Name, PositiveInt, Spec, VariantNames
from resnest_bench.specs.data import WeightsSpec

KEEP_WEIGHTS = (
    "Keep the final weights, from which `predict`, `evaluate` and `export-model` work. null: kept, and an "
    "earlier training without them is not repeated. true: kept, and such a training is repeated. false: "
    "kept only where a fine-tuning or a student needs them"
)


class TrainBlock(Spec):
    """Train these variants on one dataset by one recipe, over all seeds."""

    dataset: Name = Field(description="A key of datasets")
    recipe: Name = Field(description="A key of recipes, or a built-in one")
    variants: VariantNames = Field(default="all", description="Names, or all")
    keep_weights: bool | None = Field(default=None, description=KEEP_WEIGHTS)


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
    keep_weights: bool = Field(
        default=True,
        description="Keep the final weights, from which `predict`, `evaluate` and `export-model` work",
    )


def asks_for_weights(
    job: Job, train: Iterable[TrainBlock], finetune: Iterable[FinetuneBlock]
) -> bool | None:
    """Return the `keep_weights` of a job's block; False for a job that trains nothing."""
    if job.kind not in TRAINING_KINDS:
        return False
    for block in finetune if job.kind == "finetune" else ():
        if job.dataset == block.dataset and job.recipe in block.recipes:
            return block.keep_weights
    for trained in train if job.kind == "train" else ():
        if (trained.dataset, trained.recipe) == (job.dataset, job.recipe):
            return trained.keep_weights
    return None


def is_source(job: Job, finetune: Iterable[FinetuneBlock]) -> bool:
    """Return whether a fine-tuning starts from the weights of this training."""
    return any(
        weights.train == f"{job.dataset}/{job.recipe}" and name == job.variant
        for block in finetune
        for name, weights in block.weights.items()
    )


def list_trained(
    train: Iterable[TrainBlock], finetune: Iterable[FinetuneBlock], every: Iterable[str]
) -> set[tuple[str, str, str]]:
    """Return (dataset, recipe, variant) of all trainings and fine-tunings; `every` is what 'all' names."""
    names = tuple(every)
    trained = {
        (block.dataset, block.recipe, name)
        for block in train
        for name in (names if block.variants == "all" else block.variants)
    }
    tuned = {
        (block.dataset, recipe, name)
        for block in finetune
        for recipe in block.recipes
        for name in block.weights
    }
    return trained | tuned


class ImportedBlock(Spec):
    """Results of `resnest-bench import` or `resnest-bench evaluate`. Nothing runs for them."""

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
    trained_on: Name | None = Field(
        default=None,
        description="Written by `resnest-bench evaluate`: the dataset on which this study has trained these "
        "networks, which are its own. null: results from elsewhere",
    )
    own_protocol: Name | None = Field(
        default=None,
        description="Of latencies that a bundle has measured on another device: the protocol of this study "
        "that it followed (docs/devices.md). null: results from elsewhere",
    )

    @model_validator(mode="after")
    def _only_latencies(self) -> "ImportedBlock":
        if self.own_protocol is not None and self.kind != "latency":
            raise ValueError("own_protocol is for kind: latency, but this block has kind: train")
        return self

    @property
    def protocol(self) -> str:
        """As in a LatencyBlock."""
        return self.recipe
