"""Claims: sentences about variants, each with a test that can say it is wrong (floor 1).

A claim may name variants, data or recipes that a study lacks: then it is untested, with the reason. So one list
of claims can be used for many studies.
"""

from typing import Annotated, Any, Literal, get_args

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from resnest_bench.specs.base import Name, PositiveFloat, PositiveInt, Spec, VariantNames
from resnest_bench.specs.deploy import DeployMode
from resnest_bench.specs.scores import LOWER_IS_BETTER, SHARES, TRAINED_METRICS, TrainedMetric

# Measured in rounds, on a device; their differences are ratios.
TimedMetric = Literal["latency", "energy", "cost", "memory"]
TIMED_METRICS: tuple[str, ...] = get_args(TimedMetric)
ClaimMetric = Literal[TrainedMetric, TimedMetric, "params", "macs"]


class TrainedRow(Spec):
    """A variant as one recipe trains it or in one deployment mode, where a claim compares these."""

    variant: Name = Field(description="Name of the variant")
    recipe: Name | None = Field(
        default=None,
        description="Of a train or finetune block with the claim's dataset. A name alone stands for the "
        "claim's recipe",
    )
    mode: DeployMode | None = Field(
        default=None,
        description="Of a deploy block with the claim's dataset and recipe; for a latency, of the protocol. "
        "null: as trained, and the protocol's first mode",
    )

    @model_validator(mode="after")
    def _says_more(self) -> "TrainedRow":
        if self.recipe is None and self.mode is None:
            raise ValueError(
                f"give recipe or mode next to variant, or write the name {self.variant!r} alone"
            )
        return self

    def __str__(self) -> str:
        by = f" by {self.recipe}" if self.recipe else ""
        return f"{self.variant}{by}" + (f" in {self.mode}" if self.mode else "")


# Where an error is, pydantic names them too.
SIDE_TAGS = ("variant's name", "variant and recipe or mode")


def _side_kind(value: Any) -> str:
    return SIDE_TAGS[0] if isinstance(value, str) else SIDE_TAGS[1]


# The tag keeps errors to what was meant: text is a name, all else has to be a mapping.
Side = Annotated[
    Annotated[Name, Tag(SIDE_TAGS[0])] | Annotated[TrainedRow, Tag(SIDE_TAGS[1])],
    Discriminator(_side_kind),
]
Sides = Annotated[tuple[Side, ...], Field(min_length=1)]
OR_ROW = "or {variant: NAME, recipe: RECIPE, mode: MODE}"
MARGIN = (
    "of an accuracy or another share in percentage points, of nll, brier_score and cohen_kappa in their "
    "own unit, else a fraction: 0.1 is 10 %"
)


class ClaimTest(Spec):
    """What all tests have in common."""

    metric: ClaimMetric = Field(
        description="accuracy: on the test images after the last epoch; the other measures of a trained "
        "network too, tested over seeds alone. latency: p50 of one call; energy: of an "
        "image; cost: of a million images; memory: peak; all four as ratios. params, macs: as counted, without "
        "an error"
    )
    batch_size: PositiveInt = Field(
        default=1, description="Images per call, for a latency, energy, cost or memory"
    )

    @property
    def sides(self) -> tuple[Side, ...]:
        """Everything that the test names; empty if it applies to all variants."""
        return ()

    @property
    def variants_named(self) -> tuple[str, ...]:
        return tuple(s.variant if isinstance(s, TrainedRow) else s for s in self.sides)

    @property
    def recipes_named(self) -> tuple[str, ...]:
        """The recipes of single sides."""
        rows = (side for side in self.sides if isinstance(side, TrainedRow))
        return tuple(row.recipe for row in rows if row.recipe is not None)

    @model_validator(mode="after")
    def _recipe_decides(self) -> "ClaimTest":
        if self.recipes_named and self.metric not in TRAINED_METRICS:
            raise ValueError(
                f"{self.metric} is that of a network, whatever trained it, but a side has the recipe "
                f"{self.recipes_named[0]!r}: name the variant alone"
            )
        return self


class _Sides(ClaimTest):
    a: Sides = Field(description=f"Names of variants {OR_ROW}, the greater ones")
    b: Sides = Field(description=f"Names of variants {OR_ROW}, the smaller ones")

    @model_validator(mode="after")
    def _apart(self) -> "_Sides":
        seen: set[str] = set()
        for name in map(str, self.sides):
            if name in seen:
                raise ValueError(f"a and b name each variant once, but {name!r} comes twice")
            seen.add(name)
        return self

    @property
    def sides(self) -> tuple[Side, ...]:
        return (*self.a, *self.b)


class GreaterTest(_Sides):
    """Every variant of a has a greater value than every variant of b."""

    kind: Literal["greater"]


class AtEqualTest(_Sides):
    """Like greater, but only for pairs of similar size."""

    kind: Literal["at_equal"]
    equal: Literal["params", "macs"] = Field(description="The quantity that must be similar")
    within: PositiveFloat = Field(
        default=0.1, description="Largest relative difference of that quantity: 0.1 is 10 %"
    )

    @model_validator(mode="after")
    def _two_quantities(self) -> "AtEqualTest":
        if self.metric == self.equal:
            raise ValueError(f"metric and equal must differ, but both are {self.equal!r}")
        return self


class OrderedTest(ClaimTest):
    """Each variant has a greater value than the one before it."""

    kind: Literal["ordered"]
    variants: tuple[Side, ...] = Field(
        description=f"At least two names {OR_ROW}, the smallest value first"
    )

    @field_validator("variants")
    @classmethod
    def _two_at_least(cls, sides: tuple[Side, ...]) -> tuple[Side, ...]:
        names = list(map(str, sides))
        if len(names) < 2 or len(set(names)) < len(names):
            raise ValueError(f"list at least two names and none twice, but got {names}")
        return sides

    @property
    def sides(self) -> tuple[Side, ...]:
        return self.variants


class EquivalentTest(ClaimTest):
    """Two variants differ by less than a margin."""

    kind: Literal["equivalent"]
    a: Side = Field(description=f"Name of a variant {OR_ROW}")
    b: Side = Field(description="Another variant, in the same form")
    margin: PositiveFloat = Field(
        description=f"Largest difference that counts as equivalent; {MARGIN}"
    )

    @model_validator(mode="after")
    def _two_variants(self) -> "EquivalentTest":
        if self.a == self.b:
            raise ValueError(f"a and b must be two variants, but both are {str(self.a)!r}")
        return self

    @property
    def sides(self) -> tuple[Side, ...]:
        return (self.a, self.b)


class WithinTest(ClaimTest):
    """The mean of one variant lies within a margin of a given value."""

    kind: Literal["within"]
    a: Side = Field(description=f"Name of the variant {OR_ROW}")
    value: PositiveFloat = Field(
        description="Accuracy or another share in %, latency in ms, energy in J, memory in MiB, nll, brier_score and cohen_kappa in "
        "their own unit, else a count"
    )
    margin: PositiveFloat = Field(description=f"Largest distance from the value; {MARGIN}")

    @model_validator(mode="after")
    def _percent(self) -> "WithinTest":
        if self.metric in SHARES and not 1 < self.value <= 100:
            name = "an accuracy" if self.metric == "accuracy" else self.metric
            raise ValueError(f"{name} is in %, like 95.0, but value is {self.value:g}")
        return self

    @property
    def sides(self) -> tuple[Side, ...]:
        return (self.a,)


# What variants of family resnest differ by.
Factor = Literal[
    "radix",
    "cardinality",
    "width",
    "stem",
    "layers",
    "channels",
    "gate",
    "kernels",
    "attention",
]


class MonotoneTest(ClaimTest):
    """The value rises (or falls) with each level of a factor, if everything else is equal."""

    kind: Literal["monotone"]
    factor: Factor = Field(
        description="The factor; only variants of family resnest that differ in nothing else are compared"
    )
    direction: Literal["rising", "falling"] = Field(
        description="Direction of the value as the factor increases"
    )
    variants: VariantNames = Field(default="all", description="Names, or all measured variants")

    @property
    def sides(self) -> tuple[Side, ...]:
        return () if self.variants == "all" else self.variants


class SavesTest(ClaimTest):
    """One side loses at most so much of a measure, and takes so many times less time (or energy) than the other.

    Both must hold: the p-value is the larger of the two (an intersection-union test).
    """

    kind: Literal["saves"]
    metric: TrainedMetric = Field(
        default="accuracy", description="The measure of trained networks that may be lost"
    )
    a: Side = Field(description=f"The faster side: name of a variant {OR_ROW}")
    b: Side = Field(description="What it is compared with, in the same form")
    at_most: PositiveFloat = Field(
        description="Largest loss of the measure; of an accuracy or another share in percentage points, "
        "else in its own unit"
    )
    times: PositiveFloat = Field(
        description="How many times as fast at least: b's latency divided by a's, like 1.5; or b's energy, cost "
        "or memory divided by a's"
    )
    of: TimedMetric = Field(default="latency", description="What is saved")

    @model_validator(mode="after")
    def _two_sides(self) -> "SavesTest":
        if self.a == self.b:
            raise ValueError(f"a and b must differ, but both are {str(self.a)!r}")
        if self.metric in LOWER_IS_BETTER:
            raise ValueError(
                f"metric must be one of which more is better, but is {self.metric!r}: take accuracy"
            )
        return self

    @property
    def sides(self) -> tuple[Side, ...]:
        return (self.a, self.b)


AnyTest = Annotated[
    GreaterTest
    | OrderedTest
    | AtEqualTest
    | EquivalentTest
    | WithinTest
    | MonotoneTest
    | SavesTest,
    Field(discriminator="kind"),
]
TESTS: dict[str, type[ClaimTest]] = {
    "greater": GreaterTest,
    "ordered": OrderedTest,
    "at_equal": AtEqualTest,
    "equivalent": EquivalentTest,
    "within": WithinTest,
    "monotone": MonotoneTest,
    "saves": SavesTest,
}


class ClaimSpec(Spec):
    """A sentence, its source and its test."""

    name: Name = Field(description="Short unique name, used in files and addresses")
    claim: str = Field(min_length=1, description="The sentence for readers")
    source: str = Field(default="", description="Where the sentence comes from")
    dataset: Name | None = Field(
        default=None, description="A key of datasets; null: the study's first of its kind"
    )
    recipe: Name | None = Field(
        default=None,
        description="Of a training or fine-tuning, for every side without one of its own; null takes the "
        "study's first",
    )
    protocol: Name | None = Field(
        default=None, description="Protocol of a latency; null: the study's first"
    )
    primary: bool = Field(
        default=False,
        description="true: tested before the other claims on trained networks, or on latencies, which are "
        "decided only if all primary ones are. Declare it before there are results",
    )
    test: AnyTest = Field(description="One of the tests below, chosen by `kind`")

    @field_validator("claim", "source")
    @classmethod
    def _one_line(cls, text: str) -> str:
        # A folded text in YAML ends with a line break, but a cell of a table has one line.
        return " ".join(text.split())
