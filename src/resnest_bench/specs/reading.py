"""Read YAML or JSON strictly (floor 1): no duplicate keys, and errors name the line."""

import json
from pathlib import Path
from typing import Any

import yaml

from resnest_bench.errors import UserError


class _DuplicateKeyError(yaml.constructor.ConstructorError):
    """A mapping has a key twice."""


class _StrictLoader(yaml.SafeLoader):
    """A YAML loader that refuses duplicate keys, of which PyYAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, list | dict):
                continue
            if key in seen:
                raise _DuplicateKeyError(
                    None, None, f"key {key!r} is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> Any:
    """Read a YAML (or JSON) file. Raises UserError with the line."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path} is not YAML: {error}") from error
    try:
        return _strict_json(text) if path.suffix == ".json" else _strict_yaml(text)
    # PyYAML converts what looks like a number or a date, and recurses as deep as the file.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(_explain(path, text, error)) from error


def _explain(path: Path, text: str, error: Exception) -> str:
    if isinstance(error, _DuplicateKeyError):
        return f"{path}, line {_read_line(error)}: {error.problem}: keep one of them"
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return (
            f"{path}, line {_read_line(error)} is not YAML: {error.problem}{_explain_begin(error)}"
        )
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return f"{path}, line {line} is not YAML: {error.reason}"
    return f"{path} is not YAML: {error}"


def _read_line(error: yaml.MarkedYAMLError) -> int | str:
    return error.problem_mark.line + 1 if error.problem_mark else "?"


def _explain_begin(error: yaml.MarkedYAMLError) -> str:
    """Return where the incomplete part begins, since the mistake is often there."""
    if not error.context or not error.context_mark:
        return ""
    return f" ({error.context} that begins in line {error.context_mark.line + 1})"


def _strict_yaml(text: str) -> Any:
    return yaml.load(text, Loader=_StrictLoader)


def _strict_json(text: str) -> Any:
    """Parse JSON a hundred times faster than PyYAML.

    Errors are left to `_strict_yaml`, which reports the line.
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
