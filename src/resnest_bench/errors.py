"""Errors that a user can repair (floor 0). The CLI prints them in one line, without a traceback."""

import re
import traceback

from pydantic import ValidationError
from pydantic_core import ErrorDetails

# pydantic's types of errors about kinds of values: what YAML calls them.
KINDS = {
    "a list": ("tuple_type", "list_type", "set_type"),
    "a mapping of keys": ("dict_type", "mapping_type", "model_type", "model_attributes_type"),
    "a whole number": ("int_type", "int_parsing", "int_from_float", "int_parsing_size"),
    "a number": ("float_type", "float_parsing"),
    "text": ("string_type",),
    "true or false": ("bool_type", "bool_parsing"),
}
WANTED = {kind: words for words, kinds in KINDS.items() for kind in kinds}


class UserError(ValueError):
    """An input breaks a rule. The message says the rule, what came and what to do.

    It is one line of printable text, whatever names and values came: a terminal obeys others.
    """

    def __init__(self, message: str) -> None:
        words = " ".join(message.split())
        shown = (c if c.isprintable() else ascii(c)[1:-1] for c in words)
        super().__init__("".join(shown))


def first_line(error: BaseException, most: int = 200) -> str:
    """What an error says first, in `most` characters at most; see `name_silent` where it is silent."""
    lines = str(error).strip().splitlines()
    return lines[0][:most] if lines else name_silent(error)


def name_silent(error: BaseException) -> str:
    """An error without words: its type, and the code that raised it, like `assert H % 8 == 0`."""
    frames = traceback.extract_tb(error.__traceback__)
    # Libraries pass the condition on to `torch._assert`: who calls that says more.
    telling = [frame for frame in frames if "/torch/" not in frame.filename] or frames
    code = telling[-1].line if telling else None
    return f"{type(error).__name__} at `{code}`" if code else type(error).__name__


def describe_rule(problem: ErrorDetails) -> str:
    """The rule that a value breaks, like 'must be a list', without pydantic's words for types."""
    if wanted := WANTED.get(problem["type"]):
        return f"must be {wanted}"
    message = problem["msg"].removeprefix("Value error, ").removesuffix(" after validation")
    if problem["type"] == "missing":
        return "is missing"
    return re.sub(r"^(Input|String|Tuple|List|Dictionary|Value) should ", "must ", message)


def describe_input(problem: ErrorDetails) -> str:
    """', but came 3': what came, where the rule does not say it. Of a list or mapping its kind alone."""
    came = problem["input"]
    if isinstance(came, dict | list | tuple):
        kind = "a mapping" if isinstance(came, dict) else "a list"
        return f", but came {kind}" if problem["type"] in WANTED else ""
    return "" if problem["type"] in ("missing", "value_error") else f", but came {came!r}"


def first_problem(error: ValidationError) -> str:
    """The first problem of a pydantic error as 'field: rule, but came VALUE'."""
    problems = error.errors()
    problem = problems[0]
    field = ".".join(str(part) for part in problem["loc"]) or "(whole file)"
    text = f"{field}: {describe_rule(problem)}{describe_input(problem)}"
    return text if len(problems) == 1 else f"{text} (and {len(problems) - 1} more)"
