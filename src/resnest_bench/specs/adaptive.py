"""Adding seeds while a claim is undecided: how many, in which steps, at what cost (floor 1).

The numbers of seeds at interim analyses (looks) are fixed in advance, which controls the error
rate: docs/decisions/011-adaptive-seeds.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Self

from pydantic import Field, PrivateAttr, model_validator

from resnest_bench.specs.base import PositiveFloat, PositiveInt, Spec
from resnest_bench.specs.claims import ClaimSpec
from resnest_bench.specs.scores import TRAINED_METRICS

# A test needs at least two values, to have a spread.
FEWEST_SEEDS = 2
MOST_SEEDS = 1000


class AdaptiveSpec(Spec):
    """Train more seeds while a claim on a trained accuracy is undecided."""

    max_seeds: PositiveInt = Field(
        le=MOST_SEEDS,
        description="Most seeds per variant, including the study's own; must be more than those",
    )
    step: PositiveInt = Field(
        default=2,
        description="Seeds added between two interim analyses of a claim, for each variant on average. Each "
        "planned analysis costs some power, so a few large steps are better than many small ones",
    )
    allocation: Literal["noisier", "equal"] = Field(
        default="noisier",
        description="Of two variants that are compared, noisier adds more seeds to the one that varies more; "
        "equal adds the same to both, as the paired t-test always does",
    )
    budget_seeds: PositiveInt | None = Field(
        default=None, description="Most added trainings over all variants; null: no limit"
    )
    budget_minutes: PositiveFloat | None = Field(
        default=None,
        description="Most minutes of all added trainings together on their device, estimated from the "
        "records so far; null: no limit",
    )

    price_per_hour: PositiveFloat | None = Field(
        default=None, description="Of one device, in any currency; goes with budget_price"
    )
    budget_price: PositiveFloat | None = Field(
        default=None,
        description="Most that all added trainings may cost together, at price_per_hour; null: no limit",
    )

    @model_validator(mode="after")
    def _price_is_whole(self) -> Self:
        if (self.price_per_hour is None) != (self.budget_price is None):
            given = "price_per_hour" if self.budget_price is None else "budget_price"
            raise ValueError(
                f"price_per_hour and budget_price go together, but got only {given}: add the other, or "
                "give budget_minutes"
            )
        return self

    @property
    def minutes_limit(self) -> float | None:
        """The smaller of both budgets in minutes; None without one."""
        limits = [] if self.budget_minutes is None else [self.budget_minutes]
        if self.budget_price is not None and self.price_per_hour is not None:
            limits.append(60 * self.budget_price / self.price_per_hour)
        return min(limits, default=None)

    def schedule(self, num_own: int) -> tuple[int, ...]:
        """Return the numbers of seeds at which claims are tested, from the study's own number up."""
        return (*range(num_own, self.max_seeds, self.step), self.max_seeds)

    def order(self, own: Sequence[int]) -> tuple[int, ...]:
        """Return the seeds that a variant can have, in the order in which it gets them.

        After the study's own they are the smallest numbers that aren't used.
        """
        taken, wanted = set(own), self.max_seeds - len(own)
        more = [seed for seed in range(self.max_seeds + len(own)) if seed not in taken][:wanted]
        return (*own, *more)


class Extendable(Spec):
    """A study that can have more trainings than its config lists."""

    # Seeds that looks added, by (dataset, recipe, variant). Not part of the dump or the digest.
    _added_seeds: Mapping[tuple[str, str, str], tuple[int, ...]] = PrivateAttr(default={})

    def with_seeds(self, added: Mapping[tuple[str, str, str], tuple[int, ...]]) -> Self:
        """Return this study with more trainings: seeds by (dataset, recipe, variant)."""
        extended = self.model_copy()
        extended._added_seeds = dict(added)
        return extended

    def added_seeds(self, dataset: str, recipe: str, variant: str) -> tuple[int, ...]:
        return self._added_seeds.get((dataset, recipe, variant), ())


def check_adaptive(
    spec: AdaptiveSpec | None, own: Sequence[int], claims: Iterable[ClaimSpec]
) -> None:
    """Raise ValueError if there would be nothing to add, or none of `claims` to add it for."""
    if spec is None:
        return
    if not any(claim.test.metric in TRAINED_METRICS for claim in claims):
        raise ValueError(
            "adaptive: seeds are added for claims on the accuracy of trained variants, but this study "
            "trains nothing or makes no such claim: add one under claims, or remove adaptive"
        )
    if len(own) < FEWEST_SEEDS:
        raise ValueError(
            f"adaptive: the first look needs {FEWEST_SEEDS} seeds at least, since one tells no spread, "
            f"but seeds lists {len(own)}: list more"
        )
    if spec.max_seeds <= len(own):
        raise ValueError(
            f"adaptive.max_seeds must be more than the {len(own)} seeds of the study, but is "
            f"{spec.max_seeds}: raise it, or remove adaptive"
        )
