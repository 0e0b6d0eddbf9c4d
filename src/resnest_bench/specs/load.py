"""Read and validate a config file, with one clear line for an error (floor 1)."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from resnest_bench.errors import UserError
from resnest_bench.json_values import check_json_value
from resnest_bench.specs import variants
from resnest_bench.specs.explain import choose_problem, explain_problem
from resnest_bench.specs.lines import Origin, read_place
from resnest_bench.specs.reading import read_yaml
from resnest_bench.specs.study import StudySpec


def study_from_config(config: dict[str, Any], origin: str, files: Sequence[Path] = ()) -> StudySpec:
    """Validate a config mapping; `variants`, `claims` and `imported` may be paths.

    Args:
        origin: name of the config in messages if the file is unknown.
        files: the files of `config`, so that messages can name the line.
    """
    if not isinstance(config, dict):
        raise UserError(f"{origin} must be a mapping of keys, but got a {type(config).__name__}")
    source = Origin(origin, files)
    config = {key: _read_sheet(key, value, source) for key, value in config.items()}
    try:
        check_json_value(config)
    except ValueError as error:
        raise UserError(f"{source.locate(read_place(str(error)))}: {error}") from error
    try:
        return StudySpec.model_validate(config)
    except ValidationError as error:
        problem = choose_problem(error)
        message = explain_problem(error, problem, config)
        place = problem["loc"] or read_place(message)
        raise UserError(f"{source.locate(place)}: {message}") from error


def _read_sheet(key: Any, value: Any, source: Origin) -> Any:
    """Read the list from a file if the value is a path; return other values unchanged."""
    if key not in ("variants", "claims", "imported"):
        return value
    where = source.locate([key])
    if isinstance(value, str):
        path = Path(value)
        try:
            value = read_yaml(path)
        except UserError as error:
            if path.exists():
                raise
            raise UserError(f"{where}: {key}: {error}: {_explain_relative(path)}") from error
        source.sheets[key] = path
        where = str(path)
    if not isinstance(value, list | tuple):
        entry = "experiment" if key == "imported" else key.removesuffix("s")
        raise UserError(f"{where}: {key} must be a list, one entry per {entry}")
    return value


def _explain_relative(path: Path) -> str:
    if path.is_absolute():
        return "check the path"
    return f"paths are relative to the current folder ({Path.cwd()}), not to the config"


def load_study(path: Path) -> StudySpec:
    """Read and validate a config file or a `results/<study>/study.json`."""
    return study_from_config(read_yaml(path), str(path), [path])


def dump_study(spec: StudySpec) -> str:
    """Return the study as JSON with all defaults; `load_study` reads it."""
    return json.dumps(spec.as_configured.model_dump(mode="json"), indent=1) + "\n"


def variant_line(variant: variants.VariantSpec) -> str:
    """Format a variant as a line of variants.yaml: '- {name: ..., ...}', without defaults."""
    fields = variant.model_dump(mode="json", exclude_defaults=True)
    ordered = {"name": variant.name, "family": variant.family, **fields}
    text = yaml.safe_dump(ordered, default_flow_style=True, sort_keys=False, width=10**6)
    return f"- {text.strip()}"
