"""Explain errors in a config in the words of its author (floor 1)."""

import types
import typing
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from resnest_bench.errors import describe_input, describe_rule
from resnest_bench.specs import claims, variants
from resnest_bench.specs.base import Spec
from resnest_bench.specs.optimizers import OPTIMIZERS
from resnest_bench.specs.search import DIMENSION_TAGS
from resnest_bench.specs.study import StudySpec

# Similarity at which a key is probably a typo: `class_weights` is not a typo of `weights`.
NEAR = 0.75
SOURCES = (
    "cifar10",
    "imagefolder",
    "table",
    "huggingface",
    "torchvision",
    "medmnist",
    "digits",
    "imported",
)
TAGS = {
    *DIMENSION_TAGS,
    *variants.FAMILIES,
    *claims.TESTS,
    *claims.SIDE_TAGS,
    *OPTIMIZERS,
    "sgd",
    *SOURCES,
}
UNION_PARTS = ("literal", "tuple", "constrained-int")


def choose_problem(error: ValidationError) -> ErrorDetails:
    """Choose the most helpful problem. A misspelt key also makes another one missing.

    If several kinds of values are allowed, pydantic reports the problems of each kind: the deepest problem
    belongs to the kind that fits best.
    """
    problems = error.errors()
    unknown = [item for item in problems if item["type"] == "extra_forbidden"]
    if unknown:
        return unknown[0]
    place = _drop_union_parts(problems[0]["loc"])
    same = [item for item in problems if _drop_union_parts(item["loc"])[: len(place)] == place]
    return max(same, key=lambda item: len(item["loc"]))


def explain_problem(error: ValidationError, problem: ErrorDetails, config: dict[str, Any]) -> str:
    """Return one line: the place in the config, the rule, the value, and what to do."""
    where = _readable_location(problem["loc"], config)
    if problem["type"] == "extra_forbidden":
        key = str(problem["loc"][-1])
        return f"{where}: there is no key {key!r} here: {_advise_key(key, problem['loc'])}"
    if problem["type"] in ("union_tag_invalid", "union_tag_not_found"):
        return f"{where}: {_explain_tag(problem)}"
    alternatives = _find_alternatives(error, problem)
    message = " or ".join(dict.fromkeys(describe_rule(item) for item in alternatives))
    message = message.replace(" or must be ", " or ") + describe_input(problem)
    more = len(error.errors()) - len(alternatives)
    message += f" (and {more} more)" if more > 0 else ""
    return f"{where}: {message}" if where else message


def _find_alternatives(error: ValidationError, problem: ErrorDetails) -> list[ErrorDetails]:
    """Return the problems of all kinds of values that are allowed at this place."""
    *place, last = problem["loc"] or ("",)
    if not _is_union_part(last):
        return [problem]
    return [item for item in error.errors() if list(item["loc"][:-1]) == place]


def _is_union_part(part: str | int) -> bool:
    return isinstance(part, str) and part.startswith(UNION_PARTS)


def _drop_union_parts(loc: Sequence[str | int]) -> tuple[str | int, ...]:
    return tuple(part for part in loc if not _is_union_part(part))


def _explain_tag(problem: ErrorDetails) -> str:
    context, value = problem.get("ctx", {}), problem["input"]
    tag = str(context["discriminator"]).strip("'")
    if not isinstance(value, dict):
        return f"must be a mapping of keys{describe_input(problem)}"
    if problem["type"] == "union_tag_not_found":
        near = get_close_matches(tag, map(str, value), n=1, cutoff=NEAR)
        return f"{tag} is missing" + (f" (is {near[0]!r} a typo for it?)" if near else "")
    return f"{tag} must be one of {context['expected_tags']}, but got {value.get(tag)!r}"


def _advise_key(key: str, loc: Sequence[str | int]) -> str:
    here = {name for spec in _find_specs(loc) for name in spec.model_fields}
    near = get_close_matches(key, sorted(here), n=1, cutoff=NEAR)
    if near:
        return f"did you mean {near[0]!r}?"
    return ("only other kinds of entries have it; " if key in list_keys() else "") + (
        "remove it (config/README.md lists all)"
    )


def list_keys() -> set[str]:
    """Return every key of a study, at any place."""
    return {name for spec in _walk_specs(StudySpec) for name in spec.model_fields}


def _find_specs(loc: Sequence[str | int]) -> list[type[Spec]]:
    """Return the kinds of entries that are allowed where the key `loc[-1]` is."""
    specs: list[type[Spec]] = [StudySpec]
    for part in loc[:-1]:
        inner = [spec for owner in specs for spec in _specs_in_field(owner, part)]
        specs = inner or specs
    tag = loc[-2] if len(loc) > 1 else None
    return [spec for spec in specs if _has_tag(spec, tag)] or specs


def _specs_in_field(owner: type[Spec], name: str | int) -> list[type[Spec]]:
    field = owner.model_fields.get(str(name))
    return list(_specs_in(field.annotation)) if field else []


def _specs_in(annotation: Any) -> Iterator[type[Spec]]:
    """Return the specs in a type: ClaimSpec for tuple[ClaimSpec, ...]."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        if issubclass(annotation, Spec):
            yield annotation
        return
    for argument in typing.get_args(annotation):
        yield from _specs_in(argument)


def _walk_specs(spec: type[Spec]) -> Iterator[type[Spec]]:
    yield spec
    for name in spec.model_fields:
        for inner in _specs_in_field(spec, name):
            yield from _walk_specs(inner)


def _has_tag(spec: type[Spec], tag: str | int | None) -> bool:
    return any(tag in typing.get_args(field.annotation) for field in spec.model_fields.values())


def _readable_location(loc: Sequence[Any], config: dict[str, Any]) -> str:
    """Format ('variants', 3, 'resnest', 'radix') as 'variants[3] (ResNeSt-14).radix'."""
    text = ""
    value: Any = config
    for part in loc:
        if (isinstance(value, dict) and part in value) or (
            isinstance(value, list | tuple) and isinstance(part, int) and part < len(value)
        ):
            value = value[part]
        elif part in TAGS or _is_union_part(part):
            continue
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
        if isinstance(part, int) and isinstance(value, dict) and "name" in value:
            text += f" ({value['name']})"
    return text.removeprefix(".")
