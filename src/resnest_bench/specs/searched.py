"""A study with a search (floor 1): its rules, and the networks and recipes that its rounds add."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from pydantic import Field, PrivateAttr

from resnest_bench.paths import Job, check_name
from resnest_bench.specs.adaptive import AdaptiveSpec
from resnest_bench.specs.base import check_known
from resnest_bench.specs.data import DatasetSpec
from resnest_bench.specs.imported import WithImports, check_runnable
from resnest_bench.specs.latency import LatencySpec
from resnest_bench.specs.recipes import RecipeSpec, check_channels
from resnest_bench.specs.search import MAX_TRIALS, OneSearch, SearchSpec
from resnest_bench.specs.search_space import check_space, list_grid
from resnest_bench.specs.variants import TimmVariant, VariantSpec


class WithSearch(WithImports):
    """The part of a study that looks for good settings."""

    search: OneSearch | None = Field(
        default=None, description="Search settings of several families at equal budgets; null: none"
    )

    # What rounds of the search added. Neither is part of the dump or the digest.
    _own_recipes: Mapping[tuple[str, str], RecipeSpec] = PrivateAttr(default={})
    _trial_jobs: tuple[Job, ...] = PrivateAttr(default=())
    _lists_trials: bool = PrivateAttr(default=False)
    _configured: Any = PrivateAttr(default=None)

    def with_trials(
        self,
        own_recipes: Mapping[tuple[str, str], RecipeSpec],
        jobs: Sequence[Job],
        listed: bool,
        **fields: Any,
    ) -> Self:
        """Return this study with the networks of a search.

        Args:
            own_recipes: by (recipe, variant), what a variant has in place of the recipe of that name.
            jobs: of trials, which no block lists.
            listed: whether these are among the study's `jobs()`: for what runs them, not for tables.
            fields: new values of fields of the study.
        """
        extended = self.model_copy(update=fields)
        extended._own_recipes = dict(own_recipes)
        extended._trial_jobs = tuple(jobs)
        extended._lists_trials = listed
        extended._configured = self.as_configured
        return extended

    @property
    def as_configured(self) -> Self:
        """Return the study as its config says, without what a search added."""
        return self if self._configured is None else self._configured

    def own_recipe(self, name: str, variant: str | None) -> RecipeSpec | None:
        """Return what a search chose for this variant under the recipe's name; None of others."""
        return None if variant is None else self._own_recipes.get((name, variant))

    @property
    def all_recipes(self) -> dict[str, RecipeSpec]:
        raise NotImplementedError

    @property
    def known_recipes(self) -> set[str]:
        """Return the names of all recipes, and that of the finalists, which are not there from the start."""
        return {*self.all_recipes, *([self.search.name] if self.search else [])}

    @property
    def search_choices(self) -> list[Any] | None:
        """Return what a search added, as JSON values; None without."""
        recipes = sorted(self._own_recipes.items())
        return [[*names, recipe.as_dict()] for names, recipe in recipes] or None

    @property
    def trial_jobs(self) -> tuple[Job, ...]:
        """The jobs of all trials so far, if the study was extended by its search."""
        return self._trial_jobs

    @property
    def listed_trials(self) -> tuple[Job, ...]:
        """Those of `trial_jobs` that are among the study's `jobs()`."""
        return self._trial_jobs if self._lists_trials else ()


def check_search(
    search: SearchSpec | None,
    seeds: Sequence[int],
    adaptive: AdaptiveSpec | None,
    variants: Mapping[str, VariantSpec],
    recipes: Mapping[str, RecipeSpec],
    protocols: Mapping[str, LatencySpec],
    datasets: Mapping[str, DatasetSpec],
) -> None:
    """Raise ValueError or UserError unless the study can run its search on one of `datasets`."""
    if search is None:
        return
    check_known("search.dataset", search.dataset, datasets)
    check_known("search.recipe", search.recipe, recipes)
    _check_recipe(search, recipes)
    channels = datasets[search.dataset].num_channels
    check_channels(search.dataset, channels, search.recipe, recipes[search.recipe])
    _check_seeds(search, seeds, adaptive)
    _check_budget(search, recipes[search.recipe].epochs)
    _check_latency(search, protocols)
    for index, family in enumerate(search.families):
        where = f"search.families[{index}]"
        check_runnable(f"{where}.variant", family.variant, variants)
        _check_family(where, search, variants[family.variant], recipes[search.recipe])
    _check_names(search, variants)


def _check_recipe(search: SearchSpec, recipes: Mapping[str, RecipeSpec]) -> None:
    recipe, name = recipes[search.recipe], search.recipe
    if not recipe.validation_fraction:
        raise ValueError(
            f"search.recipe: a search selects on validation images and never on test images, but recipe {name!r} holds "
            "none out (validation_fraction: 0): use a recipe with validation_fraction: 0.1"
        )
    if recipe.init != "scratch" or recipe.teacher:
        raise ValueError(
            f"search.recipe: a search trains from random weights and labels alone, but recipe {name!r} has init: "
            f"{recipe.init}{' and a teacher' if recipe.teacher else ''}: use another recipe"
        )
    taken = [
        one for one in recipes if one == search.name or one.startswith(f"{search.name}-trials")
    ]
    if taken:
        raise ValueError(
            f"search.name: {search.name!r} names the recipe of the finalists, but the study has a recipe {taken[0]!r}: "
            "choose another name"
        )


def _check_seeds(search: SearchSpec, seeds: Sequence[int], adaptive: AdaptiveSpec | None) -> None:
    if search.seed in seeds:
        raise ValueError(
            f"search.seed: finalists are confirmed by new seeds, but {search.seed} is one of the study's: choose another"
        )
    if adaptive:
        raise ValueError(
            "search: a study that searches has fixed seeds, but this one is adaptive: compare the finalists in a study of "
            "their own, or remove adaptive"
        )


def _check_budget(search: SearchSpec, epochs: int) -> None:
    rungs = search.rungs(epochs)
    if len(rungs) > 1 and rungs[-2] >= epochs:
        raise ValueError(
            f"search.halving.epochs must be less than the {epochs} epochs of recipe {search.recipe!r}, but got {rungs[-2]}"
        )
    needed = search.cohort_cost(search.trials_per_round, epochs)
    if search.budget.trainings is not None and search.budget.trainings < needed - 1e-9:
        raise ValueError(
            f"search.budget: one round takes {needed:g} trainings of each family, but the budget is "
            f"{search.budget.trainings}: raise trainings, or lower trials_per_round"
        )


def _check_latency(search: SearchSpec, protocols: Mapping[str, LatencySpec]) -> None:
    if search.latency is None:
        return
    check_known("search.latency.protocol", search.latency.protocol, protocols)
    sizes = protocols[search.latency.protocol].batch_sizes
    if search.latency.batch_size not in sizes:
        raise ValueError(
            f"search.latency.batch_size must be one of protocol {search.latency.protocol!r}: {list(sizes)}, but got "
            f"{search.latency.batch_size}"
        )


def _check_family(where: str, search: SearchSpec, base: VariantSpec, recipe: RecipeSpec) -> None:
    space = search.space_for(base.name)
    if isinstance(base, TimmVariant) and base.pretrained_tag:
        raise ValueError(
            f"{where}.variant: trials start from random weights, but {base.name} names pretrained ones: remove the tag"
        )
    check_space(where, space, base, recipe)
    if search.sampler == "grid":
        list_grid(space, base)
    if search.latency and not any(key.startswith("variant.") for key in space):
        raise ValueError(
            f"{where}: objective latency needs a key of the variant in the space, since all trials of {base.name} have one "
            "latency without: add one, or remove the objective"
        )


def _check_names(search: SearchSpec, variants: Mapping[str, VariantSpec]) -> None:
    prefixes = [f"{name}-{search.name}".lower() for name in search.family_names]
    for name in variants:
        if any(name.lower().startswith(prefix) for prefix in prefixes):
            raise ValueError(
                f"search.name: the search names its networks FAMILY-{search.name}, but there is a variant {name!r}: choose "
                "another name"
            )
    for name in search.family_names:
        check_name(search.trial_name(name, MAX_TRIALS))
