"""Plain values from outside: what JSON can hold and every reader of it gives back (floor 0).

A parser takes more than that: infinities, half characters, numbers that another program rounds,
values that contain themselves. Such a thing would be accepted here and break far from its file.
"""

import math
from typing import Any

# Beyond it a double no longer tells whole numbers apart, and so neither does JSON's reader in a browser.
MAX_INT = 2**53 - 1
# A config has about six levels; each costs several of Python's own.
MAX_DEPTH = 30
MAX_VALUES = 1_000_000


def check_json_value(value: Any, where: str = "") -> None:
    """Raise ValueError that names the place of the first value that is not plain.

    Plain are null, booleans, whole numbers up to 2^53 - 1, finite numbers, text of whole characters
    other than NUL, and lists and mappings of these with text as keys.
    """
    budget = [MAX_VALUES]
    _check(value, where, 0, budget)


def _check(value: Any, where: str, depth: int, budget: list[int]) -> None:
    budget[0] -= 1
    # A value that contains itself is infinitely deep.
    if depth > MAX_DEPTH or budget[0] < 0:
        limit = f"{MAX_DEPTH} levels deep" if depth > MAX_DEPTH else f"{MAX_VALUES:,} values in all"
        raise ValueError(f"{where or 'the file'}: at most {limit} are read")
    if isinstance(value, dict):
        for key, item in value.items():
            _check_key(key, where)
            _check(item, f"{where}.{key}" if where else key, depth + 1, budget)
    elif isinstance(value, list | tuple):
        for place, item in enumerate(value):
            _check(item, f"{where}[{place}]", depth + 1, budget)
    elif problem := _problem(value):
        raise ValueError(f"{where or 'the file'}: {problem}")


def _check_key(key: Any, where: str) -> None:
    if not isinstance(key, str):
        raise ValueError(f"{where or 'the file'}: a key must be text, but one is {key!r}")
    if problem := _problem(key):
        raise ValueError(f"{where or 'the file'}: a key: {problem}")


def _problem(value: Any) -> str | None:
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, int):
        # Its digits are not shown: Python refuses to write out very many.
        return None if abs(value) <= MAX_INT else "a whole number is at most 2^53 - 1"
    if isinstance(value, float):
        return None if math.isfinite(value) else f"a number must be finite, but came {value}"
    if isinstance(value, str):
        return _text_problem(value)
    return f"{type(value).__name__} is not read here: put it in quotes"


def _text_problem(text: str) -> str | None:
    if "\0" in text:
        return "text must not contain NUL"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "text must be whole characters, but half of a surrogate pair came"
    return None
