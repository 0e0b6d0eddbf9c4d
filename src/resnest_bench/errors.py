"""Errors that a user can fix (floor 0). The CLI prints them on one line, without a traceback."""

import re
import traceback

from pydantic import ValidationError
from pydantic_core import ErrorDetails

# YAML's words for a type of value, and pydantic's errors about a value of another type.
EXPECTED_TYPES = {
    "a list": ("tuple_type", "list_type", "set_type"),
    "a mapping of keys": ("dict_type", "mapping_type", "model_type", "model_attributes_type"),
    "a whole number": ("int_type", "int_parsing", "int_from_float", "int_parsing_size"),
    "a number": ("float_type", "float_parsing"),
    "text": ("string_type",),
    "true or false": ("bool_type", "bool_parsing"),
}
EXPECTED = {error: words for words, errors in EXPECTED_TYPES.items() for error in errors}


class UserError(ValueError):
    """An input breaks a rule. The message gives the rule, the value that broke it and what to do.

    Whatever names and values it quotes, the message is one line of printable text: a terminal would
    obey control characters.
    """

    def __init__(self, message: str) -> None:
        words = " ".join(message.split())
        shown = (c if c.isprintable() else ascii(c)[1:-1] for c in words)
        super().__init__("".join(shown))


def first_line(error: BaseException, max_length: int = 200) -> str:
    """Return the first line of an error's message, cut to `max_length` characters.

    For an error without a message, return `name_silent(error)`.
    """
    lines = str(error).strip().splitlines()
    return lines[0][:max_length] if lines else name_silent(error)


def name_silent(error: BaseException) -> str:
    """Name an error that has no message: its type and the line of code, like `assert H % 8 == 0`."""
    frames = traceback.extract_tb(error.__traceback__)
    # A network often asserts through `torch._assert`: the line that calls it says more.
    outside_torch = [frame for frame in frames if "/torch/" not in frame.filename] or frames
    code = outside_torch[-1].line if outside_torch else None
    return f"{type(error).__name__} at `{code}`" if code else type(error).__name__


def describe_rule(problem: ErrorDetails) -> str:
    """Return the rule that a value breaks, like 'must be a list', in YAML's words for types."""
    if expected := EXPECTED.get(problem["type"]):
        return f"must be {expected}"
    message = problem["msg"].removeprefix("Value error, ").removesuffix(" after validation")
    if problem["type"] == "missing":
        return "is missing"
    return re.sub(r"^(Input|String|Tuple|List|Dictionary|Value) should ", "must ", message)


def describe_input(problem: ErrorDetails) -> str:
    """Return the value that was given, like ', but got 3', or '' if the rule already says it.

    Of a list or a mapping, only the type is named.
    """
    value = problem["input"]
    if isinstance(value, dict | list | tuple):
        kind = "a mapping" if isinstance(value, dict) else "a list"
        return f", but got {kind}" if problem["type"] in EXPECTED else ""
    return "" if problem["type"] in ("missing", "value_error") else f", but got {value!r}"


def first_problem(error: ValidationError) -> str:
    """Return the first problem of a pydantic error as 'FIELD: RULE, but got VALUE'."""
    problems = error.errors()
    problem = problems[0]
    field = ".".join(str(part) for part in problem["loc"]) or "(whole file)"
    text = f"{field}: {describe_rule(problem)}{describe_input(problem)}"
    return text if len(problems) == 1 else f"{text} (and {len(problems) - 1} more)"
