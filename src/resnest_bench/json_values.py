"""A check that an input holds only values that every JSON parser reads alike (floor 0).

YAML and Python's JSON parser accept more: infinities, half of a surrogate pair, integers that other
programs round, values that contain themselves. Such a value would cause an error far from its file.
"""

import math
from typing import Any

# Doubles represent every integer up to this one exactly. JavaScript reads all JSON numbers as doubles.
MAX_INT = 2**53 - 1
# A config has about six levels. The check is recursive, and Python limits the depth of recursion.
MAX_DEPTH = 30
MAX_VALUES = 1_000_000


def check_json_value(value: Any, where: str = "") -> None:
    """Raise a ValueError with the path of the first value that is not allowed.

    Allowed are null, booleans, integers up to 2^53 - 1, finite numbers, valid Unicode text without NUL,
    and lists and mappings of these, with text as keys. `where` is the path of `value` itself.
    """
    budget = [MAX_VALUES]
    _check(value, where, 0, budget)


def _check(value: Any, where: str, depth: int, budget: list[int]) -> None:
    budget[0] -= 1
    # The limit on depth also stops at a value that contains itself.
    if depth > MAX_DEPTH or budget[0] < 0:
        limit = f"{MAX_DEPTH} levels deep" if depth > MAX_DEPTH else f"{MAX_VALUES:,} values"
        raise ValueError(f"{where or 'the file'}: must be at most {limit}")
    if isinstance(value, dict):
        for key, item in value.items():
            _check_key(key, where)
            _check(item, f"{where}.{key}" if where else key, depth + 1, budget)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _check(item, f"{where}[{index}]", depth + 1, budget)
    elif problem := _find_problem(value):
        raise ValueError(f"{where or 'the file'}: {problem}")


def _check_key(key: Any, where: str) -> None:
    if not isinstance(key, str):
        raise ValueError(f"{where or 'the file'}: a key must be text, but one is {key!r}")
    if problem := _find_problem(key):
        raise ValueError(f"{where or 'the file'}: a key: {problem}")


def _find_problem(value: Any) -> str | None:
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, int):
        # Without the value, since Python refuses to print integers with thousands of digits.
        return None if abs(value) <= MAX_INT else "a whole number must be at most 2^53 - 1"
    if isinstance(value, float):
        return None if math.isfinite(value) else f"a number must be finite, but got {value}"
    if isinstance(value, str):
        return _find_text_problem(value)
    return f"a {type(value).__name__} is not allowed here: put it in quotes"


def _find_text_problem(text: str) -> str | None:
    if "\0" in text:
        return "text must not contain NUL"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "text must not contain half of a surrogate pair"
    return None
