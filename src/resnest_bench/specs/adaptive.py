"""Adding seeds while a claim is undecided: how many, in which steps, at what cost (floor 1).

The numbers of seeds at interim analyses (looks) are fixed in advance, which controls the error
rate: docs/decisions/011-adaptive-seeds.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Self

from pydantic import Field, PrivateAttr

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
        description="Seeds added between two interim analyses of a claim. Each planned analysis costs some "
        "power, so a few large steps are better than many small ones",
    )
    budget_seeds: PositiveInt | None = Field(
        default=None, description="Most added trainings over all variants; null: no limit"
    )
    budget_minutes: PositiveFloat | None = Field(
        default=None,
        description="Most minutes of all added trainings together on their device, estimated from the "
        "records so far; null: no limit",
    )

    def schedule(self, num_own: int) -> tuple[int, ...]:
        """Return the numbers of seeds at which claims are tested, from the study's own number up."""
        return (*range(num_own, self.max_seeds, self.step), self.max_seeds)

    def steps(self, own: Sequence[int]) -> list[tuple[int, ...]]:
        """Return the seeds that each look after the first adds: the smallest numbers that aren't used."""
        taken, wanted = set(own), self.max_seeds - len(own)
        more = [seed for seed in range(self.max_seeds + len(own)) if seed not in taken][:wanted]
        return [tuple(more[i : i + self.step]) for i in range(0, wanted, self.step)]


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
