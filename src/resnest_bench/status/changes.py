"""What has changed between the spec in a record and the current one of its job."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from resnest_bench.digests import json_digest
from resnest_bench.specs.base import Spec
from resnest_bench.specs.data import DatasetSpec, WeightsSpec
from resnest_bench.specs.latency import LatencySpec
from resnest_bench.specs.recipes import RecipeSpec
from resnest_bench.specs.variants import VariantSpec

_PARTS: dict[str, TypeAdapter] = {
    "variant": TypeAdapter(VariantSpec),
    "dataset": TypeAdapter(DatasetSpec),
    "recipe": TypeAdapter(RecipeSpec),
    "protocol": TypeAdapter(LatencySpec),
    "weights": TypeAdapter(WeightsSpec),
}
_ABSENT = object()


def find_change(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return the first change that affects results, like 'recipe.epochs was 2, is 3', or ''.

    Args:
        recorded: the spec in a record, as JSON values.
        now: `StudySpec.job_spec` of its job.

    Names, labels and file paths don't count as changes. Neither does a key that the record lacks, if it
    now has its default: the default of a new key means the earlier behaviour.
    """
    if recorded == now:
        return ""
    return first_difference(normalise_spec(recorded), normalise_spec(now))


def digest_result(spec: Mapping[str, Any]) -> str:
    """Return the SHA-256 (hex) of everything in a job's spec that affects its result.

    Two specs have the same digest if `find_change` finds no change between them.
    """
    return json_digest(normalise_spec(spec))


def normalise_spec(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a job's spec with all defaults filled in, and without keys that don't affect results.

    A part that is no longer valid is kept unchanged: an old record may have keys that no longer exist.
    """
    return {part: _normalise_part(part, value) for part, value in spec.items()}


def _normalise_part(part: str, value: Any) -> Any:
    if value is None:
        return None
    if part in ("source", "teacher"):
        return normalise_spec(value)
    try:
        spec: Spec = _PARTS[part].validate_python(value)
    except (KeyError, ValidationError):
        left_out = RecipeSpec.NO_RESULT if part == "recipe" and isinstance(value, Mapping) else ()
        return {key: value[key] for key in value if key not in left_out} if left_out else value
    return _without_names(spec, spec.as_dict())


def _without_names(spec: Spec, values: dict[str, Any]) -> dict[str, Any]:
    """The values of a spec, and of the specs inside it, that affect results."""
    relevant = {}
    for key, value in values.items():
        if key not in spec.NO_RESULT:
            inner = getattr(spec, key)
            relevant[key] = _without_names(inner, value) if isinstance(inner, Spec) else value
    return relevant


def first_difference(was: Any, now: Any, where: str = "") -> str:
    """Return the first leaf in which two JSON values differ: 'FIELD.PATH was X, is Y', or ''."""
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        for key in [*now, *(key for key in was if key not in now)]:
            path = f"{where}.{key}" if where else str(key)
            change = first_difference(was.get(key, _ABSENT), now.get(key, _ABSENT), path)
            if change:
                return change
        return ""
    if was == now and isinstance(was, bool) == isinstance(now, bool):
        return ""
    return f"{where} was {_show_leaf(was)}, is {_show_leaf(now)}"


def _show_leaf(value: Any) -> str:
    return "absent" if value is _ABSENT else json.dumps(value, ensure_ascii=False)
