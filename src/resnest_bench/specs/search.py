"""The search for settings: which keys it may change, at what budget, and how it selects (floor 1).

docs/decisions/024-search.md says why it works as it does.
"""

import math
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    JsonValue,
    Tag,
    field_validator,
    model_validator,
)

from resnest_bench.specs.base import (
    CountInt,
    Name,
    Number,
    PositiveFloat,
    PositiveInt,
    Spec,
)

ACCURACY = "validation_accuracy"
LATENCY = "latency"
Objective = Literal["validation_accuracy", "latency"]
Sampler = Literal["grid", "random", "tpe", "nsga2"]
MAX_TRIALS = 10_000


class RangeSpec(Spec):
    """All numbers from `low` to `high`; whole ones, if both ends and the step are."""

    low: int | Number = Field(description="The smallest value, included")
    high: int | Number = Field(description="The largest value, included")
    log: bool = Field(
        default=False, description="true: each factor is equally likely, as for 0.01, 0.1, 1"
    )
    step: int | Number | None = Field(
        default=None,
        description="Only low, low + step and so on; null: any number, or any whole one",
    )

    @model_validator(mode="after")
    def _rises(self) -> Self:
        numbers = [self.low, self.high, *([] if self.step is None else [self.step])]
        if not all(map(math.isfinite, numbers)):
            raise ValueError(f"a range has finite ends, but got low: {self.low}, high: {self.high}")
        if self.low >= self.high:
            raise ValueError(
                f"low must be less than high, but got low: {self.low}, high: {self.high}: swap them, or "
                "list the values"
            )
        if self.log and self.low <= 0:
            raise ValueError(f"a range with log: true needs a low above 0, but got {self.low}")
        if self.step is not None and (self.log or self.step <= 0):
            raise ValueError(
                f"step must be above 0 and goes without log, but got step: {self.step}, log: {self.log}: "
                "list the values instead"
            )
        return self

    @property
    def is_whole(self) -> bool:
        numbers = (self.low, self.high, 1 if self.step is None else self.step)
        return all(isinstance(number, int) for number in numbers)

    def list_values(self) -> list[Any] | None:
        """Return all values, or None if they are not a list: without a step, or on a log scale."""
        step = 1 if self.step is None and self.is_whole else self.step
        if step is None or self.log:
            return None
        count = math.floor((self.high - self.low) / step + 1e-9) + 1
        return [self.low + index * step for index in range(count)]


class PerStageSpec(Spec):
    """One choice for each stage of a ResNeSt, so that stages may differ."""

    per_stage: tuple[JsonValue, ...] = Field(
        min_length=1, description="Choices for each stage, like [0, 1, 2] for variant.radix"
    )


Choices = Annotated[tuple[JsonValue, ...], Field(min_length=1)]
# How errors call the three kinds of a dimension.
DIMENSION_TAGS = ("choices", "range", "stages")


def _tag_dimension(value: Any) -> str:
    if isinstance(value, dict):
        return "stages" if "per_stage" in value else "range"
    if isinstance(value, RangeSpec):
        return "range"
    return "stages" if isinstance(value, PerStageSpec) else "choices"


Dimension = Annotated[
    Annotated[Choices, Tag("choices")]
    | Annotated[RangeSpec, Tag("range")]
    | Annotated[PerStageSpec, Tag("stages")],
    Discriminator(_tag_dimension),
]
Space = dict[str, Dimension]
SPACE = (
    "Keys like recipe.learning_rate or variant.radix to a list of values, {low, high, log, step}, or "
    "{per_stage: [values]}"
)


class FamilySpec(Spec):
    """One family of networks: a variant that its trials start from, and what they may change."""

    variant: Name = Field(description="Name of the base variant, which also names the family")
    space: Space = Field(
        default={}, description=f"{SPACE}; for this family, after those of the search"
    )


class BudgetSpec(Spec):
    """What each family may use. Give one of the two."""

    trainings: PositiveInt | None = Field(
        default=None,
        description="Trainings of each family; one with fewer epochs counts as that share of one",
    )
    minutes: PositiveFloat | None = Field(
        default=None, description="Minutes of training of each family, on their device"
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.trainings is None) == (self.minutes is None):
            given = "neither" if self.trainings is None else "both"
            raise ValueError(f"give either trainings or minutes, but got {given}")
        return self


class HalvingSpec(Spec):
    """Successive halving: begin with few epochs, and go on with the best (Jamieson and Talwalkar,
    arXiv:1502.07943).
    """

    epochs: tuple[PositiveInt, ...] = Field(
        min_length=1,
        description="Epochs of the short trainings, rising, below those of the recipe. Each is a training of its "
        "own, since the schedule of the learning rate depends on the number of epochs",
    )
    reduction: Annotated[int, Field(ge=2, strict=True)] = Field(
        default=3,
        description="The best 1 / reduction of a round's trials get the next number of epochs",
    )


class SearchLatency(Spec):
    """How the latency of a trial's network is measured; the finalists' follows the study's latency blocks."""

    protocol: Name = Field(description="A key of protocols: a quick one")
    batch_size: PositiveInt = Field(default=1, description="One of the protocol's batch sizes")


def _one_search(value: Any) -> Any:
    if isinstance(value, list | tuple):
        raise ValueError(
            f"a study has one search, but got a list of {len(value)}: compare families in one search, or make a study "
            "for each"
        )
    return value


def _no_test_images(objective: Any) -> Any:
    if isinstance(objective, str) and objective not in (ACCURACY, LATENCY):
        why = (
            "a search never selects on test images, since what is selected on them looks better than it is"
            if "test" in objective or objective == "accuracy"
            else "there is no other"
        )
        raise ValueError(f"must be {ACCURACY} or {LATENCY}, but got {objective!r}: {why}")
    return objective


class SearchSpec(Spec):
    """Search settings of several families at equal budgets, on validation images only."""

    name: Name = Field(
        default="tuned",
        description="The recipe of the finalists, which are named FAMILY-NAME: ResNet-18-tuned, ResNet-18-tuned-2",
    )
    dataset: Name = Field(description="A key of datasets")
    recipe: Name = Field(
        description="A key of recipes with a validation_fraction: what trials start from"
    )
    families: tuple[FamilySpec, ...] = Field(
        min_length=1, description="What is compared; each has the same budget"
    )
    space: Space = Field(default={}, description=f"{SPACE}; for all families")
    sampler: Sampler = Field(
        default="tpe",
        description="Optuna's: grid, random, tpe (tree-structured Parzen estimator) or nsga2 (NSGA-II, for "
        "accuracy and latency)",
    )
    objectives: tuple[Annotated[Objective, BeforeValidator(_no_test_images)], ...] = Field(
        default=("validation_accuracy",),
        description="validation_accuracy; for nsga2 latency too",
    )
    budget: BudgetSpec = Field(description="Equal for every family")
    trials_per_round: PositiveInt = Field(
        default=4,
        description="New trials of each family before the sampler looks at results again. They can run at the same "
        "time",
    )
    halving: HalvingSpec | None = Field(
        default=None, description="Successive halving by epochs; null: every trial has all epochs"
    )
    latency: SearchLatency | None = Field(
        default=None, description="For objective latency; null: none is measured in the search"
    )
    finalists: PositiveInt = Field(
        default=1,
        description="Trials of each family that the study's seeds confirm on test images",
    )
    seed: CountInt = Field(
        default=1000, description="Of all trials and of the sampler; none of the study's seeds"
    )

    @field_validator("families")
    @classmethod
    def _distinct_families(cls, families: tuple[FamilySpec, ...]) -> tuple[FamilySpec, ...]:
        names = [family.variant for family in families]
        if repeated := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"family {repeated[0]!r} is listed twice: remove one of them")
        return families

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        both = set(self.objectives) == {ACCURACY, LATENCY} and len(self.objectives) == 2
        if self.sampler == "nsga2" and not both:
            raise ValueError(
                f"sampler nsga2 is for two objectives, {ACCURACY} and {LATENCY}, but got {list(self.objectives)}: list "
                "both, or take tpe"
            )
        if self.sampler != "nsga2" and self.objectives != (ACCURACY,):
            raise ValueError(
                f"sampler {self.sampler} has one objective, {ACCURACY}, but got {list(self.objectives)}: take nsga2 for two"
            )
        if both != (self.latency is not None):
            raise ValueError(
                "objective latency and the key latency go together: give both, or none"
            )
        if both and self.halving:
            raise ValueError("halving is for one objective, but nsga2 has two: remove halving")
        if both and self.trials_per_round < 2:
            raise ValueError(
                "a round is a generation of nsga2: trials_per_round must be 2 at least"
            )
        if self.halving and list(self.halving.epochs) != sorted(set(self.halving.epochs)):
            raise ValueError(f"halving.epochs must rise, but are {list(self.halving.epochs)}")
        return self

    @property
    def family_names(self) -> list[str]:
        return [family.variant for family in self.families]

    def space_for(self, family: str) -> Space:
        """Return the space of one family: the search's, then its own."""
        own = next(one.space for one in self.families if one.variant == family)
        return {**self.space, **own}

    def rungs(self, epochs: int) -> tuple[int, ...]:
        """Return the numbers of epochs that a trial can have, rising, up to all `epochs`."""
        return (*(self.halving.epochs if self.halving else ()), epochs)

    def trials_recipe(self, rung: int, epochs: int) -> str:
        """Return the name of the recipe of trials with `rung` of `epochs` epochs."""
        return f"{self.name}-trials" if rung == epochs else f"{self.name}-trials-{rung}"

    def trial_name(self, family: str, number: int) -> str:
        return f"{family}-{self.name}-t{number:03d}"

    def finalist_name(self, family: str, rank: int) -> str:
        """Return the name of a finalist; rank 1 is the best."""
        return f"{family}-{self.name}" + (f"-{rank}" if rank > 1 else "")

    def list_finalists(self) -> list[str]:
        """Return the names of all finalists that there can be."""
        ranks = range(1, self.finalists + 1)
        return [self.finalist_name(family, rank) for family in self.family_names for rank in ranks]

    def cohort_cost(self, num_trials: int, epochs: int) -> float:
        """Return the cost of a round's new trials with all their later trainings, in trainings of all epochs."""
        cost, reduction = 0.0, self.halving.reduction if self.halving else 1
        for rung in self.rungs(epochs):
            cost += num_trials * rung / epochs
            num_trials = -(-num_trials // reduction)
        return cost


OneSearch = Annotated[SearchSpec, BeforeValidator(_one_search)]
