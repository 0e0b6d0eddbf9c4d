"""The space of a search: its dimensions, what settings make of a variant and a recipe, and its rules (floor 1)."""

import itertools
import json
from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue, TypeAdapter, ValidationError

from resnest_bench.errors import first_problem
from resnest_bench.specs.base import check_known
from resnest_bench.specs.recipes import RecipeSpec
from resnest_bench.specs.search import PerStageSpec, RangeSpec, Space
from resnest_bench.specs.variants import VariantSpec

# What all trials must share, or what a search sets itself.
FIXED_KEYS = {
    "recipe.validation_fraction": "all trials must be compared on the same validation images",
    "recipe.init": "a search trains from random weights",
    "recipe.teacher": "a search trains from labels alone",
    "recipe.vary": "all trials have the search's seed",
    "recipe.epochs": "the budget counts trainings of one length; halving shortens them",
    "variant.name": "the search names its trials",
    "variant.note": "it changes nothing",
    "variant.family": "list another family under families",
}


def expand_space(space: Space, base: VariantSpec) -> dict[str, tuple[JsonValue, ...] | RangeSpec]:
    """Return one dimension per number of the space: a list of choices or a range.

    {'variant.radix': per_stage} becomes 'variant.radix[0]', 'variant.radix[1]' and so on.
    """
    found: dict[str, tuple[JsonValue, ...] | RangeSpec] = {}
    for key, dimension in space.items():
        if isinstance(dimension, PerStageSpec):
            stages = len(getattr(base, "layers", ()))
            found |= {f"{key}[{stage}]": dimension.per_stage for stage in range(stages)}
        else:
            found[key] = dimension
    return found


def list_grid(space: Space, base: VariantSpec) -> dict[str, list[Any]]:
    """Return all values of each dimension. Raises ValueError for a range without a step."""
    grid: dict[str, list[Any]] = {}
    for key, dimension in expand_space(space, base).items():
        values = dimension.list_values() if isinstance(dimension, RangeSpec) else list(dimension)
        if values is None:
            raise ValueError(
                f"sampler grid needs a list or a step for each key, but {key} is a range without: list its values"
            )
        grid[key] = values
    return grid


def apply_settings(
    base: VariantSpec, recipe: RecipeSpec, settings: Mapping[str, Any]
) -> tuple[VariantSpec, RecipeSpec]:
    """Return the variant and the recipe with settings like {'recipe.learning_rate': 0.1}.

    Raises ValueError, in one line, if they are no valid variant or recipe.
    """
    parts: dict[str, Any] = {
        "variant": base.model_dump(mode="json"),
        "recipe": recipe.model_dump(mode="json"),
    }
    stages: dict[str, list[Any]] = {}
    for key, value in settings.items():
        if key.endswith("]"):
            stages.setdefault(key.partition("[")[0], []).append(value)
        else:
            _set(parts, key, value)
    for key, values in stages.items():
        _set(parts, key, values)
    try:
        variant = TypeAdapter(VariantSpec).validate_python(parts["variant"])
        return variant, RecipeSpec.model_validate(parts["recipe"])
    except ValidationError as error:
        raise ValueError(first_problem(error)) from error


def _set(parts: dict[str, Any], key: str, value: Any) -> None:
    *path, last = key.split(".")
    place = parts
    for part in path:
        inner = place.get(part)
        place[part] = inner = dict(inner) if isinstance(inner, dict) else {}
        place = inner
    place[last] = value


def check_space(where: str, space: Space, base: VariantSpec, recipe: RecipeSpec) -> None:
    """Raise ValueError or UserError for a key that doesn't exist or has no valid value by itself."""
    if not space:
        raise ValueError(
            f"{where}: a family needs a space of one key at least, here or under search.space"
        )
    for key, dimension in space.items():
        part, _, name = key.partition(".")
        if part not in ("variant", "recipe") or not name:
            raise ValueError(
                f"{where}: keys begin with variant. or recipe., like recipe.learning_rate, but got {key!r}"
            )
        if key in FIXED_KEYS:
            raise ValueError(f"{where}: {key} can't be searched: {FIXED_KEYS[key]}")
        spec = base if part == "variant" else recipe
        check_known(f"{where}: {key}", name.split(".")[0], type(spec).model_fields)
        if isinstance(dimension, PerStageSpec) and (
            part != "variant" or not hasattr(base, "layers") or "variant.layers" in space
        ):
            raise ValueError(
                f"{where}: {key}: per_stage is for keys of a resnest variant with a fixed number of layers: list the "
                "values instead"
            )
    for key, dimension in expand_space(space, base).items():
        _check_values(where, key, dimension, space, base, recipe)


def _check_values(
    where: str,
    key: str,
    dimension: tuple[JsonValue, ...] | RangeSpec,
    space: Space,
    base: VariantSpec,
    recipe: RecipeSpec,
) -> None:
    """Refuse values of which none is valid, whatever the other keys are, as far as one can try."""
    ends = (dimension.low, dimension.high) if isinstance(dimension, RangeSpec) else dimension
    values: list[Any] = list(ends)
    if len({json.dumps(value, sort_keys=True) for value in values}) < len(values):
        raise ValueError(f"{where}: {key} lists a value twice: remove one of them")
    base_key, is_stage = key.partition("[")[0], key.endswith("]")
    others = {k: d for k, d in expand_space(space, base).items() if k.partition("[")[0] != base_key}
    tried = [
        {k: (d.low if isinstance(d, RangeSpec) else d[0]) for k, d in others.items()},
        {k: (d.high if isinstance(d, RangeSpec) else d[-1]) for k, d in others.items()},
        {},
    ]
    problem = ""
    for value, rest in itertools.product(values, tried):
        stages = range(len(getattr(base, "layers", ())))
        own = {f"{base_key}[{stage}]": value for stage in stages} if is_stage else {key: value}
        try:
            apply_settings(base, recipe, {**rest, **own})
            return
        except ValueError as error:
            problem = problem or str(error)
    raise ValueError(f"{where}: no value of {key} is valid: {problem}")
