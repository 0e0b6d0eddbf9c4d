"""What has changed between the spec that a record holds and the one that its job has now."""

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
    """The first change that makes another result: 'recipe.epochs was 2, is 3'; else ''.

    Args:
        recorded: the spec in a record, as JSON values.
        now: `StudySpec.job_spec` of its job.

    Names, labels and places of files are no change. Nor is a key that is newer than the record, where
    it has its default: the default of a new key keeps what was done before it.
    """
    if recorded == now:
        return ""
    return first_difference(normalise_spec(recorded), normalise_spec(now))


def digest_result(spec: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of all in a job's spec that decides its result: `find_change` compares the same."""
    return json_digest(normalise_spec(spec))


def normalise_spec(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A job's spec with every default filled in, and without what changes no result.

    A part that today's rules refuse stays as it is: an old record may hold keys that are gone.
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
        return value
    return _without_names(spec, spec.as_dict())


def _without_names(spec: Spec, values: dict[str, Any]) -> dict[str, Any]:
    """The values of a spec that decide a result, in the specs inside it too."""
    found = {}
    for key, value in values.items():
        if key not in spec.NO_RESULT:
            inner = getattr(spec, key)
            found[key] = _without_names(inner, value) if isinstance(inner, Spec) else value
    return found


def first_difference(was: Any, now: Any, where: str = "") -> str:
    """The first leaf in which two JSON values differ: 'FIELD.PATH was X, is Y'; else ''."""
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        for key in [*now, *(key for key in was if key not in now)]:
            place = f"{where}.{key}" if where else str(key)
            change = first_difference(was.get(key, _ABSENT), now.get(key, _ABSENT), place)
            if change:
                return change
        return ""
    if was == now and isinstance(was, bool) == isinstance(now, bool):
        return ""
    return f"{where} was {_show_leaf(was)}, is {_show_leaf(now)}"


def _show_leaf(value: Any) -> str:
    return "absent" if value is _ABSENT else json.dumps(value, ensure_ascii=False)
