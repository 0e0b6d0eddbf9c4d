"""Reading a config file at the door (floor 1): closed keys, no duplicate, one clear line."""

import json
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from resnest_bench.errors import UserError
from resnest_bench.plain import check_plain
from resnest_bench.records import first_problem
from resnest_bench.specs import adaptive, claims, data, latency, recipes, study, tables, variants
from resnest_bench.specs.base import Spec
from resnest_bench.specs.study import StudySpec


class _StrictLoader(yaml.SafeLoader):
    """YAML that refuses a key given twice: PyYAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, list | dict):
                continue
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> Any:
    """The value in a YAML (or JSON) file. Raises UserError that names the line."""
    try:
        text = path.read_text(encoding="utf-8")
        return _strict_json(text) if path.suffix == ".json" else _strict_yaml(text)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    # PyYAML makes numbers and dates of what looks like them, and nests as deep as the file does.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is not YAML: {error}") from error


def _strict_yaml(text: str) -> Any:
    return yaml.load(text, Loader=_StrictLoader)


def _strict_json(text: str) -> Any:
    """The value in JSON text, a hundred times faster than PyYAML reads it.

    Whatever is wrong or dubious is left to `_strict_yaml`, which says what and where.
    """
    try:
        return json.loads(text, object_pairs_hook=_without_duplicate, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return _strict_yaml(text)


def _without_duplicate(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a key is given twice")
    return value


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def study_from_config(config: dict[str, Any], origin: str) -> StudySpec:
    """Validate a config mapping; `variants` and `claims` may be paths from the working directory."""
    if not isinstance(config, dict):
        raise UserError(f"{origin} must be a mapping of keys, but holds a {type(config).__name__}")
    config = dict(config)
    for key in ("variants", "claims"):
        if isinstance(config.get(key), str):
            sheet = Path(config[key])
            config[key] = read_yaml(sheet)
            origin = f"{origin} with {sheet}"
        if key in config and not isinstance(config[key], list | tuple):
            raise UserError(f"{origin}: {key} must be a list, one entry a {key.removesuffix('s')}")
    try:
        check_plain(config)
    except ValueError as error:
        raise UserError(f"{origin}: {error}") from error
    try:
        return StudySpec.model_validate(config)
    except ValidationError as error:
        raise UserError(f"{origin}: {_explain(error, config)}") from error


def load_study(path: Path) -> StudySpec:
    """Read and validate a config file or a `results/<study>/study.json`."""
    return study_from_config(read_yaml(path), str(path))


def _explain(error: ValidationError, config: dict[str, Any]) -> str:
    # A misspelled key also makes another one missing: the misspelling is what helps.
    problem = min(error.errors(), key=lambda item: item["type"] != "extra_forbidden")
    where = _readable_location(problem["loc"], config)
    if problem["type"] == "extra_forbidden":
        key = str(problem["loc"][-1])
        known = _known_keys()
        close = get_close_matches(key, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else "remove it (config/README.md lists all)"
        if key in known:
            hint = "only other kinds of entries have it; remove it (config/README.md lists all)"
        return f"{where}: there is no key {key!r} here: {hint}"
    if problem["type"] in ("union_tag_invalid", "union_tag_not_found"):
        tag, expected = problem["ctx"]["discriminator"], problem["ctx"].get("expected_tags", "")
        came = problem["input"].get(tag.strip("'")) if isinstance(problem["input"], dict) else None
        wanted = f"one of {expected}" if expected else "given"
        return f"{where}: {tag.strip(chr(39))} must be {wanted}, but came {came!r}"
    _, _, message = first_problem(error).partition(": ")
    return f"{where}: {message}" if where else message


def _readable_location(loc: tuple, config: dict[str, Any]) -> str:
    """('variants', 3, 'resnest', 'radix') as 'variants[3] (ResNeSt-14).radix'."""
    text = ""
    tags = {*variants.FAMILIES, *claims.TESTS, "cifar10", "imagefolder", "digits"}
    value: Any = config
    for part in loc:
        if (isinstance(value, dict) and part in value) or (
            isinstance(value, list | tuple) and isinstance(part, int) and part < len(value)
        ):
            value = value[part]
        elif part in tags or (isinstance(part, str) and part.startswith(("literal", "tuple"))):
            continue
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
        if isinstance(part, int) and isinstance(value, dict) and "name" in value:
            text += f" ({value['name']})"
    return text.removeprefix(".")


def _known_keys() -> set[str]:
    specs = [
        item
        for module in (adaptive, claims, data, latency, recipes, study, tables, variants)
        for item in vars(module).values()
        if isinstance(item, type) and issubclass(item, Spec)
    ]
    return {field for spec in specs for field in spec.model_fields}


def dump_study(spec: StudySpec) -> str:
    """The whole study as JSON with every default filled in; `load_study` reads it back."""
    return json.dumps(spec.model_dump(mode="json"), indent=1) + "\n"


def variant_line(variant: variants.VariantSpec) -> str:
    """The variant as a line of variants.yaml: '- {name: ..., ...}', without fields left at default."""
    fields = variant.model_dump(mode="json", exclude_defaults=True)
    ordered = {"name": variant.name, "family": variant.family, **fields}
    text = yaml.safe_dump(ordered, default_flow_style=True, sort_keys=False, width=10**6)
    return f"- {text.strip()}"
